"""What the engine decides, as a playbook: a journal and a moment in, commands out."""

from __future__ import annotations

import pytest

from lastgood.release import events as ev
from lastgood.release.engine import ATTEMPTS, Append, Observe, Perform, Replan, WakeAt, confirm_left_s, decide, unmet
from lastgood.release.observed import Fact, Observed
from lastgood.release.state import State, fold
from lastgood.release.step import Cond, Step
from tests.release.folded import Owned, at, begun, journal, state, with_facts

NOTHING = Observed({})
ONE = Step("one", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 0.0}, deadline_s=60.0)
TWO = Step("two", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 100.0}, needs=frozenset({"one"}))
BAKE = Step("bake", "gateway", "bake", {"release": 2, "for_s": 60.0})
HOLD = Step("hold", "gateway", "hold", {"for_s": 60.0})
CONFIRM = Step("confirm", "gateway", "confirm")
HEALTHY = Cond("service:a", "healthy:x", ">=", 2)
START = Step("start", "service:a", "start", until=HEALTHY, deadline_s=300.0)


def acts(made: State, seconds: float = 10.0, seen: Observed = NOTHING, **under_way: object) -> list[object]:
    found = decide(made, seen, at(seconds), **under_way)  # type: ignore[arg-type]
    return [command for command in found if not isinstance(command, WakeAt)]


def wakes(made: State, seconds: float) -> list[float]:
    return [command.in_s for command in decide(made, NOTHING, at(seconds)) if isinstance(command, WakeAt)]


def test_without_a_deployment_or_a_plan_there_is_nothing_to_do() -> None:
    assert decide(State(), NOTHING, at(0)) == ()
    assert decide(state((1, ev.Requested("deploy", 2, 1, "test"))), NOTHING, at(5)) == ()


def test_a_step_is_performed_when_all_it_needs_has_ended() -> None:
    assert acts(state(*begun(ONE, TWO))) == [Perform(1, ONE, 1)]
    done = state(*begun(ONE, TWO), (1, ev.StepStarted("one")), (1, ev.StepEnded("one")))
    assert acts(done) == [Perform(1, TWO, 1)]


def test_what_is_outstanding_is_not_asked_for_again() -> None:
    started = state(*begun(ONE, TWO), (1, ev.StepStarted("one")))
    assert acts(started, outstanding={"one"}) == []


def test_started_without_ended_and_nobody_at_it_is_performed_again_under_the_same_attempt() -> None:
    assert acts(state(*begun(ONE), (1, ev.StepStarted("one", 3)))) == [Perform(1, ONE, 3)]


def test_all_ended_is_the_end() -> None:
    done = state(*begun(ONE), (1, ev.StepStarted("one")), (1, ev.StepEnded("one")))
    assert acts(done) == [Append(1, ev.Ended(2, "done", ""))]


def test_a_retreat_ends_as_one_with_its_reason() -> None:
    made = state((1, ev.Requested("deploy", 2, 1, "test")), *begun(target=1, source=2, intent="retreat")[1:])
    assert acts(made) == [Append(1, ev.Ended(1, "went back", ""))]


def test_a_condition_that_does_not_hold_yet_is_looked_at_and_ends_when_it_does() -> None:
    started = state(*begun(START), (1, ev.StepStarted("start")))
    assert acts(started, performed={"start"}) == [Observe(1, START)]
    one = with_facts(NOTHING, Fact("service:a", "healthy:x", 1, stable=False))
    assert acts(started, seen=one, performed={"start"}) == [Observe(1, START)]
    two = with_facts(NOTHING, Fact("service:a", "healthy:x", 2, stable=False))
    [ended] = acts(started, seen=two, performed={"start"})
    assert isinstance(ended, Append)
    assert isinstance(ended.body, ev.StepEnded)
    assert ended.body.error is None


@pytest.mark.parametrize(("seconds", "late"), [(302.9, False), (303.1, True)])
def test_a_way_forward_that_is_late_goes_back(seconds: float, late: bool) -> None:
    started = state(*begun(START), (1, ev.StepStarted("start")))
    assert any(isinstance(act, Replan) for act in acts(started, seconds, performed={"start"})) is late


