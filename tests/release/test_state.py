"""The journal, folded."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from lastgood.config.configuration import canonical
from lastgood.release import events as ev
from lastgood.release.state import NOTES, State, fold
from lastgood.release.step import Step
from tests.release.folded import at, begun, journal, state

SHIFT = Step("shift", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 10.0})
LOAD = Step("load", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 0.0})


def test_what_is_served_is_the_newest_that_started_and_accepted_the_newest_that_ended() -> None:
    started = [
        *begun(LOAD, SHIFT),
        (1, ev.StepStarted("load")),
        (1, ev.StepEnded("load")),
        (1, ev.StepStarted("shift")),
    ]
    made = state(*started)
    assert (made.served, made.accepted) == (SHIFT.args, LOAD.args)
    refused = state(*started, (1, ev.StepEnded("shift", error="no")))
    assert (refused.served, refused.accepted) == (LOAD.args, LOAD.args)
    ended = state(*started, (1, ev.StepEnded("shift")))
    assert (ended.served, ended.accepted) == (SHIFT.args, SHIFT.args)


def test_requests_can_have_met_what_was_started_with_a_share() -> None:
    assert state(*begun(LOAD), (1, ev.StepStarted("load"))).met == {1}
    assert state(*begun(SHIFT), (1, ev.StepStarted("shift"))).met == {1, 2}


def test_a_new_plan_forgets_the_progress_of_the_old_and_lifts_a_halt() -> None:
    made = state(
        *begun(SHIFT),
        (1, ev.StepStarted("shift")),
        (1, ev.AbortAsked("test")),
        (1, ev.Halted("no", ())),
        begun(LOAD)[1],
    )
    assert made.deployment is not None
    assert dict(made.deployment.progress) == {}
    assert (made.deployment.abort_asked, made.deployment.halted) == (None, None)


def test_an_end_makes_it_live_and_a_superseded_one_does_not() -> None:
    done = state(*begun(), (1, ev.Ended(2, "done")))
    assert (done.live, done.lived, done.active) == (2, (2,), None)
    superseded = state(*begun(), (1, ev.Superseded(2)), (1, ev.Ended(1, "superseded")))
    assert (superseded.live, superseded.active) == (None, None)


def test_confirming_disarms_and_extending_arms_anew() -> None:
    armed = begun(ask={"confirm_within_s": 10.0})
    made = state(*armed).deployment
    assert made is not None
    assert made.armed
    extended = state(*armed, (1, ev.Confirmed("test", 99.0))).deployment
    assert extended is not None
    assert (extended.armed, extended.confirm_within_s, extended.deadline_from) == (True, 99.0, at(3))
    confirmed = state(*armed, (1, ev.Confirmed("test"))).deployment
    assert confirmed is not None
    assert not confirmed.armed


def test_only_the_newest_notes_are_at_hand() -> None:
    made = state(*((None, ev.Noted(f"note {n}")) for n in range(NOTES + 7)))
    assert len(made.notes) == NOTES
    assert made.notes[-1][1].what == f"note {NOTES + 6}"


def test_a_tag_names_one_release_and_can_be_taken_away() -> None:
    made = state((None, ev.Tagged("a", 1)), (None, ev.Tagged("a", 2)), (None, ev.Tagged("b", 1)))
    assert dict(made.tags) == {"a": 2, "b": 1}
    assert dict(state((None, ev.Tagged("a", 1)), (None, ev.Tagged("a", None))).tags) == {}


STORY: list[tuple[int | None, ev.Body]] = [
    (None, ev.TookOver(1, 7)),
    (None, ev.Released(2, "x")),
    *begun(LOAD, SHIFT, ask={"confirm_within_s": 9.0}),
    (1, ev.StepStarted("load")),
    (1, ev.StepEnded("load", {"took_ms": 1.0})),
    (1, ev.StepStarted("shift")),
    (1, ev.StepEnded("shift", error="no")),
    (None, ev.Judged(2, "bad", "veto", "no")),
    (None, ev.Quarantined(2, {"gateway": "x"}, "no")),
    (1, ev.Ended(1, "went back")),
]


@given(st.integers(0, len(STORY)))
@settings(max_examples=20)
def test_folding_in_two_pieces_is_folding_at_once(cut: int) -> None:
    events = journal(*STORY)
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_a_state_from_json_is_the_state() -> None:
    def through_json(event: ev.Event) -> ev.Event:
        raw: Any = json.loads(canonical(ev.write_body(event.body)))
        return ev.Event(event.seq, event.epoch, event.deployment, event.at, ev.read_body(raw))

    events = journal(*STORY)
    assert fold(map(through_json, events)) == fold(events)
    assert fold(()) == State()
