"""The last lines of deploy and rollback: they claim what the JSON says and nothing more."""

from __future__ import annotations

from typing import Any

from lastgood.interfaces.cli.render_deployment import conclusion, proof
from lastgood.interfaces.cli.render_status import status
from lastgood.interfaces.cli.render_steps import Teller
from tests.cli import recorded
from tests.cli.recorded import convergence, deployment, step, went_back


def lines(found: list[str]) -> str:
    return "\n".join(found) + "\n"


def test_rollback_done() -> None:
    assert lines(conclusion(went_back())) == (
        "r12 is live: 3 of 3 proxies, effective in 1.9 ms; r13 got 0 requests in the 200 ms after\n"
        "revert commit 2e7ba62ff062 on main\n"
    )


def test_deploy_that_bakes() -> None:
    assert lines(conclusion(deployment(confirm_left_s=299.0))) == (
        "r13 is live: 3 of 3 proxies acknowledged in 1.1 ms; r12 got 0 requests in the 200 ms after\n"
        "it bakes for another 9m58s; without a veto it counts as good then\n"
        "confirm it within 4m59s, or it goes back to r12 by itself: lastgood confirm\n"
        "lastgood abort takes it back to r12; lastgood rollback goes to the last known good\n"
    )


def test_deploy_on_hold() -> None:
    steps = [
        step("shift", "serve", "shift 10 % of the requests to r13", "ended", took_ms=4.1),
        step("hold", "hold", "hold at 10 %", "started", left_s=600.0),
        step("converged", "silent", "see that r12 gets no requests"),
    ]
    assert conclusion(deployment(steps=steps, convergence=convergence(left=None)))[:2] == [
        "r13 has its share of the requests (hold at 10 %), r12 the rest: 3 of 3 proxies acknowledged in 1.1 ms",
        "the rest moves in 10m by itself, at once with: lastgood promote",
    ]


def test_a_hold_that_the_judge_keeps_says_why_and_promises_no_time() -> None:
    steps = [step("hold", "hold", "hold at 10 %", "started", left_s=0.0)]
    found = deployment(steps=steps, convergence=convergence(left=None), doubt="nothing is measured", measured=True)
    told = conclusion(found)
    assert told[1] == "no more requests move while nothing is measured: lastgood promote moves them all the same"
    assert "by itself" not in told[1]


def test_a_release_that_is_measured_is_not_promised_to_be_good_by_time() -> None:
    told = lines(conclusion(deployment(measured=True)))
    assert "it counts as good when what is measured suffices: lastgood verdict r13" in told
    assert "without a veto" not in told


def test_doubts_are_told_where_there_is_a_hold_and_only_when_they_change() -> None:
    teller = Teller(steps={"hold": {"verb": "hold"}})
    said = [teller.tell({"kind": "Doubted", "why": why}) for why in ("", "both sides fail", "both sides fail", "")]
    assert said == [[], ["  no more requests move while both sides fail"], [], ["  no longer so: both sides fail"]]
    assert Teller().tell({"kind": "Doubted", "why": "both sides fail"}) == []


def test_the_first_deployment_has_nothing_to_go_back_to() -> None:
    found = deployment(**{"from": None}, convergence=convergence(left=None), confirm_left_s=60.0)
    assert lines(conclusion(found)) == (
        "r13 is live: 3 of 3 proxies acknowledged in 1.1 ms\n"
        "it bakes for another 9m58s; without a veto it counts as good then\n"
        "confirm it within 1m, or there is nothing to go back to: lastgood confirm\n"
    )


def test_a_finished_deployment_tells_its_verdict() -> None:
    ended = {"live": 13, "outcome": "done", "why": ""}
    assert conclusion(deployment(ended=ended, verdict="good"))[-1] == "r13 is good"


def test_proxies_away_are_unknown() -> None:
    away = convergence(acknowledged=["proxy-1"], away=["proxy-2", "proxy-3"])
    assert proof(deployment(convergence=away)) == (
        "1 of 3 proxies acknowledged in 1.1 ms; proxy-2 and proxy-3 are away: what they serve is unknown; "
        "r12 got 0 requests in the 200 ms after"
    )
    one = convergence(acknowledged=["proxy-1", "proxy-3"], away=["proxy-2"])
    assert "proxy-2 is away: what it serves is unknown" in proof(deployment(convergence=one))


