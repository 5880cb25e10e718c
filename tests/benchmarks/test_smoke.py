"""Every benchmark runs, at a size whose figures say nothing: what it claims beside them (nothing failed) must hold."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import pytest
from benchmarks.loading import traffic
from benchmarks.peer import PEERS, VENV, Missing, Peer
from benchmarks.project import SHAPES
from benchmarks.table import SMOKE, Table

from benchmarks import peers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.xdist_group("benchmarks")]


def run(name: str) -> Table:
    made: Table = importlib.import_module(f"benchmarks.{name}").run(SMOKE)
    assert made.name == name
    assert all(len(cells) == len(made.columns) for cells in made.cells)
    assert "-" not in [cell for cells in made.cells for cell in cells]
    return made


def rows(made: Table) -> list[Mapping[str, Any]]:
    found = list(made.raw.values())
    assert found
    return found


@pytest.mark.parametrize("name", ["shift", "revert"])
def test_no_request_fails_and_none_gets_an_old_answer_after_a_new_one(name: str) -> None:
    for row in rows(run(name)):
        assert row["sent"] > 100
        assert row["failed"] == 0
        assert row["stale"] == 0
        assert row["push"]


def test_a_new_host_answers_404_then_200_and_nothing_else() -> None:
    for row in rows(run("probe")):
        assert set(row["codes"]) <= {"404", "200"}
        assert row["codes"]["200"] in (SMOKE.probes, SMOKE.files - 1)
        assert all(value > 0 for value in row["commit"])


def test_the_command_line_moves_the_traffic() -> None:
    made = run("command")
    moved = made.raw["`lastgood rollback` at 1"]
    assert len(moved["effective"]) == SMOKE.repeats
    assert all(0 < effective < whole for effective, whole in zip(moved["effective"], moved["whole"], strict=True))


def test_a_killed_controller_comes_back_and_costs_no_request() -> None:
    for row in rows(run("restart")):
        assert len(row["back_s"]) == SMOKE.repeats
        assert (row["failed"], row["dropped"]) == (0, 0)
        assert min(row["before_mib"], row["after_mib"], row["envoy_mib"]) > 10


def test_a_service_goes_back_warm_and_cold_without_a_failed_request() -> None:
    made = run("services")
    for row in rows(made):
        assert row["failed"] == 0
        assert row["sent"] > 100
    assert min(made.raw["not there"]["start"]) > 0
    assert max(made.raw["warm"]["start"]) == 0, "what is warm is not started"


def test_every_strategy_goes_forward_and_back_without_a_failed_request() -> None:
    made = run("strategies")
    assert len(made.raw) == 4
    for row in rows(made):
        assert len(row["back_s"]) == SMOKE.changes
        assert (row["failed"], row["dropped"]) == (0, 0)
        assert row["moved"] > 0


def test_a_shielded_canary_that_fails_everything_is_seen_by_nobody() -> None:
    for row in rows(run("shield")):
        assert row["sent"] > 100
        assert row["failed"] == 0


def test_all_services_go_back_by_one_command() -> None:
    (row,) = rows(run("fleet"))
    assert row["failed"] == 0
    assert len(row["total"]) == len(row["last"]) == SMOKE.changes
    assert set(row["idle"]) == {"controller", "supervisor", "Envoy"}


def test_a_version_is_swapped_beside_others() -> None:
    made = run("swap")
    ours = [row for name, row in made.raw.items() if name.startswith("Lastgood")]
    assert len(ours) == 2
    for row in ours:
        assert (row["failed"], row["dropped"]) == (0, 0)
    assert all(row["sent"] > 100 for row in rows(made))


def test_a_kept_column_comes_back_with_its_rows_on_both_databases() -> None:
    made = run("databases")
    assert set(made.raw) == {
        f"{kind} {what} {how}"
        for kind in ("SQLite", "PostgreSQL")
        for what in ("a column", "a table")
        for how in ("kept", "dropped, restored")
    }
    assert all(min(samples) > 0 for samples in made.raw.values())


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.__name__)
def test_a_peer_can_be_changed_there_and_back(kind: type[Peer]) -> None:
    if kind.__name__ in ("Caddy", "Traefik") and not VENV.exists():
        pytest.skip("python -m benchmarks peers installs it")
    with traffic() as load:
        peer = kind(SHAPES[1], load.ports)
        try:
            seen = peers.measure(peer, load, 2)
        except Missing as error:
            pytest.skip(str(error))
    assert len(seen.last) == 2
    assert seen.sent > 100
    assert not peer.folder.exists()


@pytest.mark.timeout(240)
def test_a_burst_on_a_cold_function_starts_it_once_and_loses_none() -> None:
    for row in rows(run("functions")):
        assert (row["starts"], row["lost"]) == (1, 0)
        assert row["warm"][0] > 0


def test_a_function_goes_back_warm_cold_and_far_without_a_failed_request() -> None:
    made = run("rollbacks")
    warm, cold, oldest = rows(made)
    assert [len(row["last"]) for row in (warm, cold, oldest)] == [SMOKE.changes, SMOKE.changes, 1]
    assert all(row["failed"] == 0 and row["sent"] > 100 for row in (warm, cold, oldest))
    assert not any(warm["start"])
    assert all([*cold["start"], *oldest["start"]])


@pytest.mark.timeout(240)
def test_what_is_bad_is_found_out_live_and_what_is_well_becomes_known_good() -> None:
    found = run("live").raw
    assert len(found) == 5
    assert found["nothing is wrong, three releases in a row"]["wrong"] == 0
    assert found["every request fails, behind a shield"]["wrong"] == 0
    assert found["every request fails"]["bad"][0] > 0
    assert all(0 < took_s < 60 for each in found.values() for took_s in each["took_s"])


def test_every_service_on_trial_is_looked_at_and_that_has_its_cost() -> None:
    (found,) = rows(run("judging"))
    assert found["looks"] >= 2, "a look a second"
    assert found["failed"] == 0
    assert found["trial"]["controller"][1] > 10