def test_a_way_back_that_is_late_halts_and_names_the_choices() -> None:
    started = state(*begun(START, intent="rollback", source=2, target=1), (1, ev.StepStarted("start")))
    [halted] = acts(started, 400.0, performed={"start"})
    assert isinstance(halted, Append)
    assert isinstance(halted.body, ev.Halted)
    assert halted.body.choices == ("lastgood retry", "lastgood rollback r2")


def test_a_failure_on_the_way_forward_goes_back_and_a_soft_one_does_not() -> None:
    failed = state(*begun(ONE), (1, ev.StepStarted("one")), (1, ev.StepEnded("one", error="no")))
    assert acts(failed) == [Replan(1, "retreat", "no")]
    soft = Step("one", "git", "revert", soft=True)
    passed = state(*begun(soft), (1, ev.StepStarted("one")), (1, ev.StepEnded("one", error="no")))
    assert acts(passed) == [Append(1, ev.Ended(2, "done", ""))]


def test_a_failure_on_the_way_back_is_tried_again_later_and_then_halts() -> None:
    back = begun(ONE, intent="rollback", source=2, target=1)
    once = state(*back, (1, ev.StepStarted("one")), (1, ev.StepEnded("one", error="no")))
    assert acts(once, 4.1) == []
    assert wakes(once, 4.1) == [pytest.approx(0.1)]
    assert acts(once, 4.3) == [Perform(1, ONE, 2)]
    often = state(*back, (1, ev.StepStarted("one", ATTEMPTS)), (1, ev.StepEnded("one", error="no")))
    [halted] = acts(often)
    assert isinstance(halted, Append)
    assert isinstance(halted.body, ev.Halted)
    assert halted.body.why == "one: no"


def test_a_halt_is_decided_once() -> None:
    back = begun(ONE, intent="rollback", source=2, target=1)
    end = (1, ev.StepEnded("one", error="no"))
    halted = state(*back, (1, ev.StepStarted("one", ATTEMPTS)), end, (1, ev.Halted("no", ("lastgood retry",))))
    assert decide(halted, NOTHING, at(10)) == ()
    stopping = Step("one", "gateway", "serve", ONE.args, on_timeout="halt")
    [first] = acts(state(*begun(stopping), (1, ev.StepStarted("one")), end))
    assert isinstance(first, Append)
    assert decide(state(*begun(stopping), (1, ev.StepStarted("one")), end, (1, first.body)), NOTHING, at(10)) == ()


def test_a_halted_way_forward_can_still_be_aborted() -> None:
    halted = state(*begun(ONE), (1, ev.Halted("no", ("lastgood abort",))), (1, ev.AbortAsked("test", "enough")))
    assert acts(halted) == [Replan(1, "retreat", "aborted: enough", "aborted")]


def test_a_way_back_is_not_turned_round_by_abort_verdict_or_deadline() -> None:
    back = begun(ONE, intent="rollback", source=2, target=1, ask={"confirm_within_s": 1.0})
    events = [*back, (None, ev.Judged(1, "bad", "marked")), (1, ev.AbortAsked("test")), (1, ev.StepStarted("one"))]
    assert acts(state(*events), 60.0, outstanding={"one"}) == []


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        ((1, ev.AbortAsked("test", "no")), "aborted"),
        ((None, ev.Judged(2, "bad", "marked", "seen")), "bad"),
    ],
)
def test_what_changes_the_course(event: tuple[int | None, ev.Body], cause: str) -> None:
    [replan] = acts(state(*begun(ONE, BAKE), event))
    assert isinstance(replan, Replan)
    assert (replan.intent, replan.cause) == ("retreat", cause)


def test_an_undecided_or_baking_release_goes_on() -> None:
    for verdict in ("baking", "undecided", "unproven"):
        made = state((None, ev.Judged(2, verdict, "timed")), *begun(ONE))  # type: ignore[arg-type]
        assert acts(made) == [Perform(1, ONE, 1)]


def test_the_dead_mans_switch() -> None:
    made = state(*begun(CONFIRM, ask={"confirm_within_s": 60.0}), (1, ev.StepStarted("confirm")))
    assert made.deployment is not None
    assert wakes(made, 10.0) == [pytest.approx(51.0)]
    assert acts(made, 60.9) == []
    [replan] = acts(made, 61.0)
    assert isinstance(replan, Replan)
    assert replan.cause == "unconfirmed"
    assert confirm_left_s(made.deployment, at(0, "another boot")) == 0.0, "an implausible clock counts as expired"
    confirmed = state(
        *begun(CONFIRM, ask={"confirm_within_s": 60.0}), (1, ev.StepStarted("confirm")), (1, ev.Confirmed("test"))
    )
    assert acts(confirmed, 1e6) == [Append(1, ev.StepEnded("confirm"))]