def test_no_figure_is_made_up() -> None:
    assert proof(deployment(convergence=None)) == "there is no convergence figure"
    nobody = convergence(acknowledged=[], of=0, push_ms=0.0, effective_ms=0.1, left=None)
    assert proof(deployment(convergence=nobody)).startswith("no proxy was there to acknowledge it; ")
    all_away = convergence(acknowledged=[], away=["proxy-1"], of=1, push_ms=0.0, effective_ms=0.1)
    assert proof(deployment(convergence=all_away)).startswith("0 of 1 proxy acknowledged; proxy-1 is away")


def test_requests_that_still_came_and_counts_that_failed() -> None:
    still = convergence(left={"release": 12, "requests": 3, "window_s": 0.2})
    assert proof(deployment(convergence=still)).endswith("r12 still got 3 requests in the 200 ms after")
    failed = [step("converged", "silent", "see that r12 gets no requests", "failed", error="no counters")]
    told = proof(deployment(steps=failed, convergence=convergence(left=None)))
    assert told.endswith("requests of the release that was left were not counted: no counters")
    early = [step("converged", "silent", "see that r12 gets no requests", "started")]
    assert proof(deployment(steps=early, convergence=convergence(left=None))).endswith("are not counted yet")


def test_a_revert_commit_that_went_aside_tells_what_to_type() -> None:
    result = {
        "commit": "2e7ba62ff062aa", "branch": "lastgood/revert-r13", "why": "main has uncommitted changes: a.yaml",
        "commands": ["git merge lastgood/revert-r13"], "pushed": "origin/main", "push_why": "", "push_commands": [],
    }  # fmt: skip
    steps = [step("revert", "revert", "write the revert commit", "ended", result=result)]
    assert lines(conclusion(went_back(steps=steps))[1:]) == (
        "revert commit 2e7ba62ff062 on lastgood/revert-r13: main has uncommitted changes: a.yaml\n"
        "pushed to origin/main\n"
        "  git merge lastgood/revert-r13\n"
    )


def test_a_revert_commit_that_failed_or_was_not_needed() -> None:
    failed = [step("revert", "revert", "", "failed", error="no revert commit: no repository")]
    assert conclusion(went_back(steps=failed))[1:] == [
        "no revert commit was written: no revert commit: no repository",
        "  Git still says what was taken back: git revert its commit (lastgood history)",
    ]
    nothing = [step("revert", "revert", "", "ended", result={"commit": None, "branch": "main"})]
    assert conclusion(went_back(steps=nothing))[1] == "Git says so already: no revert commit was needed"


def test_progress_lines() -> None:
    teller = Teller()
    assert lines([line for event in recorded.forward() for line in teller.tell(event)]) == (
        "  ...   try it on a proxy without traffic\n"
        "  ok    try it on a proxy without traffic (52 ms)\n"
        "  ...   load r13 beside r12\n"
        "  ok    load r13 beside r12 (5.4 ms)\n"
        "  ...   shift 100 % of the requests to r13\n"
        "  ok    shift 100 % of the requests to r13 (1.1 ms)\n"
        "  ...   bake r13 for 600 s\n"
        "  ...   see that r12 gets no requests\n"
        "  ok    see that r12 gets no requests (208 ms)\n"
    )


def told(kind: str, **body: Any) -> list[str]:
    teller = Teller()
    for event in recorded.forward()[:2]:
        teller.tell(event)
    return teller.tell({"kind": kind, "at": "2026-03-01T12:00:06.000Z", **body})


