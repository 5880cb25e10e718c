"""Everything the journal holds comes back as it was written."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from lastgood.config.configuration import canonical
from lastgood.release import events as ev
from lastgood.release.events import read_body, write_body
from lastgood.release.plan import Plan, read_plan, write_plan
from lastgood.release.step import Cond, Step

TEXT = st.text(max_size=12)
NUMBER = st.integers(1, 10_000)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGS = st.dictionaries(TEXT, PLAIN, max_size=4)
CONDS = st.builds(Cond, TEXT, TEXT, st.sampled_from(("==", "!=", ">=", "<=", "in")), PLAIN)
STEPS = st.builds(
    Step,
    TEXT,
    TEXT,
    TEXT,
    ARGS,
    st.frozensets(TEXT, max_size=3),
    st.lists(CONDS, max_size=2).map(tuple),
    st.none() | CONDS,
    st.none() | st.floats(0, 1e6),
    st.sampled_from(("retreat", "halt")),
    st.booleans(),
    TEXT,
)
PLANS = st.builds(
    Plan,
    TEXT,
    NUMBER,
    TEXT,
    st.sampled_from(("deploy", "rollback", "retreat", "finalize")),
    st.none() | NUMBER,
    NUMBER,
    st.none() | NUMBER,
    st.lists(STEPS, max_size=4).map(tuple),
    st.lists(NUMBER, max_size=3).map(tuple),
    ARGS,
)
FLOATS = st.floats(0, 1e9)
BODIES = {
    ev.Released: st.builds(ev.Released, NUMBER, TEXT),
    ev.Requested: st.builds(
        ev.Requested, st.just("deploy"), NUMBER, st.none() | NUMBER, TEXT, TEXT, st.none() | FLOATS, st.none() | NUMBER
    ),
    ev.Planned: st.builds(ev.Planned, PLANS, TEXT),
    ev.StepStarted: st.builds(ev.StepStarted, TEXT, NUMBER),
    ev.StepEnded: st.builds(ev.StepEnded, TEXT, ARGS, st.none() | TEXT),
    ev.Judged: st.builds(ev.Judged, NUMBER, st.just("good"), st.just("timed"), TEXT, TEXT),
    ev.Measured: st.builds(ev.Measured, NUMBER, NUMBER, TEXT, ARGS),
    ev.Confirmed: st.builds(ev.Confirmed, TEXT, st.none() | FLOATS),
    ev.Promoted: st.builds(ev.Promoted, TEXT, st.none() | TEXT),
    ev.Paused: st.builds(ev.Paused, TEXT, st.booleans()),
    ev.Doubted: st.builds(ev.Doubted, TEXT),
    ev.AbortAsked: st.builds(ev.AbortAsked, TEXT, TEXT),
    ev.Superseded: st.builds(ev.Superseded, NUMBER),
    ev.Halted: st.builds(ev.Halted, TEXT, st.lists(TEXT, max_size=3).map(tuple)),
    ev.Ended: st.builds(ev.Ended, st.none() | NUMBER, st.just("done"), TEXT),
    ev.Quarantined: st.builds(ev.Quarantined, NUMBER, st.dictionaries(TEXT, TEXT, max_size=3), TEXT, st.booleans()),
    ev.Held: st.builds(ev.Held, TEXT, NUMBER, TEXT, st.booleans()),
    ev.Tagged: st.builds(ev.Tagged, TEXT, st.none() | NUMBER),
    ev.Noted: st.builds(ev.Noted, TEXT, st.just("warning")),
    ev.TookOver: st.builds(ev.TookOver, NUMBER, NUMBER, st.none() | FLOATS),
}


@given(PLANS)
@settings(max_examples=60)
def test_a_plan_comes_back(plan: Plan) -> None:
    assert read_plan(json.loads(canonical(write_plan(plan)))) == plan


@pytest.mark.parametrize("kind", ev.Body.__args__, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_comes_back(kind: type) -> None:
    @given(BODIES[kind])
    @settings(max_examples=25)
    def comes_back(body: ev.Body) -> None:
        assert read_body(json.loads(canonical(write_body(body)))) == body

    comes_back()


def test_what_is_written_is_the_same_bytes_each_time() -> None:
    """Sets have another order in every process; what is hashed must not."""
    needs = [f"step-{n:02}" for n in range(30)]
    step = Step("a", "gateway", "serve", {"b": 1, "a": 2}, frozenset(needs))
    plan = Plan("d1.1", 1, "b", "deploy", None, 1, None, (step,), (1,))
    assert write_plan(plan)["steps"][0]["needs"] == needs
