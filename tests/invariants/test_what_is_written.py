"""What the journal keeps of a step's effect, and the proof that outlives the plan it was made by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lastgood.operations.loop import Loop
from lastgood.operations.reporting import convergence
from lastgood.release import events as ev
from lastgood.release.state import fold
from lastgood.release.step import Step
from lastgood.release.strategies import routes
from tests.invariants.scenes import events_of, on_first, played
from tests.release.folded import begun, journal, plan
from tests.simulation.scenario import deployed, draft

BACK: dict[str, Any] = {"intent": "rollback", "source": 2, "target": 1}


def test_what_a_start_came_to_is_journalled_although_it_is_waited_for() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))

    played(sim, script)
    started = [event.body for event in events_of(sim, ev.StepEnded) if event.body.step == "start:catalog"]
    assert started, "nothing was started"
    assert all("began_s" in body.result for body in started)


def test_the_proof_of_a_way_back_outlives_a_second_look_at_what_was_under_way() -> None:
    """Planned again because something may have come to life meanwhile: the requests were back already."""
    shift = routes.serve("shift", 1, 2, 0.0, "shift", frozenset())
    stop = Step("stop:catalog:v2", "service:catalog", "stop")
    result = {"acknowledged": ["proxy-1"], "away": [], "took_ms": 2.0, "began_s": 2.5}
    again = replace(plan(stop, **BACK), id="d1.2")
    bodies = [
        *begun(shift, **BACK),
        (1, ev.StepStarted("shift")),
        (1, ev.StepEnded("shift", result)),
        (1, ev.Planned(again, "what was under way before has ended")),
    ]
    found = fold(journal(*bodies)).deployments[1]
    proof = convergence(found)
    assert proof is not None
    assert (proof["acknowledged"], proof["of"], proof["effective_ms"]) == (["proxy-1"], 1, 1502.0)
    forward = replace(plan(stop), id="d1.3")
    assert convergence(fold(journal(*bodies, (1, ev.Planned(forward)))).deployments[1]) is None