def test_progress_of_what_went_otherwise() -> None:
    assert told("StepStarted", step="shift", attempt=2) == ["  ...   shift 100 % of the requests to r13 (attempt 2)"]
    assert told("StepEnded", step="shift", error="proxy-1 refused", result={}) == [
        "  fail  shift 100 % of the requests to r13: proxy-1 refused"
    ]
    assert told("StepEnded", step="shift", error=None, result={"took_ms": 3, "away": ["proxy-2"]}) == [
        "  ok    shift 100 % of the requests to r13 (3.0 ms); away: proxy-2"
    ]
    steps = [{"id": "push", "shows": "push", "verb": "serve", "part": "gateway"}]
    assert told("Noted", what="both sides fail", level="warning") == ["  note: both sides fail"]
    assert told("Planned", why="aborted: no", intent="retreat", target=12, steps=steps) == [
        "  going to r12 instead: aborted: no"
    ]
    assert told("Halted", why="both sides are sick", choices=[]) == ["  HALTED: both sides are sick"]
    assert told("Superseded", by=33) == ["  superseded by d33"]


def test_a_time_to_confirm_that_is_over_waits_for_a_controller() -> None:
    told = lines(status(recorded.status(deployment=deployment(confirm_left_s=-5.0))))
    assert "  it goes back by itself as soon as a controller runs: lastgood up\n" in told


def test_status() -> None:
    assert lines(status(recorded.status(deployment=deployment(confirm_left_s=299)))) == (
        'live: r13 "Raise the limit" at 7a53198103c3 (baking, bakes for 600 s)\n'
        "known good: r12, r11\n"
        'd31: deploy r12 -> r13, by ann (cli), 2026-03-01 12:00:05Z: "the limit was too low"\n'
        "  ok   try it on a proxy without traffic   52 ms\n"
        "  ok   load r13 beside r12                 5.4 ms\n"
        "  ok   shift 100 % of the requests to r13  4.7 ms\n"
        "  ok   see that r12 gets no requests       208 ms\n"
        "  ...  bake r13 for 600 s                  9m58s left\n"
        "  -    settle on r13\n"
        "  it goes back by itself in 4m59s, unless: lastgood confirm\n"
        "proxy-1:  connected\n"
        "proxy-2:  connected\n"
        "proxy-3:  connected\n"
        "controller: process 4242, epoch 6\n"
    )


def test_status_begins_with_what_alarms() -> None:
    halted = {"why": "both sides are sick", "choices": ["lastgood retry", "lastgood abort"]}
    found = recorded.status(
        unjournaled=3,
        unknown=["gateway"],
        deployment=deployment(halted=halted, steps=[], replanned="aborted: no", target=12),
        gateway={"base": 12, "candidate": 13, "percent": 10.0},
        proxies=[recorded.proxy("proxy-1", connected=False), recorded.proxy("proxy-2", refusal="no such cluster")],
        known_good=[],
        controller={"pid": 1, "epoch": 2, "follows": "main", "unrestored": "file:/k.pem: it cannot be read"},
    )
    assert lines(status(found)) == (
        "UNJOURNALED: 3 events wait for room on the disk\n"
        "NOT RESTORED: file:/k.pem: it cannot be read; a proxy that was started anew serves nothing,"
        " the others serve on\n"
        "  next: mend that, it is tried again every 2 s; or lastgood rollback to a release without it\n"
        "HALTED: d31: both sides are sick\n"
        "  choose: lastgood retry\n"
        "  choose: lastgood abort\n"
        'live: r13 "Raise the limit" at 7a53198103c3 (baking, bakes for 600 s)\n'
        "known good: no release yet\n"
        'd31: deploy r12 -> r13, by ann (cli), 2026-03-01 12:00:05Z: "the limit was too low"\n'
        "  going to r12 instead: aborted: no\n"
        "gateway: r12 and r13 are loaded, 10 % of the requests go to r13\n"
        "could not be observed: gateway\n"
        "proxy-1:  away: what it serves is unknown\n"
        "proxy-2:  connected                        refused: no such cluster\n"
        "controller: process 1, epoch 2, follows main\n"
    )


def test_status_from_the_journal_says_nothing_of_the_proxies() -> None:
    told = lines(status(recorded.status(controller=None)))
    assert "proxy-1" not in told
    assert "controller: not running, this is what the journal says last; of the proxies nothing is known" in told
    assert status(recorded.status(live=None, controller=None))[0] == "nothing is live yet: lastgood deploy"