def test_a_bake_ends_by_its_time_with_a_verdict() -> None:
    assert acts(state(*begun(BAKE))) == [Append(1, ev.StepStarted("bake"))]
    baking = state(*begun(BAKE), (1, ev.StepStarted("bake")))
    assert (acts(baking, 62.9), wakes(baking, 62.9)) == ([], [pytest.approx(0.1)])
    evidence = "no veto in 60 s"
    assert acts(baking, 63.0) == [
        Append(None, ev.Judged(2, "good", "timed", evidence)),
        Append(1, ev.StepEnded("bake")),
    ]


def test_a_bake_ends_at_once_when_somebody_knows() -> None:
    known = state(*begun(BAKE), (1, ev.StepStarted("bake")), (None, ev.Judged(2, "good", "marked")))
    assert acts(known) == [Append(1, ev.StepEnded("bake"))]


@pytest.mark.parametrize("verdict", ["baking", "undecided"])
def test_what_is_measured_is_made_good_by_no_time(verdict: ev.VerdictName) -> None:
    measured = (None, ev.Judged(2, verdict, "measured"))
    assert acts(state(*begun(BAKE), (1, ev.StepStarted("bake")), measured), 500.0) == []
    timed = (None, ev.Judged(2, "baking", "timed"))
    assert acts(state(*begun(BAKE), (1, ev.StepStarted("bake")), timed), 500.0) != []


def test_a_hold_ends_at_once_when_evidence_suffices_and_not_by_a_persons_word() -> None:
    held = (*begun(HOLD), (1, ev.StepStarted("hold")))
    assert acts(state(*held, (None, ev.Judged(2, "good", "measured")))) == [Append(1, ev.StepEnded("hold"))]
    assert acts(state(*held, (None, ev.Judged(2, "good", "marked")))) == []


def test_time_that_earlier_controllers_watched_is_baked() -> None:
    """It begins at 4 s; the first controller is last seen at 33 s, the second at 60 s, the third comes at 80 s."""
    bodies: list[Owned] = [(None, ev.TookOver(1, 5)), *begun(BAKE), (1, ev.StepStarted("bake"))]
    events = [*journal(*bodies), ev.Event(5, 2, None, at(40.0), ev.TookOver(2, 6, 33.0))]
    events.append(ev.Event(6, 3, None, at(80.0), ev.TookOver(3, 7, 60.0)))
    made = fold(events)
    watched = 29.0 + 20.0  # from its begin at 4 s, and from 40 s
    assert wakes(made, 80.0 + 60.0 - watched - 0.5) == [pytest.approx(0.5)]
    assert acts(made, 80.0 + 60.0 - watched)[-1] == Append(1, ev.StepEnded("bake"))
    assert fold([*events[:-1], ev.Event(6, 3, None, at(80.0), ev.TookOver(3, 7))]).spans == made.spans[:1]


def test_time_without_a_controller_is_not_baked() -> None:
    made = state(*begun(BAKE), (1, ev.StepStarted("bake")), (None, ev.TookOver(2, 7)))
    assert (acts(made, 63.5), wakes(made, 63.5)) == ([], [pytest.approx(0.5)])


def test_a_hold_ends_by_its_time_or_a_person() -> None:
    holding = state(*begun(HOLD), (1, ev.StepStarted("hold")))
    assert acts(holding, 62.0) == []
    assert acts(holding, 63.0) == [Append(1, ev.StepEnded("hold"))]
    promoted = state(*begun(HOLD), (1, ev.StepStarted("hold")), (1, ev.Promoted("test")))
    assert acts(promoted, 5.0) == [Append(1, ev.StepEnded("hold"))]


def test_a_guard_says_what_does_not_hold() -> None:
    step = Step("shift", "gateway", "serve", guard=(HEALTHY,))
    assert "service:a: healthy is 1, not >= 2" in (
        unmet(step, with_facts(NOTHING, Fact("service:a", "healthy:x", 1))) or ""
    )
    assert unmet(step, with_facts(NOTHING, Fact("service:a", "healthy:x", 2))) is None
    assert unmet(step, NOTHING), "what was not seen holds nothing"
