"""Invariants 3, 4, 13: clocks that jump, disks that are full, controllers that come back from the dead."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from lastgood.errors import Fenced, LastgoodError, Refused
from lastgood.operations import steer
from lastgood.operations.loop import Loop
from lastgood.operations.world import World
from lastgood.ports import JournalFull
from lastgood.release.events import Ended, Noted, Requested
from lastgood.release.state import fold
from lastgood.testing.simulation import GatedJournal, Gates, SimDriver, Simulation, at_rest
from lastgood.testing.virtual_time import run_virtual
from tests.invariants.scenes import (
    aborted,
    events_of,
    has_started,
    is_waiting,
    on_first,
    played,
    state_of,
    until,
)
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft

YEAR_S = 365 * 86_400.0


async def second_bakes(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2"))
    await until(loop, lambda state: is_waiting(state, "bake"))


async def second_waits_to_be_confirmed(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2"), confirm_within_s=600.0)
    await until(loop, lambda state: is_waiting(state, "confirm"))


# --- clocks -----------------------------------------------------------------------------------------------------


def test_the_dead_mans_switch_acts_after_a_reboot_by_the_wall_clock() -> None:
    sim = on_first()
    played(sim, second_waits_to_be_confirmed)
    sim.clock.boot = "boot-2"
    sim.clock.wall_offset_s += 590.0

    async def look(loop: Loop) -> None:
        await asyncio.sleep(5)
        assert loop.state.deployment is not None
        assert not loop.state.deployment.plan.goes_back  # type: ignore[union-attr]
        await asyncio.sleep(10)
        await at_rest(loop)

    assert played(sim, look).live == 1


@pytest.mark.parametrize("jump_s", [-YEAR_S, YEAR_S, -3600.0])
def test_the_dead_mans_switch_takes_an_implausible_clock_after_a_reboot_for_expired(jump_s: float) -> None:
    sim = on_first()
    played(sim, second_waits_to_be_confirmed)
    sim.clock.boot = "boot-2"
    sim.clock.wall_offset_s += jump_s
    state = played(sim, at_rest)
    assert state.live == 1
    assert state.verdict(2).name == "undecided"


@pytest.mark.parametrize("jump_s", [-YEAR_S, 86_400.0, YEAR_S])
def test_a_wall_clock_that_is_set_within_a_boot_changes_no_timer(jump_s: float) -> None:
    sim = on_first()
    ended_s: list[float] = []

    async def script(loop: Loop) -> None:
        await second_bakes(loop)
        began_s = asyncio.get_running_loop().time()
        sim.clock.wall_offset_s += jump_s
        await until(loop, lambda state: state.verdict(2).name == "good")
        ended_s.append(asyncio.get_running_loop().time() - began_s)

    played(sim, script)
    assert ended_s[0] == pytest.approx(60.0, abs=0.1)


def test_time_without_a_controller_is_not_baked() -> None:
    sim = on_first()
    played(sim, second_bakes)
    sim.now_s += 3600.0

    async def look(loop: Loop) -> None:
        await asyncio.sleep(50)
        assert loop.state.verdict(2).name == "baking"
        await asyncio.sleep(15)

    assert played(sim, look).verdict(2).name == "good"


def test_time_without_a_controller_makes_no_step_late() -> None:
    sim = on_first()
    gates = Gates(crash_at=_gate(sim, "before effect d2.1/load"))
    with pytest.raises(SystemExit):
        played(sim, second_bakes, gates)
    sim.now_s += 7200.0
    state = played(sim, at_rest)
    assert state.verdict(2).name == "good"
    assert state.live == 2


def _gate(sim: Simulation, where: str) -> int:
    """The number of a gate on the way from the first release to the bake of the second."""
    twin, gates = on_first(), Gates()
    played(twin, second_bakes, gates)
    return gates.log.index(where) + 1


# --- a person at the last moment ----------------------------------------------------------------------------------


@pytest.mark.parametrize("early_s", [0.01, 0.0005, 0.0])
def test_who_confirms_at_the_last_moment_is_told_the_truth(early_s: float) -> None:
    """Accepted: it stays. Refused: it goes back. Never one answer and the other deed."""
    sim = on_first()
    confirmed: list[bool] = []

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"), confirm_within_s=10.0)
        await asyncio.sleep(10.0 - early_s)
        try:
            await loop.ask(partial(steer.confirm, "test", None))
            confirmed.append(True)
        except LastgoodError:
            confirmed.append(False)
        await at_rest(loop)

    state = played(sim, script)
    assert state.live == (2 if confirmed[0] else 1)


def test_who_confirms_while_it_goes_back_is_refused() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"), confirm_within_s=10.0)
        await until(loop, lambda state: state.deployment is not None and state.deployment.intent == "retreat")
        with pytest.raises(Refused):
            await loop.ask(partial(steer.confirm, "test", None))
        await at_rest(loop)

    assert played(sim, script).live == 1


def test_an_extended_deadline_counts_from_the_extension() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2", bake_s=1.0), confirm_within_s=10.0)
        await asyncio.sleep(9)
        await loop.ask(partial(steer.confirm, "test", 100.0))
        await asyncio.sleep(95)
        assert loop.state.deployment is not None
        assert not loop.state.deployment.plan.goes_back  # type: ignore[union-attr]
        await asyncio.sleep(10)
        await at_rest(loop)

    assert played(sim, script).live == 1


# --- a full disk --------------------------------------------------------------------------------------------------


def test_a_deployment_is_refused_with_nothing_changed_when_the_disk_is_full() -> None:
    sim = on_first()
    before = len(sim.pages.events)

    async def script(loop: Loop) -> None:
        sim.pages.full = True
        with pytest.raises(JournalFull):
            await do_deploy(loop, draft("two", service="v2"))
        await asyncio.sleep(5)
        sim.pages.full = False

    state = played(sim, script)
    assert sim.system.instances == {("catalog", "v1"): 2}
    assert (state.active, state.live, state.releases) == (None, 1, (1,))
    assert [type(event.body).__name__ for event in sim.pages.events[before:]] == ["TookOver"]


async def _way_back_with_a_disk_full_after(sim: Simulation, loop: Loop, appends: int) -> None:
    await second_bakes(loop)
    journal = loop._world.journal
    there = len(sim.pages.events)
    rolling = asyncio.ensure_future(do_rollback(loop))
    while not rolling.done() or loop.state.deployment is not None:
        if len(sim.pages.events) - there >= appends or appends == 0:
            sim.pages.full = True
        if appends == 0:
            appends = 1
        await asyncio.sleep(0.001)
        if loop.state.deployment is not None and loop.state.deployment.halted:
            break
    await rolling
    assert journal is loop._world.journal


@pytest.mark.parametrize("appends", range(0, 16, 2))
def test_a_way_back_goes_through_a_full_disk_and_is_written_later(appends: int) -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await _way_back_with_a_disk_full_after(sim, loop, appends)
        assert sim.system.base == 1
        assert sim.system.candidate is None
        told = loop.state
        sim.pages.full = False
        await loop.ask(lambda view: steer.tag("room", 1, view))
        assert loop.unjournaled == 0
        again = fold(sim.pages.events)
        assert again.live == told.live == 1
        assert [event.seq for event in sim.pages.events] == list(range(1, len(sim.pages.events) + 1))

    played(sim, script)
    assert state_of(sim).live == 1


def test_what_could_not_be_written_is_written_as_soon_as_there_is_room() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await second_bakes(loop)
        sim.pages.full = True
        await do_rollback(loop)
        await at_rest(loop)
        assert loop.unjournaled > 0
        sim.pages.full = False
        await asyncio.sleep(60)
        assert loop.unjournaled == 0

    played(sim, script)


def test_a_deployment_is_refused_while_events_wait_for_room() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await second_bakes(loop)
        sim.pages.full = True
        await do_rollback(loop)
        await at_rest(loop)
        with pytest.raises(JournalFull):
            await do_deploy(loop, draft("three", service="v3"))
        sim.pages.full = False

    played(sim, script)


@pytest.mark.parametrize("step", ["start:catalog", "load", "shift", "bake"])
def test_a_disk_that_fills_during_a_deployment_takes_it_back(step: str) -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: has_started(state, step))
        sim.pages.full = True
        await asyncio.sleep(600)
        sim.pages.full = False
        await at_rest(loop)

    played(sim, script)
    assert sim.system.base == 1
    assert sim.system.violations == []


def test_abort_works_with_a_full_disk() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await second_bakes(loop)
        sim.pages.full = True
        await aborted(loop)
        await at_rest(loop)
        sim.pages.full = False

    played(sim, script)
    assert sim.system.base == 1


def test_what_is_written_late_keeps_its_time() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await second_bakes(loop)
        sim.pages.full = True
        await do_rollback(loop)
        await at_rest(loop)
        asked_at = loop.state.deployments[3].requested_at
        await asyncio.sleep(1000)
        sim.pages.full = False
        await loop.ask(lambda view: steer.tag("room", 1, view))
        assert fold(sim.pages.events).deployments[3].requested_at == asked_at

    played(sim, script)


# --- zombies ------------------------------------------------------------------------------------------------------


def test_of_two_controllers_on_one_journal_only_the_newer_acts() -> None:
    sim = on_first()
    ended: list[BaseException | None] = []

    async def both() -> None:
        old = _loop(sim)
        running = asyncio.ensure_future(old.run())
        await do_deploy(old, draft("two", service="v2", bake_s=600))
        await until(old, lambda state: is_waiting(state, "bake"))
        await asyncio.sleep(5)
        new = _loop(sim)
        taken = asyncio.ensure_future(new.run())
        await do_rollback(new)
        await at_rest(new)
        assert sim.system.base == 1
        written = len(sim.pages.events)
        with pytest.raises(Fenced):
            await do_rollback(old)
        await asyncio.wait({running}, timeout=1000)
        ended.append(running.exception())
        assert sim.system.base == 1
        assert len(sim.pages.events) == written, "the old one writes nothing"
        new.stop()
        await taken

    _, _, error = run_virtual(both(), sim.now_s)
    assert error is None, repr(error)
    assert isinstance(ended[0], Fenced)


def test_a_controller_that_froze_before_an_effect_does_not_carry_it_out() -> None:
    sim = on_first()

    async def both() -> None:
        old = _loop(sim)
        await old.observe()
        running = asyncio.ensure_future(old.run())
        asking = asyncio.ensure_future(do_deploy(old, draft("two", service="v2", bake_s=600)))
        await asyncio.sleep(0)
        while len(events_of(sim, Requested)) < 2:
            await asyncio.sleep(0)
        started = dict(sim.system.instances)
        new = _loop(sim)
        await asyncio.wait({running}, timeout=1000)
        assert sim.system.instances == started, "the step was journalled, its effect never began"
        assert isinstance(running.exception(), Fenced)
        asking.cancel()
        assert new.state.active == 2

    _, _, error = run_virtual(both(), sim.now_s)
    assert error is None, repr(error)


def test_who_asks_a_controller_that_has_ended_is_told() -> None:
    sim = on_first()

    async def script() -> None:
        loop = _loop(sim)
        running = asyncio.ensure_future(loop.run())
        loop.stop()
        await running
        with pytest.raises(LastgoodError):
            await asyncio.wait_for(loop.ask(lambda view: steer.tag("late", 1, view)), 60)

    _, _, error = run_virtual(script(), sim.now_s)
    assert error is None, repr(error)


def _loop(sim: Simulation) -> Loop:
    """One more controller on the same journal and the same system."""
    gates = Gates()
    journal = GatedJournal(sim.pages, gates)
    journal.take_over("another", sim.clock.now(), is_alive=False)
    driver = SimDriver(sim.system, gates)
    world = World(sim.clock, journal, dict.fromkeys(("gateway", "service", "database", "git"), driver))
    loop = Loop(world, fold(journal.read()))
    loop.recover(pid=2)
    return loop


def test_every_deployment_ends_once() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        await do_rollback(loop)
        await at_rest(loop)
        await loop.ask(lambda view: steer.tag("x", 1, view))

    played(sim, script)
    assert sorted(event.deployment or 0 for event in events_of(sim, Ended)) == [1, 2, 3]
    assert not events_of(sim, Noted)
