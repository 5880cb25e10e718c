"""``lastgood rollback`` against a recorded controller: questions, refusals, and when it does without one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController

LOOSENS = recorded.refusal("it would loosen security: policy office: removed", "lastgood plan rollback")
NOTHING_GOOD = recorded.refusal("no release is known good; r12 was live before, it is unproven", "rollback previous")


@pytest.fixture
def way(controller: RecordedController) -> RecordedController:
    """Goes back from r13 to r12."""
    controller.says = {
        "POST /v1/rollback": recorded.rollback_answer(skipped=[[14, "bad"]]),
        "POST /v1/plan/rollback": recorded.way_back(),
        "GET /v1/status": recorded.status(),
        "GET /v1/deployments/d32": recorded.report(recorded.went_back()),
    }
    controller.events = recorded.back()
    return controller


def loosens(way: RecordedController) -> None:
    def rollback(body: dict[str, Any]) -> Any:
        return recorded.rollback_answer() if body["accept_loosening"] else (403, LOOSENS)

    way.says["POST /v1/rollback"] = rollback
    way.says["POST /v1/plan/rollback"] = recorded.way_back(loosens=["policy office: removed"])


def test_it_tells_where_it_goes_and_the_proof(project: Project, way: RecordedController) -> None:
    ran = project.run("rollback", "-m", "slow")
    assert (ran.code, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[:2] == ["d32: r13 -> r12, known good (timed: no veto in 600 s)", "  passed over: r14, it is bad"]
    assert told[-2:] == [
        "r12 is live: 3 of 3 proxies, effective in 1.9 ms; r13 got 0 requests in the 200 ms after",
        "revert commit 2e7ba62ff062 on main",
    ]
    (body,) = way.bodies("POST /v1/rollback")
    assert body.pop("by").endswith("(cli)")
    assert body == {"why": "slow", "accept_loosening": False, "revert_commit": True}


def test_its_options_reach_the_controller(project: Project, way: RecordedController) -> None:
    project.run("rollback", "r12~1", "--no-revert-commit", "--accept-loosening", "--basis", "D", "--no-wait")
    (body,) = way.bodies("POST /v1/rollback")
    assert (body["target"], body["revert_commit"], body["accept_loosening"], body["basis"]) == (
        "r12~1", False, True, "D",
    )  # fmt: skip


@pytest.mark.parametrize("command", [("rollback", "r12", "--dry-run"), ("plan", "rollback", "r12")])
def test_a_dry_run_changes_nothing(project: Project, way: RecordedController, command: tuple[str, ...]) -> None:
    ran = project.run(*command)
    assert ran.out.startswith("r13 -> r12: known good")
    assert {name for name, _ in way.asked} == {"POST /v1/plan/rollback"}
    assert project.run(*command, "--json").json == recorded.way_back()


def test_without_a_person_a_loosening_is_refused_and_the_flag_named(project: Project, way: RecordedController) -> None:
    loosens(way)
    ran = project.run("rollback", given="y\n")
    assert ran.code == 4
    assert ran.err == (
        "error: it would loosen security: policy office: removed\n  next: lastgood rollback r12 --accept-loosening\n"
    )
    assert not any(body["accept_loosening"] for body in way.bodies("POST /v1/rollback"))
    assert project.run("rollback", "--json", person=True, given="y\n").code == 4  # who wants JSON is a program


def test_a_person_is_asked_and_goes_exactly_the_way_that_was_shown(project: Project, way: RecordedController) -> None:
    loosens(way)
    ran = project.run("rollback", person=True, given="y\n")
    assert ran.code == 0
    assert "  LOOSENS  policy office: removed\n" in ran.out
    body = way.bodies("POST /v1/rollback")[-1]
    assert (body["target"], body["accept_loosening"], body["basis"]) == ("r12", True, "a8f1")


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yes please\n"])
def test_only_a_clear_yes_is_one(project: Project, way: RecordedController, answer: str) -> None:
    loosens(way)
    assert project.run("rollback", person=True, given=answer).code == 4
    assert len(way.bodies("POST /v1/rollback")) == 1


def nothing_good(way: RecordedController, **plan: Any) -> None:
    def only_previous(body: dict[str, Any]) -> Any:
        return recorded.way_back(why="live before", **plan) if body.get("target") else (403, NOTHING_GOOD)

    way.says["POST /v1/plan/rollback"] = only_previous
    way.says["POST /v1/rollback"] = lambda body: (
        recorded.rollback_answer(why="live before") if body.get("target") == "r12" else (403, NOTHING_GOOD)
    )


def test_with_nothing_known_good_a_person_is_offered_what_was_live_before(
    project: Project, way: RecordedController
) -> None:
    nothing_good(way)
    ran = project.run("rollback", person=True, given="y\n")
    assert ran.code == 0
    assert "Go back to r12, without proof that it is good? [y/N]" in ran.out
    assert way.bodies("POST /v1/rollback")[-1]["accept_loosening"] is False
    assert project.run("rollback", person=True, given="n\n").code == 4


def test_what_is_known_to_be_bad_is_not_offered(project: Project, way: RecordedController) -> None:
    nothing_good(way, verdict="bad")
    ran = project.run("rollback", person=True, given="y\n")
    assert ran.code == 4
    assert "without proof" not in ran.out
    assert "no release is known good" in ran.err


def test_that_offer_names_what_it_loosens(project: Project, way: RecordedController) -> None:
    nothing_good(way, loosens=["policy office: removed"])
    ran = project.run("rollback", person=True, given="y\n")
    assert "  LOOSENS  policy office: removed\n" in ran.out
    assert "Go back to r12, which loosens security, without proof" in ran.out
    assert way.bodies("POST /v1/rollback")[-1]["accept_loosening"] is True


def test_with_nothing_known_good_and_nobody_there_it_refuses(project: Project, way: RecordedController) -> None:
    nothing_good(way)
    ran = project.run("rollback", given="y\n")
    assert ran.code == 4
    assert "no release is known good" in ran.err


def test_a_refusal_that_is_no_question_stays_one(project: Project, way: RecordedController) -> None:
    way.says["POST /v1/rollback"] = (403, recorded.refusal("r12 is what is live"))
    ran = project.run("rollback", "r12", person=True, given="y\n")
    assert (ran.code, len(way.bodies("POST /v1/rollback"))) == (4, 1)


def test_a_controller_that_cannot_say_how_things_are_is_asked_all_the_same(
    project: Project, way: RecordedController
) -> None:
    broken = iter([(500, b"Internal Server Error")])
    way.says["GET /v1/status"] = lambda _: next(broken, recorded.status())
    assert project.run("rollback").code == 0


def test_who_names_a_release_is_not_offered_another(project: Project, way: RecordedController) -> None:
    way.says["POST /v1/rollback"] = (403, recorded.refusal("r9 cannot be reached"))
    way.says["POST /v1/plan/rollback"] = lambda body: (
        recorded.way_back() if body["target"] == "previous" else (403, recorded.refusal("r9 cannot be reached"))
    )
    ran = project.run("rollback", "r9", person=True, given="y\n")
    assert (ran.code, "[y/N]" in ran.out) == (4, False)


def test_without_a_journal_there_is_nothing_to_go_back_to(project: Project) -> None:
    ran = project.run("rollback")
    assert ran.code == 7
    assert "no controller is running: rolling back here" in ran.err
    assert "nothing was deployed here yet" in ran.err


def test_one_part_alone_is_named_all_the_way(project: Project, controller: RecordedController) -> None:
    plan = recorded.way_back(to=14, only={"part": "service:catalog", "of": 12}, why="r13 with catalog@r12")
    controller.says["POST /v1/plan/rollback"] = plan
    ran = project.run("rollback", "--only", "catalog", "--dry-run")
    assert "lastgood rollback r12 --only service:catalog" in ran.out
    assert controller.bodies("POST /v1/plan/rollback")[0]["only"] == "catalog"
    assert project.run("plan", "rollback", "--only", "catalog").out == ran.out
