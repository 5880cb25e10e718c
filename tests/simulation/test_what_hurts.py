"""What hurts the users of today's tools, each a scenario by the number of the list it comes from.

1 traffic before capacity, 2 rollbacks that replay the canary, 3 stuck deployments and hooks of the wrong version, 4 the
target is gone, 5 the target cannot be found, 6 an abort that does not abort, 7 a failure that did not stop it, 8 loops.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lastgood.errors import Conflict, Refused
from lastgood.operations.loop import Loop
from lastgood.release.events import StepStarted
from lastgood.release.step import WAITS, Step
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.invariants.scenes import aborted, events_of, marked, played, state_of
from tests.simulation.scenario import deployed, do_deploy, do_rollback, move, shop

CANARY = move("canary", steps=(10.0, 50.0), hold_s=300.0, keep_old_s=60.0)
GREEN = move("blue_green", keep_old_s=60.0)
ROLLING = move("rolling")
STRATEGIES = pytest.mark.parametrize("way", [GREEN, CANARY, ROLLING], ids=["blue-green", "canary", "rolling"])


def version(name: str, way: dict[str, Any], **settings: Any) -> Any:
    return shop(name, {"catalog": name}, {"catalog": way}, **settings)


def on_second(way: dict[str, Any]) -> Simulation:
    """r2 is good and r1 is cold."""
    sim = Simulation()

    async def two(loop: Loop) -> None:
        await deployed(loop, version("v1", way))
        await deployed(loop, version("v2", way))

    played(sim, two)
    assert sim.system.instances == {("catalog", "v2"): 3}
    return sim


def on_its_way(way: dict[str, Any], *, for_s: float = 1.0, **settings: Any) -> Simulation:
    """r1 is good, r2 was begun."""
    sim = Simulation()

    async def begun(loop: Loop) -> None:
        await deployed(loop, version("v1", way))
        await do_deploy(loop, version("v2", way, **settings))
        await asyncio.sleep(for_s)

    played(sim, begun)
    return sim


async def back(loop: Loop) -> None:
    await do_rollback(loop, "r1")
    await at_rest(loop)


def steps_of(sim: Simulation, deployment: int) -> tuple[Step, ...]:
    plan = state_of(sim).deployments[deployment].plan
    assert plan is not None
    return plan.steps


# --- 1 ---------------------------------------------------------------------------------------------------------------


@STRATEGIES
def test_1_no_request_moves_before_the_version_it_moves_to_has_capacity(way: dict[str, Any]) -> None:
    sim = on_second(way)
    sim.system.seconds_per_effect = 30.0  # slow to start: whoever does not wait is found out
    played(sim, back)
    assert (sim.system.base, sim.system.instances) == (1, {("catalog", "v1"): 3})
    assert sim.system.violations == []


@STRATEGIES
def test_1_requests_stay_where_something_answers_when_the_old_version_does_not_come_up(way: dict[str, Any]) -> None:
    sim = on_second(way)
    sim.system.broken.add("v1")
    state = played(sim, back)
    assert state.deployment is not None
    assert state.deployment.halted is not None
    assert sim.system.violations == []
    assert sim.system.instances[("catalog", "v2")] >= 3, "the healthy one is not taken away"


@pytest.mark.parametrize("settings", [{}, {"batch": 3, "surge": 3}, {"surge": 0, "unavailable": 2}], ids=str)
def test_1_never_all_instances_at_once(settings: dict[str, Any]) -> None:
    sim = on_second(move("rolling", **settings))
    played(sim, back)
    assert sim.system.violations == []


# --- 2 ---------------------------------------------------------------------------------------------------------------


@STRATEGIES
def test_2_a_rollback_waits_for_no_hold_no_bake_and_nobody(way: dict[str, Any]) -> None:
    for sim in (on_second(way), on_its_way(way), on_its_way(way, for_s=400.0)):
        began_s = sim.now_s

        async def returned(loop: Loop, sim: Simulation = sim) -> None:
            await do_rollback(loop, "r1")
            while sim.system.reachable() != {1}:
                await asyncio.sleep(0.001)

        played(sim, returned)
        assert sim.now_s - began_s < 1.0
        assert not {step.verb for step in steps_of(sim, 3)} & (WAITS | {"preflight", "smoke"})


@STRATEGIES
def test_2_a_deployment_of_what_was_good_does_not_replay_it_either(way: dict[str, Any]) -> None:
    sim = on_second(way)

    async def again(loop: Loop) -> None:
        await deployed(loop, version("v1", way))

    state = played(sim, again)
    assert not {step.verb for step in steps_of(sim, 3)} & WAITS
    assert state.verdict(3).basis == "inherited"


# --- 3 ---------------------------------------------------------------------------------------------------------------


@STRATEGIES
def test_3_a_controller_that_died_leaves_nothing_pending(way: dict[str, Any]) -> None:
    for crash_at in range(1, 60, 4):
        sim = Simulation()

        async def first(loop: Loop) -> None:
            await deployed(loop, version("v1", way))

        async def second(loop: Loop) -> None:
            await deployed(loop, version("v2", way))

        played(sim, first)
        sim.live(second, Gates(crash_at=crash_at))
        met = 2 in state_of(sim).met

        async def on(loop: Loop, met: bool = met) -> None:
            if met:
                await do_rollback(loop, "r1")
            await at_rest(loop)
            await deployed(loop, version("v3", way))

        state = played(sim, on)
        assert state.deployment is None
        assert sim.system.instances == {("catalog", "v3"): 3}, crash_at
        assert sim.system.violations == []


def test_3_hooks_are_those_of_the_version_they_belong_to() -> None:
    hooks = {"before": 5.0, "confirm_promotion": 5.0, "after": 5.0, "undo": 5.0}
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, version("v1", move("blue_green", hooks=hooks)))
        sim.system.hooks.clear()
        await do_deploy(loop, version("v2", move("blue_green", hooks=hooks)))
        await asyncio.sleep(5)
        assert sim.system.hooks == [("before", 2), ("confirm_promotion", 2)]
        await do_rollback(loop, "r1")
        await at_rest(loop)

    played(sim, script)
    assert sim.system.hooks[2:] == [("undo", 2)], "nothing of r1 runs, and r2 undoes by its own hook"


# --- 4 ---------------------------------------------------------------------------------------------------------------


def test_4_a_target_from_long_ago_comes_back_with_all_that_was_its_own() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await deployed(loop, version("v1", GREEN, instances=5))
        for number in range(2, 30):
            await deployed(loop, version(f"v{number}", GREEN))
        await back(loop)

    played(sim, script)
    [start] = [step for step in steps_of(sim, 30) if step.verb == "start"]
    assert start.args == {"release": 1, "digest": "v1", "instances": 5}, "its settings are asked of r1, not of today"
    assert sim.system.instances == {("catalog", "v1"): 5}


# --- 5 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [None, "previous", "r1", "r2~1"])
def test_5_a_target_is_found_by_what_people_call_it(target: str | None) -> None:
    sim = on_second(GREEN)

    async def named(loop: Loop) -> None:
        answer = await do_rollback(loop, target)
        assert answer["release"] == 1
        await at_rest(loop)

    assert played(sim, named).live == 1


# --- 6 ---------------------------------------------------------------------------------------------------------------


@STRATEGIES
@pytest.mark.parametrize("after_s", [0.015, 0.05, 0.1, 1.0, 310.0])
def test_6_an_abort_leaves_nothing_on_the_new_version_and_all_of_the_old_one(
    way: dict[str, Any], after_s: float
) -> None:
    sim = on_its_way(way, for_s=after_s, bake_s=900.0)
    played(sim, _abort)
    system = sim.system
    assert (system.base, system.candidate, system.percent) == (1, None, 0.0)
    assert system.instances == {("catalog", "v1"): 3}
    assert system.violations == [], "the stable version is not scaled down for a moment"


async def _abort(loop: Loop) -> None:
    await aborted(loop)
    await at_rest(loop)


# --- 7 ---------------------------------------------------------------------------------------------------------------


@STRATEGIES
def test_7_a_bad_verdict_in_the_middle_stops_it_at_once(way: dict[str, Any]) -> None:
    sim = on_its_way(way)
    began_s = sim.now_s

    async def judged(loop: Loop) -> None:
        await marked(loop, 2, "bad")
        while sim.system.reachable() != {1}:
            await asyncio.sleep(0.001)

    played(sim, judged)
    assert sim.now_s - began_s < 1.0


def test_7_a_hook_that_says_go_back_is_heard_while_it_is_held_and_while_it_bakes() -> None:
    for wait_s in (10.0, 630.0):
        sim = on_its_way({**CANARY, "hooks": {"on_rollback": 2.0}}, for_s=wait_s)

        async def said(loop: Loop, sim: Simulation = sim) -> None:
            sim.system.says_back.add(2)
            await asyncio.sleep(5)
            await at_rest(loop)

        state = played(sim, said)
        assert (sim.system.base, sim.system.percent) == (1, 0.0)
        assert "says: go back" in state.verdict(2).evidence


def test_7_a_hook_that_says_nothing_lets_it_pass() -> None:
    sim = on_its_way({**CANARY, "hooks": {"on_rollback": 2.0}})
    assert played(sim, at_rest).live == 2


def test_7_a_version_that_fails_its_checks_gets_no_request_at_all() -> None:
    sim = Simulation()
    sim.system.smoking.add("v2")

    async def script(loop: Loop) -> None:
        await deployed(loop, version("v1", {**CANARY, "smoke": 1}))
        await deployed(loop, version("v2", {**CANARY, "smoke": 1}))

    state = played(sim, script)
    assert 2 not in state.met
    assert "answers 500" in state.verdict(2).evidence


def test_7_silence_condemns_nothing() -> None:
    sim = on_its_way(CANARY)
    state = played(sim, at_rest)
    assert (state.live, state.verdict(2).name) == (2, "good")


# --- 8 ---------------------------------------------------------------------------------------------------------------


def test_8_what_is_live_is_not_deployed_again() -> None:
    sim = on_second(GREEN)

    async def same(loop: Loop) -> None:
        assert (await do_deploy(loop, version("v2", GREEN)))["nothing_to_do"]

    assert len(played(sim, same).deployments) == 2


def test_8_what_failed_is_not_tried_again_by_automation() -> None:
    sim = on_its_way(CANARY)

    async def follows(loop: Loop) -> None:
        await marked(loop, 2, "bad")
        await at_rest(loop)
        with pytest.raises(Refused, match="held"):
            await do_deploy(loop, version("v2", CANARY), automatic=True)

    played(sim, follows)


def test_8_a_rollback_that_fails_is_not_rolled_back() -> None:
    sim = on_second(GREEN)
    sim.system.broken.add("v1")
    state = played(sim, back)
    assert [d.asked.intent for d in state.deployments.values()] == ["deploy", "deploy", "rollback"]
    assert {plan.target for d in state.deployments.values() if (plan := d.plan)} == {1, 2}
    started = [event.body.step for event in events_of(sim, StepStarted) if event.deployment == 3]
    assert len(started) < 10, "it halts, it does not turn in circles"


def test_8_a_second_rollback_to_the_same_place_is_refused_while_the_first_is_under_way() -> None:
    sim = on_its_way(GREEN)

    async def twice(loop: Loop) -> None:
        await do_rollback(loop, "r1")
        with pytest.raises(Conflict, match="on its way back"):
            await do_rollback(loop, "r1")
        await at_rest(loop)

    assert played(sim, twice).live == 1
