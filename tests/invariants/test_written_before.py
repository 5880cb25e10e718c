"""Invariants 2 and 3: the plan and the start of a step are in the journal before anything moves, and never twice."""

from __future__ import annotations

import asyncio

import pytest

from lastgood.operations.loop import Loop
from lastgood.release.events import Ended, Planned, StepEnded, StepStarted
from lastgood.release.step import Step
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.invariants.scenes import is_waiting, marked, on_first, played, until
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft


class Witness:
    """Looks into the journal whenever an effect is about to happen."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.missing: list[str] = []
        self.seen: list[tuple[str, str]] = []

    def __call__(self, step: Step, nth: int) -> None:
        plan, started = "", False
        for event in self._sim.pages.events:
            match event.body:
                case Planned(plan=made):
                    plan, started = made.id, False
                case StepStarted(step=begun) if begun == step.id:
                    started = True
                case StepEnded(step=ended) if ended == step.id:
                    started = False
        if not started:
            self.missing.append(f"{plan}/{step.id}")
        self.seen.append((plan, step.id))


async def forward(loop: Loop) -> None:
    await deployed(loop, draft("two", service="v2", schema="002"))


async def there_and_back(loop: Loop) -> None:
    await forward(loop)
    await do_rollback(loop)
    await at_rest(loop)


async def taken_back(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2"), percent=10.0)
    await until(loop, lambda state: is_waiting(state, "hold"))
    await marked(loop, 2, "bad")
    await at_rest(loop)


async def interrupted(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2"))
    await asyncio.sleep(0.015)
    await do_rollback(loop, "previous")
    await at_rest(loop)


@pytest.mark.parametrize("story", [forward, there_and_back, taken_back, interrupted], ids=lambda story: story.__name__)
def test_nothing_moves_before_it_is_written_and_nothing_is_asked_for_twice(story: object) -> None:
    sim = on_first(schema="001")
    witness = Witness(sim)
    played(sim, story, Gates(fail=witness))  # type: ignore[arg-type]
    assert witness.seen
    assert witness.missing == []
    assert len(witness.seen) == len(set(witness.seen))


def test_every_start_has_one_end_and_nothing_follows_the_end() -> None:
    sim = on_first()
    played(sim, there_and_back)
    open_steps: dict[int, set[str]] = {}
    over: set[int] = set()
    for event in sim.pages.events:
        owner = event.deployment or 0
        assert owner not in over, event
        match event.body:
            case StepStarted(step=step):
                assert step not in open_steps.setdefault(owner, set())
                open_steps[owner].add(step)
            case StepEnded(step=step):
                open_steps[owner].remove(step)
            case Ended():
                over.add(owner)
    assert not any(open_steps.values())
