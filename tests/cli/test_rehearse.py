"""``lastgood rehearse``, against a recorded controller, and its table."""

from __future__ import annotations

from typing import Any

from lastgood.interfaces.cli.render_rehearsal import way_back
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController
from tests.cli.recorded import deployment, report

ESTIMATE: dict[str, Any] = {"shift_s": 0.0042, "measured": 3, "start_s": 0.0, "unknown": []}


def check(
    kind: str, name: str, standing: str = "ready", says: str = "fine", next_: str | None = None
) -> dict[str, Any]:
    return {"kind": kind, "name": name, "standing": standing, "says": says, "next": next_}


def found(*checks: dict[str, Any], **estimate: Any) -> dict[str, Any]:
    return {
        "to": 12,
        "why": "live, known good (timed: no veto in 600 s)",
        "ready": all(one["standing"] != "blocked" for one in checks),
        "tried": True,
        "checks": list(checks),
        "estimate": {**ESTIMATE, **estimate},
        "took_ms": 12.0,
    }


def test_a_line_for_each_thing_and_the_time_it_takes() -> None:
    lines = way_back(
        found(
            check("configuration", "r12", says="served now by 2 of 2 proxies"),
            check("service", "catalog", "blocked", "cannot be started: it is gone", "lastgood logs catalog"),
            start_s=2.5,
            unknown=["price"],
        )
    )
    assert lines == [
        "the way back leads to r12, live, known good (timed: no veto in 600 s): BLOCKED by 1 thing",
        "  ready    configuration r12  served now by 2 of 2 proxies",
        "  BLOCKED  service catalog    cannot be started: it is gone",
        "                              next: lastgood logs catalog",
        "  it takes about 4.2 ms, the median of 3 shifts, and 2.5 s before that to start what does not run; "
        "no start of price was ever measured",
    ]


def test_many_that_are_ready_are_one_line_and_what_is_not_is_never_left_out() -> None:
    many = [check("service", f"s{n}") for n in range(200)]
    lines = way_back(found(*many, check("service", "ill", "blocked", "gone"), shift_s=None))
    assert lines[1:] == [
        "  BLOCKED  service ill           gone",
        "  ready    service (all others)  200 services ready",
        "  how long it takes: nothing was measured yet",
    ]


def test_its_exit_code_says_whether_it_is_blocked(project: Project, controller: RecordedController) -> None:
    controller.says = {"POST /v1/rehearse": {"revision": "HEAD", "way_back": found(check("service", "catalog"))}}
    ran = project.run("rehearse", "--quick")
    assert (ran.code, ran.err) == (0, "")
    assert "service catalog  fine" in ran.out
    assert controller.bodies("POST /v1/rehearse") == [{"revision": "HEAD", "quick": True}]
    blocked = {"revision": "live", "way_back": found(check("service", "catalog", "blocked", "gone"))}
    controller.says = {"POST /v1/rehearse": blocked}
    assert project.run("rehearse", "live").code == 4
    ran = project.run("rehearse", "live", "--json")
    assert (ran.code, ran.json) == (4, blocked)
    for live, says in ((None, "nothing is live yet"), (12, "r12 is live and is the same")):
        controller.says = {"POST /v1/rehearse": {"revision": "HEAD", "live": live, "way_back": None}}
        ran = project.run("rehearse")
        assert (ran.code, ran.out.startswith(f"nothing to rehearse: {says}")) == (0, True)


def test_it_is_part_of_what_a_deployment_says_and_a_block_is_accepted_by_name(
    project: Project, controller: RecordedController
) -> None:
    controller.says = {
        "POST /v1/deploy": recorded.deploy_answer(way_back=found(check("service", "catalog"))),
        "GET /v1/status": recorded.status(deployment=deployment()),
        "GET /v1/deployments/d31": report(deployment()),
    }
    controller.events = recorded.forward()
    ran = project.run("deploy", "--accept-blocked")
    assert "the way back leads to r12, live, known good (timed: no veto in 600 s): ready\n" in ran.out
    (body,) = controller.bodies("POST /v1/deploy")
    assert body["accept_blocked"] is True


def test_without_a_controller_it_says_what_to_do(project: Project) -> None:
    ran = project.run("rehearse")
    assert ran.code == 7
    assert "lastgood up" in ran.out + ran.err
