"""A new version that waits to be looked at before any request moves."""

from __future__ import annotations

import asyncio

from lastgood.operations import steer
from lastgood.operations.loop import Loop
from lastgood.testing.simulation import Simulation, at_rest
from tests.invariants.scenes import aborted, played
from tests.simulation.scenario import deployed, do_deploy, move, shop

GREEN = move("blue_green", preview_s=300.0, keep_old_s=60.0)


def looked_at() -> Simulation:
    sim = Simulation()

    async def begun(loop: Loop) -> None:
        await deployed(loop, shop("one", {"catalog": "v1"}, {"catalog": GREEN}))
        await do_deploy(loop, shop("two", {"catalog": "v2"}, {"catalog": GREEN}))
        await asyncio.sleep(10)

    played(sim, begun)
    assert (sim.system.candidate, sim.system.percent) == (2, 0.0)
    assert sim.system.instances == {("catalog", "v1"): 3, ("catalog", "v2"): 3}, "at full capacity beside the old one"
    return sim


def test_it_switches_by_itself_when_the_time_is_over() -> None:
    sim = looked_at()
    assert played(sim, at_rest).live == 2


def test_a_person_who_likes_it_promotes_it_and_one_who_does_not_aborts() -> None:
    sim = looked_at()

    async def likes(loop: Loop) -> None:
        await loop.ask(lambda view: steer.promote("test", view))
        await asyncio.sleep(1)
        assert sim.system.percent == 100.0

    played(sim, likes)
    other = looked_at()

    async def dislikes(loop: Loop) -> None:
        await aborted(loop)
        await at_rest(loop)

    state = played(other, dislikes)
    assert (state.live, 2 in state.met) == (1, False)
    assert other.system.instances == {("catalog", "v1"): 3}
