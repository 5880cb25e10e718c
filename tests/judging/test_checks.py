"""Checks from outside: a URL, a Prometheus query; what they may decide, and that they hold nobody up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lastgood.config.bake import Check, PrometheusQuery
from lastgood.effects.checks import OutsideChecks, judge_samples
from lastgood.operations.checking import PATIENCE, Checking
from lastgood.ports import Checked
from lastgood.testing.fake_checks import FakeChecks
from tests.judging.court import MEASURED, court
from tests.support.processes import eventually, is_alive

CHECKS = ', checks: [{ name: smoke, url: "http://127.0.0.1:1/ok?$release", every: 1s, fails: 2 }]'


def check(**more: Any) -> Check:
    return Check.model_validate({"name": "smoke", "url": "http://127.0.0.1:1/", "every": "1s", "fails": 2, **more})


async def turns(checking: Checking, n: int, begin_s: float = 0.0) -> tuple[str, tuple[str, ...]]:
    said: tuple[str, tuple[str, ...]] = ("", ())
    for turn in range(n):
        said = checking.look(begin_s + turn)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return said


async def test_failures_in_a_row_are_a_veto_and_one_is_a_doubt() -> None:
    port = FakeChecks()
    checking = Checking([check()], 2, port)
    port.says["smoke"] = Checked(False, "answered with 500")
    assert await turns(checking, 2) == ("", ("check smoke: answered with 500",))
    assert (await turns(checking, 2, 2.0))[0] == "check smoke: answered with 500"
    port.says["smoke"] = Checked(True)
    assert await turns(checking, 3, 4.0) == ("", ())


async def test_what_nobody_can_say_is_no_failure_and_no_health() -> None:
    port = FakeChecks()
    port.says["smoke"] = Checked(None, "no number")
    checking = Checking([check()], 2, port)
    veto, doubts = await turns(checking, PATIENCE + 2)
    assert veto == ""
    assert doubts == ("check smoke: no number",)


async def test_one_that_hangs_holds_nobody_up_and_is_not_asked_twice() -> None:
    port = FakeChecks()
    port.hangs.add("smoke")
    checking = Checking([check(), check(name="other")], 2, port)
    await turns(checking, 10)
    assert [one.name for one in port.asked].count("smoke") == 1
    assert [one.name for one in port.asked].count("other") == 10
    checking.stop()


async def test_one_that_only_reports_decides_nothing() -> None:
    port = FakeChecks()
    port.says["smoke"] = Checked(False, "bad")
    assert await turns(Checking([check(report_only=True)], 2, port), 9) == ("", ())


async def test_one_that_only_reports_is_told_once_and_the_release_stays() -> None:
    async with court() as it:
        it.checks.says["smoke"] = Checked(False, "answered with 503")
        await it.second(MEASURED + CHECKS.replace("fails: 2", "fails: 2, report_only: true"))
        await it.seconds(60)
        await it.made.at_rest()
        assert it.made.state.verdict(2).name == "good"
        notes = [note.what for _, note in it.made.state.notes]
        assert notes.count("r2: check smoke: answered with 503 (it only reports)") == 1


async def test_a_check_that_fails_takes_the_release_back_and_the_record_says_so() -> None:
    async with court() as it:
        port = it.checks
        port.says["smoke"] = Checked(False, "answered with 503")
        await it.second(MEASURED + CHECKS)
        await it.seconds(8)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        verdict = it.made.state.verdict(2)
        assert (verdict.name, verdict.basis) == ("bad", "veto")
        assert verdict.evidence == "check smoke: answered with 503"
        assert port.asked[0].url == "http://127.0.0.1:1/ok?r2"
        it.made.verbs.evidence = it.evidence
        assert it.made.verbs.verdict("r2")["measured"]["replay"] == "same"


async def test_a_check_that_nobody_can_answer_keeps_it_from_being_good() -> None:
    async with court() as it:
        it.checks.says["smoke"] = Checked(None, "no answer")
        await it.second(MEASURED + CHECKS)
        found = await it.seconds(60)
        assert found is not None
        assert "check smoke: no answer" in found.lacks
        assert it.made.state.verdict(2).name == "baking"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = {"/well": 200, "/moved": 302}.get(self.path.partition("?")[0], 500)
        body = b"{}"
        if self.path.startswith("/api/v1/query"):
            status, body = 200, json.dumps({"data": {"resultType": "vector", "result": [{"value": [1, "7"]}]}}).encode()
        self.send_response(status)
        self.send_header("location", "/well")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize(("path", "well"), [("/well", True), ("/bad", False), ("/moved", False)])
async def test_a_url_is_well_with_2xx_and_redirects_are_not_followed(server: str, path: str, well: bool) -> None:
    assert (await OutsideChecks().ask(check(url=server + path), "r2")).well is well


def command(*argv: str, **more: Any) -> Check:
    return check(url=None, command=list(argv), **more)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (("true",), Checked(True, "ended with 0")),
        (("sh", "-c", "echo one; echo lag is 7; exit 3"), Checked(False, "ended with 3: lag is 7")),
        (("sh", "-c", "echo $LASTGOOD_RELEASE"), Checked(True, "ended with 0: r2")),
        (
            ("no-such-command-of-ours",),
            Checked(None, "no-such-command-of-ours cannot start (No such file or directory)"),
        ),
    ],
)
async def test_a_command_is_well_when_it_ends_with_0(argv: tuple[str, ...], found: Checked) -> None:
    assert await OutsideChecks().ask(command(*argv), "r2") == found


async def test_a_command_runs_in_its_folder_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    found = await OutsideChecks(tmp_path).ask(command("sh", "-c", "echo $PWD $SHOP_TOKEN"), "r2")
    assert found.why == f"ended with 0: {tmp_path}"


async def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """What it started holds its output open and would be waited for."""
    noted = tmp_path / "pid"
    hangs = command("sh", "-c", f"setsid sh -c 'echo $$ > {noted}; sleep 60' & echo begun; sleep 60", timeout="500ms")
    assert await OutsideChecks().ask(hangs, "r2") == Checked(None, "no answer within 0.5 s")
    eventually(lambda: is_alive(int(noted.read_text())), lambda alive: not alive)


async def test_a_command_that_says_without_end_is_heard_and_forgotten() -> None:
    found = await OutsideChecks().ask(
        command("sh", "-c", "head -c 3000000 /dev/zero | tr '\\\\0' x; echo; echo end"), "r2"
    )
    assert found == Checked(True, "ended with 0: end")


async def test_a_command_takes_the_release_back() -> None:
    async with court() as it:
        it.checks.says["smoke"] = Checked(False, "ended with 1")
        await it.second(MEASURED + ', checks: [{ name: smoke, command: [check, "$release"], every: 1s, fails: 2 }]')
        await it.seconds(8)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        assert it.checks.asked[0].command == ("check", "r2")
        assert it.made.state.verdict(2).evidence == "check smoke: ended with 1"


async def test_nobody_there_is_no_answer() -> None:
    found = await OutsideChecks().ask(check(timeout="500ms"), "r2")
    assert found.well is False
    assert "no answer" in found.why


async def test_prometheus_is_asked(server: str) -> None:
    query = {"url": server, "query": "lag", "below": 5}
    found = await OutsideChecks().ask(check(url=None, prometheus=query), "r2")
    assert found == Checked(False, "7, to be below 5")
    gone = await OutsideChecks().ask(check(url=None, prometheus={**query, "url": "http://127.0.0.1:1"}), "r2")
    assert gone.well is None


@pytest.mark.parametrize(
    ("values", "well"),
    [(["1", "2"], True), (["1", "9"], False), (["NaN"], None), ([], None), (["+Inf"], False), (["x"], None)],
)
def test_every_sample_has_to_be_inside_and_no_number_says_nothing(values: list[str], well: bool | None) -> None:
    result = [{"value": [0, value]} for value in values]
    body = json.dumps({"data": {"resultType": "vector", "result": result}}).encode()
    query = PrometheusQuery.model_validate({"url": "http://x", "query": "q", "below": 5})
    assert judge_samples(body, query).well is well


def test_answers_that_are_none_say_nothing() -> None:
    query = PrometheusQuery.model_validate({"url": "http://x", "query": "q", "above": 5})
    for body in (b"", b"[]", b'{"data": {"resultType": "scalar", "result": []}}', b'{"data": null}'):
        assert judge_samples(body, query).well is None
    assert judge_samples(b'{"data": {"resultType": "scalar", "result": [1, "6"]}}', query).well is True


@pytest.mark.parametrize(
    "more",
    [
        {"command": ["true"]},
        {"url": None, "command": []},
        {"url": "ftp://x"},
        {"url": "http://user:word@x/"},
        {"url": None},
        {"prometheus": {"url": "http://x"}},
    ],
)
def test_what_cannot_be_asked_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(**more)
