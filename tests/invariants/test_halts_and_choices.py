"""Invariant 5: where neither way is safe, the system halts, serves on, and prints commands that work."""

from __future__ import annotations

import asyncio

import pytest

from lastgood.errors import Refused
from lastgood.operations.loop import Loop
from lastgood.release.events import Halted
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.invariants.scenes import (
    aborted,
    events_of,
    is_waiting,
    marked,
    on_first,
    played,
    retried,
    state_of,
    until,
)
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft


def test_a_first_release_marked_bad_halts_once_and_serves_on() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 1, "bad")
        await asyncio.sleep(5)

    state = played(sim, script)
    assert state.deployment is not None
    assert state.deployment.halted is not None
    assert len(events_of(sim, Halted)) == 1
    assert sim.system.base == 1


def test_a_first_release_cannot_be_aborted_to_nothing_and_serves_on() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        with pytest.raises(Refused, match="nothing to go back to"):
            await aborted(loop)
        await at_rest(loop)

    assert played(sim, script).live == 1
    assert not events_of(sim, Halted)


def test_a_first_release_nobody_confirms_halts_once_and_serves_on() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"), confirm_within_s=10.0)
        await asyncio.sleep(30)

    played(sim, script)
    assert len(events_of(sim, Halted)) == 1


def halted_way_back() -> Simulation:
    """r1 -> r2 bakes, a person goes back, and no attempt of the shift works."""
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await do_rollback(loop)
        await at_rest(loop)

    failing = Gates(fail=lambda step, nth: "no answer" if step.id == "shift" and not step.args["percent"] else None)
    played(sim, script, failing)
    assert state_of(sim).deployment is not None
    return sim


def test_every_choice_that_a_halted_way_back_prints_can_be_taken() -> None:
    for n in (0, 1):
        sim = halted_way_back()
        deployment = state_of(sim).deployment
        assert deployment is not None
        assert deployment.halted is not None
        choice = deployment.halted.choices[n]

        async def script(loop: Loop, choice: str = choice) -> None:
            if choice == "lastgood retry":
                await retried(loop)
            else:
                await do_rollback(loop, choice.removeprefix("lastgood rollback "))
            await at_rest(loop)

        state = played(sim, script)
        assert state.deployment is None
        assert sim.system.base == (1 if choice == "lastgood retry" else 2)


def test_a_retried_way_back_still_writes_the_revert_commit() -> None:
    sim = halted_way_back()

    async def script(loop: Loop) -> None:
        await retried(loop)
        await at_rest(loop)

    played(sim, script)
    assert sim.system.reverts == [("commit-two", "commit-one")]


def test_retry_after_a_halt_without_a_way_back_goes_on() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 1, "bad")
        await until(loop, lambda state: state.deployment is not None and state.deployment.halted is not None)
        await retried(loop)
        await at_rest(loop)

    state = played(sim, script)
    assert state.deployment is None
    assert state.live == 1


def test_retry_keeps_the_bake_the_share_and_the_dead_mans_switch() -> None:
    """Only a first deployment halts forward; what was asked for it must hold for the next try."""
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1", bake_s=5.0), confirm_within_s=60.0)
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 1, "bad")
        await until(loop, lambda state: state.deployment is not None and state.deployment.halted is not None)
        before = loop.state.deployment
        await retried(loop)
        after = loop.state.deployment
        assert before is not None
        assert after is not None
        assert before.plan is not None
        assert after.plan is not None
        assert [step.args for step in after.plan.steps if step.verb == "bake"] == [{"release": 1, "for_s": 5.0}]
        assert any(step.verb == "confirm" for step in after.plan.steps)

    played(sim, script)


def test_the_old_version_dies_during_the_bake_and_no_request_is_sent_to_it() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        sim.system.broken.add("v1")
        await do_rollback(loop)
        await at_rest(loop)

    played(sim, script)
    assert sim.system.violations == []


def test_the_new_version_dies_before_the_shift_and_no_request_is_sent_to_it() -> None:
    sim = on_first()

    def dies(step: object, nth: int) -> None:
        if getattr(step, "id", "") == "load":
            sim.system.broken.add("v2")

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))

    state = played(sim, script, Gates(fail=dies))
    assert sim.system.violations == []
    assert sim.system.base == 1
    assert 2 not in state.met
    assert sim.system.reverts == [], "no request ever met it"


def test_a_way_back_starts_as_many_instances_as_served_before() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        assert sim.system.instances == {("catalog", "v2"): 2}
        await do_rollback(loop)
        await at_rest(loop)

    played(sim, script)
    assert sim.system.instances == {("catalog", "v1"): 2}


def test_a_retreat_starts_as_many_instances_as_served_before() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        sim.system.instances[("catalog", "v1")] = 1
        await marked(loop, 2, "bad")
        await at_rest(loop)

    played(sim, script)
    assert sim.system.instances == {("catalog", "v1"): 2}


def test_a_person_may_change_their_mind_while_a_way_back_is_under_way() -> None:
    sim = on_first()
    sim.system.seconds_per_effect = 1.0

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2", bake_s=100))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await do_rollback(loop)
        await asyncio.sleep(1.5)
        assert sim.system.percent == 0.0
        await do_rollback(loop, "r2")
        await at_rest(loop)

    played(sim, script)
    assert sim.system.base == 2
