"""``lastgood drill``, against a recorded controller."""

from __future__ import annotations

from typing import Any

from lastgood.interfaces.cli.render_status import status
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController
from tests.cli.test_rehearse import check, found

PROOF = {"acknowledged": ["proxy-1", "proxy-2"], "away": [], "of": 2, "push_ms": 1.1, "effective_ms": 4.2}


def leg(number: int, took_s: float | None, started: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"deployment": number, "took_s": took_s, "started": list(started), "convergence": PROOF}


def drilled(standing: str = "done", **more: Any) -> dict[str, Any]:
    return {
        "at": "2026-03-01T12:00:05.000Z",
        "by": "ann (cli)",
        "of": 13,
        "to": 12,
        "standing": standing,
        "back": leg(32, 2.5, ("service:catalog",)),
        "forth": leg(33, 0.4) if standing == "done" else None,
        "why": None,
        **more,
    }


def prepared(controller: RecordedController, *stages: dict[str, Any]) -> None:
    left = list(stages)
    controller.says = {
        "POST /v1/rehearse": {"revision": "live", "way_back": found(check("service", "catalog"))},
        "POST /v1/drill": {"deployment": 32, "release": 12, "from": 13, "why": "known good"},
        "GET /v1/status": lambda _: recorded.status(drill=left.pop(0) if len(left) > 1 else left[0]),
    }


def test_it_tells_both_ways_with_their_times(project: Project, controller: RecordedController) -> None:
    under_way = drilled("under way", back=leg(32, None))
    prepared(controller, under_way, drilled("rests"), drilled())
    ran = project.run("drill", "--yes", "-m", "practice")
    assert (ran.code, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[0].startswith("the way back leads to r12")
    assert told[-4:-1] == [
        "d32: drilling r13 -> r12 -> r13",
        "went back to r12 (d32): effective in 4.2 ms on 2 of 2 proxies, after service:catalog was started;"
        " all of it took 2.5s",
        "went forward to r13 (d33): effective in 4.2 ms on 2 of 2 proxies; all of it took 0.4s",
    ]
    assert told[-1].startswith("r13 is live again, as before")
    (body,) = controller.bodies("POST /v1/drill")
    assert (body["why"], body["accept_loosening"]) == ("practice", False)
    ran = project.run("drill", "--yes", "--json")
    assert ran.json == {"drill": drilled()}


def test_nobody_is_drilled_unasked(project: Project, controller: RecordedController) -> None:
    prepared(controller, drilled())
    ran = project.run("drill")
    assert ran.code == 4
    assert "lastgood drill --yes" in ran.err
    assert project.run("drill", "--dry-run").code == 0
    assert controller.bodies("POST /v1/drill") == []


def test_one_that_does_not_come_back_is_a_failure_that_says_where_it_stands(
    project: Project, controller: RecordedController
) -> None:
    prepared(controller, drilled("halted", why="push the routes of r13: no answer"))
    ran = project.run("drill", "--yes")
    assert ran.code == 6
    assert "push the routes of r13: no answer" in ran.err


def test_a_refusal_keeps_its_exit_code(project: Project, controller: RecordedController) -> None:
    prepared(controller, drilled())
    controller.says["POST /v1/drill"] = (409, recorded.refusal("d31 bakes r13", code="conflict", exit_code=5))
    assert project.run("drill", "--yes").code == 5


def test_the_status_tells_of_the_last_one() -> None:
    lines = status(recorded.status(drill=drilled()))
    (line,) = [line for line in lines if line.startswith("last drill")]
    assert line.endswith("back in 4.2 ms, forward again in 4.2 ms")
    (line,) = [line for line in status(recorded.status(drill=drilled("rests"))) if line.startswith("last drill")]
    assert "RESTS at r12" in line
    assert "lastgood rollback r13" in line
