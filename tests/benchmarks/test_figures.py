"""What the figures are made with: if this is wrong, every figure is."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from benchmarks.__main__ import NAMES, keep
from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, quantile, shown
from benchmarks.page import PAGE, rewrite
from benchmarks.table import Table
from benchmarks.traffic import Answer, _ends, _stale

from benchmarks import machine


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)], ids=str)
def test_quantiles_are_values_that_were_measured(share: float, expected: int) -> None:
    assert quantile(list(range(100, 0, -1)), share) == expected


def test_the_spread_of_nothing_is_not_a_figure() -> None:
    assert shown(Spread.of([]).p50) == "-"
    assert [shown(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]


def answer(sent: int, connection: int, side: str) -> Answer:
    return Answer(sent, sent, sent + 1, connection, 200, side)


def test_an_old_answer_after_a_new_one_counts_per_connection() -> None:
    moved = [answer(1, 1, "b"), answer(2, 1, "a"), answer(3, 2, "b"), answer(4, 1, "a"), answer(5, 2, "a")]
    assert _stale(moved, "b") == 0
    assert _stale([*moved, answer(6, 1, "b"), answer(7, 2, "b"), answer(8, 3, "b")], "b") == 2


def test_the_ends_of_a_window_hold_its_first_moment_and_not_its_last() -> None:
    assert _ends([1, 5, 9, 12], 5, 12) == {"count": 2, "first": 5, "last": 9}
    assert _ends([1, 20], 5, 12) == {"count": 0, "first": None, "last": None}


def test_the_load_is_open_loop_and_keeps_its_connections() -> None:
    with traffic() as load:
        began_ns = now_ns()
        load.begin(load.ports["b"], [("any", "/")], per_second=200, connections=4)
        time.sleep(0.8)
        load.halt()
        time.sleep(0.1)
        seen = load.window(began_ns, now_ns(), "b")
    assert 60 <= seen.sent <= 160
    assert (seen.failed, seen.dropped, seen.statuses) == (0, 0, {"200": seen.sent})
    assert seen.first_other_ns is None
    assert seen.last_left_ns is not None
    assert began_ns < seen.last_left_ns < now_ns()


def test_requests_that_nobody_answers_are_failures() -> None:
    with traffic() as other:
        port = other.ports["a"]
        with traffic() as load:
            began_ns = now_ns()
            load.begin(port, [("any", "/")], per_second=100, connections=2)
            time.sleep(0.3)
            other.stop()
            time.sleep(0.4)
            load.halt()
            seen = load.window(began_ns, now_ns(), "a")
    assert seen.dropped == 2
    assert seen.failed > 0
    assert "0" in seen.statuses


def test_a_connection_that_is_closed_under_a_request_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, traffic() as load:
        closer = threading.Thread(target=_close_after_one_request, args=(server, 3), daemon=True)
        closer.start()
        began_ns = now_ns()
        load.begin(server.getsockname()[1], [("any", "/")], per_second=100, connections=1)
        closer.join(10)
        time.sleep(0.1)
        load.halt()
        seen = load.window(began_ns, now_ns(), "a")
    assert seen.statuses.get("0", 0) == seen.failed
    assert seen.failed >= 3
    assert seen.dropped >= 3


def _close_after_one_request(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        connection.recv(1000)
        connection.close()


def test_polling_ends_with_the_first_200() -> None:
    with traffic() as load:
        load.poll(load.ports["a"], "any", "/")
        ok_ns, codes = load.polled()
    assert ok_ns is not None
    assert codes == {"200": 1}


def test_a_traffic_process_that_ended_is_said() -> None:
    load = Traffic()
    load.stop()
    with pytest.raises((RuntimeError, ValueError)):
        load.halt()


def test_results_of_other_benchmarks_are_kept(tmp_path: Path) -> None:
    results = tmp_path / "results" / "latest.json"
    for name in ("one", "two"):
        keep(
            Table(name, name.title(), ("a", "b"), [("1", "2")], ["a note"], {"x": [1.0]}),
            1.5,
            0.1,
            (4.04, 5.06),
            results,
        )
    kept = json.loads(results.read_text())
    assert set(kept) == {"one", "two"}
    assert kept["one"]["raw"] == {"x": [1.0]}
    assert kept["one"]["pace_ms"] == [4.0, 5.1]
    assert kept["two"]["markdown"].splitlines()[:5] == ["### Two", "", "| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert "`python -m benchmarks two`" in kept["two"]["markdown"]


def test_the_page_gets_the_last_tables_and_keeps_the_rest() -> None:
    page = "before\n<!-- one -->\nold\n<!-- /one -->\nbetween\n<!-- two -->\n<!-- /two -->\nafter\n"
    result = {"at": "2026-01-02T03:04:05Z", "took_s": 2.0, "load_average_before": 0.5, "machine": "M", "commit": "C"}
    rewritten = rewrite(page, {"one": {**result, "markdown": "| \\1 |\n"}})
    assert rewritten == (
        "before\n<!-- one -->\n| \\1 |\n\n"
        "Measured 2026-01-02, 2 s, load average 0.5 before it, at C: M.\n<!-- /one -->\n"
        "between\n<!-- two -->\n<!-- /two -->\nafter\n"
    )
    assert rewrite(rewritten, {"one": {**result, "markdown": "| \\1 |\n"}}) == rewritten
    paced = rewrite(page, {"one": {**result, "markdown": "", "pace_ms": [4.0, 5.1]}})
    assert "before it, the machine's pace 4.0 ms before and 5.1 after, at C: M.\n" in paced


def test_every_benchmark_has_its_place_on_the_page() -> None:
    page = PAGE.read_text()
    for name in NAMES:
        assert f"<!-- {name} -->" in page
        assert f"<!-- /{name} -->" in page


def test_the_machine_is_described_with_what_was_measured() -> None:
    assert "cores" in machine.described()
    assert "Envoy" in machine.described()
