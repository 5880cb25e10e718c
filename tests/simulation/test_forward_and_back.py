from __future__ import annotations

import asyncio

from lastgood.operations.loop import Loop
from lastgood.testing.simulation import Simulation, at_rest
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft


def test_a_release_goes_live_bakes_and_is_known_good() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("one", service="v1", schema="001"))
        await deployed(loop, draft("two", service="v2", schema="002"))

    assert sim.live(script) is None
    assert sim.loop is not None
    state = sim.loop.state
    assert (sim.system.base, sim.system.candidate) == (2, None)
    assert state.live == 2
    assert state.verdict(2).name == "good"
    assert state.verdict(2).basis == "timed"
    assert sim.system.instances == {("catalog", "v2"): 2}
    assert sim.system.schema == {"main": "002"}
    assert not sim.system.violations


def test_rollback_while_it_bakes_is_one_shift_and_the_commit_is_reverted() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("one", service="v1"))
        await do_deploy(loop, draft("two", service="v2"))
        await asyncio.sleep(5)
        answer = await do_rollback(loop)
        assert answer["release"] == 1
        await at_rest(loop)

    assert sim.live(script) is None
    assert sim.loop is not None
    state = sim.loop.state
    assert (sim.system.base, sim.system.candidate, state.live) == (1, None, 1)
    plan = state.deployments[3].plan
    assert plan is not None
    assert [step.id for step in plan.steps][:3] == ["shift", "converged", "settle"]
    assert sim.system.reverts == [("commit-two", "commit-one")]
    assert state.verdict(2).name == "bad"
    assert not sim.system.violations
