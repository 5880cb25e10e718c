"""``lastgood deploy`` and the small verbs, against a recorded controller."""

from __future__ import annotations

import pytest

from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController
from tests.cli.recorded import deployment, report


@pytest.fixture
def baking(controller: RecordedController) -> RecordedController:
    """Deploys r13, which bakes."""
    controller.says = {
        "POST /v1/deploy": recorded.deploy_answer(),
        "GET /v1/status": recorded.status(deployment=deployment()),
        "GET /v1/deployments/d31": report(deployment()),
    }
    controller.events = recorded.forward()
    return controller


def ends(controller: RecordedController, outcome: str, why: str, live: int | None) -> None:
    """The deployment comes to this end."""
    found = deployment(ended={"live": live, "outcome": outcome, "why": why})
    controller.says |= {"GET /v1/status": recorded.status(), "GET /v1/deployments/d31": report(found)}


def test_it_tells_what_changes_what_happens_and_what_comes_next(project: Project, baking: RecordedController) -> None:
    baking.says["POST /v1/deploy"] = recorded.deploy_answer(
        uncommitted=["lastgood.yaml"], warnings=["a.yaml:3: warning: old"]
    )
    ran = project.run("deploy", "main", "-m", "why not", "--percent", "10%", "--confirm-within", "10m", "--basis", "D")
    assert (ran.code, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[:4] == [
        "warning: a.yaml:3: old",
        "warning: not committed, so not part of it: lastgood.yaml",
        'd31: deploying r13, 7a53198103c3 "Raise the limit" (main)',
        "  route catalog: timeout 2s -> 3s",
    ]
    assert told[-3] == "r13 is live: 3 of 3 proxies acknowledged in 1.1 ms; r12 got 0 requests in the 200 ms after"
    (body,) = baking.bodies("POST /v1/deploy")
    assert body.pop("by").endswith("(cli)")
    assert body == {
        "revision": "main",
        "why": "why not",
        "percent": 10.0,
        "confirm_within_s": 600.0,
        "force": False,
        "basis": "D",
    }


def test_every_step_is_told_as_it_happens(project: Project, baking: RecordedController) -> None:
    found = deployment()
    found["steps"][3]["phase"] = "started"  # not converged before the last event
    looks: list[int] = []

    def status(_: object) -> object:
        looks.append(1)
        return recorded.status(deployment=found if len(looks) < 10 else deployment())

    baking.says["GET /v1/status"] = status
    ran = project.run("deploy")
    assert "  ok    shift 100 % of the requests to r13 (1.1 ms)\n" in ran.out
    assert "  ok    see that r12 gets no requests (208 ms)\n" in ran.out


def test_json_is_one_value(project: Project, baking: RecordedController) -> None:
    ran = project.run("deploy", "--json")
    assert ran.json == {**recorded.deploy_answer(), "report": report(deployment())}
    assert project.run("--json", "deploy", "--no-wait").json == {**recorded.deploy_answer(), "report": None}


def test_the_same_content_is_nothing_to_do(project: Project, baking: RecordedController) -> None:
    answer = recorded.deploy_answer(deployment=None, nothing_to_do=True, changes=[], release=12)
    baking.says["POST /v1/deploy"] = answer
    ran = project.run("deploy")
    assert ran.code == 0
    assert ran.out.startswith("r12 is live already and serves exactly this: nothing to do\n")
    assert "bake" in ran.out


@pytest.mark.parametrize(
    ("outcome", "why", "live", "told"),
    [
        ("went back", "r13 is bad: too many errors", 12, "d31 went back: r13 is bad: too many errors; r12 is live ("),
        ("failed", "proxy-1 refused it", None, "d31 failed: proxy-1 refused it; nothing is live"),
        ("superseded", "superseded by d32", 12, "d31 was superseded: superseded by d32; r12 is live"),
    ],
)
def test_an_end_elsewhere_is_exit_code_6(
    project: Project, baking: RecordedController, outcome: str, why: str, live: int | None, told: str
) -> None:
    ends(baking, outcome, why, live)
    ran = project.run("deploy")
    assert ran.code == 6
    assert ran.err.startswith(f"error: {told}")
    assert "next: lastgood report d31" in ran.err
    assert "is live:" not in ran.out
    found = project.run("deploy", "--json").json
    assert (found["error"]["exit_code"], found["report"]["ended"]["outcome"]) == (6, outcome)


def test_a_halt_is_exit_code_6_and_names_the_choices(project: Project, baking: RecordedController) -> None:
    halted = deployment(halted={"why": "both sides are sick", "choices": ["lastgood retry", "lastgood abort"]})
    baking.says |= {
        "GET /v1/status": recorded.status(deployment=halted),
        "GET /v1/deployments/d31": report(halted),
    }
    ran = project.run("deploy", "--wait", "ended")
    assert ran.code == 6
    assert "error: d31 halted: both sides are sick; traffic stays where it is" in ran.err
    assert "next: lastgood retry   or   lastgood abort" in ran.err


@pytest.mark.parametrize("wait", ["good", "ended"])
def test_it_waits_as_long_as_asked(project: Project, baking: RecordedController, wait: str) -> None:
    good = deployment(verdict="good", ended={"live": 13, "outcome": "done", "why": ""})
    looks: list[int] = []

    def status(_: object) -> object:
        looks.append(1)
        return recorded.status(deployment=deployment() if len(looks) < 5 else None)

    baking.says |= {"GET /v1/status": status, "GET /v1/deployments/d31": report(good)}
    ran = project.run("deploy", "--wait", wait)
    assert len(looks) >= 5
    assert ran.out.endswith("r13 is good\n")


def test_what_cannot_be_said_is_refused_before_anything_is_asked(project: Project, baking: RecordedController) -> None:
    for wrong in (["--percent", "0"], ["--percent", "x"], ["--confirm-within", "10"], ["--confirm-within", "31d"]):
        ran = project.run("deploy", *wrong)
        assert (ran.code, "error: --" in ran.err) == (2, True)
    assert project.run("deploy", "--wait", "forever").code == 2
    assert baking.asked == []


def test_problems_are_told_with_file_and_line(project: Project, baking: RecordedController) -> None:
    problems = [{"file": "lastgood.yaml", "line": n, "what": "unknown key", "hint": None} for n in (3, 7)]
    raw = {**recorded.refusal("", code="configuration", exit_code=3)["error"], "problems": problems}
    baking.says["POST /v1/deploy"] = (422, {"error": raw})
    ran = project.run("deploy")
    assert ran.code == 3
    assert ran.err == (
        "error: lastgood.yaml:3: unknown key\n  lastgood.yaml:7: unknown key\n"
        "  next: mend these 2 problems and commit; nothing was changed\n"
    )


def test_without_a_controller_it_says_how_to_get_one(project: Project) -> None:
    ran = project.run("deploy")
    assert ran.code == 7
    assert "next: lastgood up --detach" in ran.err


def test_abort_ends_well_when_it_went_back(project: Project, baking: RecordedController) -> None:
    baking.says["POST /v1/abort"] = {"deployment": 31}
    ends(baking, "went back", "aborted: no", 12)
    ran = project.run("abort", "-m", "no")
    assert ran.code == 0
    assert "r12 is live" in ran.out
    assert "try it on a proxy" not in ran.out  # what was before the abort is not told again
    assert baking.bodies("POST /v1/abort")[0]["why"] == "no"


def test_promote_and_retry_watch_on(project: Project, baking: RecordedController) -> None:
    baking.says |= {"POST /v1/promote": {"deployment": 31}, "POST /v1/retry": {"deployment": 31}}
    for name in ("promote", "retry"):
        ran = project.run(name)
        assert (ran.code, "r13 is live: 3 of 3" in ran.out) == (0, True)


def test_pause_and_resume_and_a_promotion_of_all(project: Project, baking: RecordedController) -> None:
    baking.says |= {f"POST /v1/{name}": {"deployment": 31} for name in ("promote", "pause", "resume")}
    assert project.run("pause").out == "d31 is paused: lastgood resume, or lastgood abort\n"
    assert project.run("resume").code == 0
    assert project.run("promote", "--full").code == 0
    assert [body["full"] for body in baking.bodies("POST /v1/promote")] == [True]


def test_confirm_and_extend(project: Project, baking: RecordedController) -> None:
    baking.says["POST /v1/confirm"] = {"deployment": 31}
    assert project.run("confirm").out == "d31 is confirmed; it is judged on as before\n"
    assert project.run("confirm", "--extend", "10m").out == "d31 has to be confirmed within 10m\n"
    assert [body.get("extend_s") for body in baking.bodies("POST /v1/confirm")] == [None, 600.0]


def test_mark_and_tag(project: Project, baking: RecordedController) -> None:
    baking.says |= {
        "POST /v1/mark": {"release": 12, "verdict": "bad"},
        "POST /v1/tag": lambda body: {"tag": body["name"], "release": 12 if body["release"] else None},
    }
    assert project.run("mark", "r12", "bad", "-m", "leaks").out == "r12 is bad\n"
    assert project.run("mark", "r12", "fine").code == 2
    assert project.run("tag", "stable").out == "stable is r12\n"
    assert project.run("tag", "stable", "--remove").out == "stable names no release any more\n"
    assert project.run("tag", "stable", "r1", "--remove").code == 2
    assert [body["release"] for body in baking.bodies("POST /v1/tag")] == ["live", None]
