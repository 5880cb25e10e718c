"""What a person may do about a deployment on its way: promote, pause, resume, abort, retry."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from lastgood.errors import Conflict, Refused
from lastgood.operations import steer
from lastgood.operations.loop import Loop
from lastgood.testing.simulation import Simulation, at_rest
from tests.invariants.scenes import aborted, marked, played, retried
from tests.simulation.scenario import deployed, do_deploy, do_rollback, move, shop

CANARY = move("canary", steps=(5.0, 25.0, 50.0), hold_s=100.0, keep_old_s=60.0)
ONE, TWO = (shop(name, {"catalog": name}, {"catalog": CANARY}, instances=20) for name in ("v1", "v2"))


async def promoted(loop: Loop, *, full: bool = False) -> None:
    await loop.ask(lambda view: steer.promote("test", view, full=full))
    await asyncio.sleep(1)


async def paused(loop: Loop) -> None:
    await loop.ask(partial(steer.pause, "test"))


async def resumed(loop: Loop) -> None:
    await loop.ask(partial(steer.resume, "test"))


def shares(sim: Simulation) -> tuple[float, int, int]:
    """The share of the canary, its instances, and those of the stable version."""
    count = sim.system.instances.get
    return sim.system.percent, count(("catalog", "v2"), 0), count(("catalog", "v1"), 0)


def on_canary() -> Simulation:
    sim = Simulation()

    async def first(loop: Loop) -> None:
        await deployed(loop, ONE)
        await do_deploy(loop, TWO)
        await asyncio.sleep(1)

    played(sim, first)
    return sim


def test_a_canary_climbs_by_itself_holding_each_share_and_keeping_the_stable_one_whole() -> None:
    sim, seen = Simulation(), []

    async def script(loop: Loop) -> None:
        await deployed(loop, ONE)
        await do_deploy(loop, TWO)
        for _ in range(4):
            await asyncio.sleep(50)
            seen.append(shares(sim))
            await asyncio.sleep(51)
        await at_rest(loop)

    state = played(sim, script)
    assert seen == [(5.0, 1, 20), (25.0, 5, 20), (50.0, 10, 20), (100.0, 20, 20)]
    assert shares(sim) == (0.0, 20, 0)
    assert (sim.system.base, state.verdict(2).name) == (2, "good")
    assert sim.system.violations == []


@pytest.mark.parametrize("jump_s", [-31_536_000.0, -3600.0, 3600.0, 31_536_000.0])
def test_a_wall_clock_that_is_set_lengthens_and_shortens_no_hold(jump_s: float) -> None:
    """Nor how long the old version stays warm: at the end there is as much of either as without the jump."""
    sim = on_canary()

    async def script(loop: Loop) -> None:
        sim.clock.wall_offset_s += jump_s
        await asyncio.sleep(90)
        assert shares(sim)[0] == 5.0
        await asyncio.sleep(15)
        assert shares(sim)[0] == 25.0
        sim.clock.wall_offset_s -= 2 * jump_s
        await asyncio.sleep(80)
        assert shares(sim)[0] == 25.0
        await asyncio.sleep(120)
        assert shares(sim) == (100.0, 20, 20)
        sim.clock.wall_offset_s += jump_s
        await at_rest(loop)

    state = played(sim, script)
    assert shares(sim) == (0.0, 20, 0)
    assert state.verdict(2).name == "good"
    assert sim.system.violations == []


def test_promote_ends_one_hold() -> None:
    sim = on_canary()
    assert shares(sim)[0] == 5.0

    async def script(loop: Loop) -> None:
        await promoted(loop)
        assert shares(sim)[0] == 25.0
        await asyncio.sleep(90)
        assert shares(sim)[0] == 25.0, "the next hold is held for its own time"

    played(sim, script)


def test_promote_full_passes_over_every_hold_and_not_over_capacity() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await promoted(loop, full=True)
        assert shares(sim) == (100.0, 20, 20)
        with pytest.raises(Refused, match="not on hold"):
            await promoted(loop, full=True)

    state = played(sim, script)
    assert state.verdict(2).name == "baking", "it is judged all the same"
    assert sim.system.violations == []


@pytest.mark.parametrize("share", [5.0, 25.0, 50.0, 100.0])
def test_from_any_share_the_way_back_is_one_shift_at_once(share: float) -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        while sim.system.percent < share:
            await promoted(loop)
        await do_rollback(loop, "r1")
        await asyncio.sleep(0.015)
        assert sim.system.percent == 0.0
        await at_rest(loop)

    state = played(sim, script)
    plan = state.deployments[3].plan
    assert plan is not None
    assert plan.steps[0].verb == "serve"
    assert plan.steps[0].needs == frozenset()
    assert sim.system.instances == {("catalog", "v1"): 20}


def test_a_pause_holds_the_share_and_ends_no_timer_until_it_is_resumed() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await paused(loop)
        await asyncio.sleep(5000)
        assert shares(sim) == (5.0, 1, 20)
        with pytest.raises(Refused, match="is paused"):
            await promoted(loop)
        with pytest.raises(Refused, match="paused already"):
            await paused(loop)
        await resumed(loop)
        await asyncio.sleep(1)
        assert shares(sim)[0] == 25.0
        with pytest.raises(Refused, match="not paused"):
            await resumed(loop)

    played(sim, script)


def test_a_pause_outlives_the_controller() -> None:
    sim = on_canary()
    played(sim, paused)

    async def later(loop: Loop) -> None:
        await asyncio.sleep(5000)
        assert shares(sim)[0] == 5.0

    assert played(sim, later).deployments[2].paused


def test_a_bake_that_is_paused_earns_no_verdict() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await promoted(loop, full=True)
        await paused(loop)
        await asyncio.sleep(5000)
        assert loop.state.verdict(2).name == "baking"

    played(sim, script)


def test_what_is_paused_goes_back_all_the_same() -> None:
    for way_back in (aborted, partial(marked, release=2, verdict="bad")):
        sim = on_canary()

        async def script(loop: Loop, way_back: object = way_back) -> None:
            await paused(loop)
            await way_back(loop)  # type: ignore[operator]
            await at_rest(loop)

        played(sim, script)
        assert shares(sim) == (0.0, 0, 20)


def test_a_way_back_is_not_paused() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await do_rollback(loop, "r1")
        with pytest.raises(Refused, match="nothing may hold up"):
            await paused(loop)
        await at_rest(loop)

    played(sim, script)


def test_what_was_aborted_is_tried_again_as_the_same_release() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await aborted(loop)
        await at_rest(loop)
        assert sim.system.base == 1
        await retried(loop)
        await asyncio.sleep(1)
        assert shares(sim) == (5.0, 1, 20), "by its own strategy, from the beginning"
        await promoted(loop, full=True)
        await at_rest(loop)

    state = played(sim, script)
    assert sorted(state.releases) == [1, 2]
    assert (state.live, state.verdict(2).name) == (2, "good")


def test_what_failed_is_held_and_not_tried_again() -> None:
    sim = on_canary()

    async def script(loop: Loop) -> None:
        await marked(loop, 2, "bad")
        await at_rest(loop)
        with pytest.raises(Refused, match="held: r2 contains what made r2 bad"):
            await retried(loop)

    played(sim, script)


def test_there_is_nothing_to_retry_after_a_success_or_a_rollback() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, ONE)
        with pytest.raises(Refused, match="did not go back"):
            await retried(loop)
        await deployed(loop, TWO)
        await do_rollback(loop, "r1")
        await at_rest(loop)
        with pytest.raises(Refused, match="none that went back"):
            await retried(loop)

    played(sim, script)


def test_a_branch_that_is_followed_waits_for_the_verdict_and_not_for_the_old_version_to_go() -> None:
    green = move("blue_green", keep_old_s=1800.0)
    one, two, three = (shop(name, {"catalog": name}, {"catalog": green}) for name in ("v1", "v2", "v3"))
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, one)
        await do_deploy(loop, two)
        await asyncio.sleep(30)
        with pytest.raises(Conflict, match="not over"):
            await do_deploy(loop, three, automatic=True)
        await asyncio.sleep(100)
        assert loop.state.verdict(2).name == "good"
        assert sim.system.instances[("catalog", "v1")] == 3, "still warm"
        await do_deploy(loop, three, automatic=True)
        await at_rest(loop)

    state = played(sim, script)
    assert (state.live, sim.system.instances) == (3, {("catalog", "v3"): 3})
    assert state.deployments[2].ended is not None
    assert state.deployments[2].ended.outcome == "done"
    assert sim.system.violations == []


def test_an_abort_while_the_old_version_is_kept_takes_back_and_judges_nothing() -> None:
    green = move("blue_green", keep_old_s=1800.0)
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, shop("v1", {"catalog": "v1"}, {"catalog": green}))
        await do_deploy(loop, shop("v2", {"catalog": "v2"}, {"catalog": green}))
        await asyncio.sleep(100)
        assert loop.state.verdict(2).name == "good"
        await aborted(loop)
        await at_rest(loop)

    state = played(sim, script)
    assert (sim.system.base, state.verdict(2).name) == (1, "good")
