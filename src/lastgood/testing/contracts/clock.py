"""What every ``Clock`` keeps; run each clause of ``CLAUSES`` with a new world."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lastgood.ports import Clock


@dataclass(frozen=True)
class ClockWorld:
    """The port, and a hand that lets seconds pass."""

    clock: Clock
    let_pass: Callable[[float], Awaitable[None]]


async def boot_time_goes_forward_with_the_wall(world: ClockWorld) -> None:
    """Both advance by what passed; the boot stays the same."""
    before = world.clock.now()
    await world.let_pass(0.0625)
    after = world.clock.now()
    assert after.boot_s - before.boot_s >= 0.0625
    assert abs((after.wall_s - before.wall_s) - (after.boot_s - before.boot_s)) < 0.1
    assert before.boot_id == after.boot_id != ""


async def sleep_takes_at_least_its_time(world: ClockWorld) -> None:
    """By its own clock, never less."""
    before = world.clock.now()
    sleeper = asyncio.create_task(world.clock.sleep(0.125))
    await world.let_pass(0.01)
    assert not sleeper.done()
    await world.let_pass(0.3)
    assert sleeper.done()
    assert world.clock.now().boot_s - before.boot_s >= 0.125


async def sleepers_wake_in_the_order_of_their_times(world: ClockWorld) -> None:
    """Whatever the order they lay down in."""
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await world.clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (0.09, 0.03, 0.06):
            group.create_task(sleep(seconds))
        await world.let_pass(0.3)
    assert woken == [0.03, 0.06, 0.09]


async def no_time_lets_others_run(world: ClockWorld) -> None:
    """Zero and less return, after a turn of the loop."""
    ran: list[int] = []
    task = asyncio.create_task(_note(ran))
    await world.clock.sleep(0)
    await world.clock.sleep(-1)
    assert ran == [1]
    await task


async def a_cancelled_sleep_ends(world: ClockWorld) -> None:
    """And disturbs no other."""
    task = asyncio.create_task(world.clock.sleep(1000))
    other = asyncio.create_task(world.clock.sleep(0.02))
    await world.let_pass(0.001)
    task.cancel()
    await world.let_pass(0.2)
    assert task.cancelled()
    assert other.done()


async def _note(ran: list[int]) -> None:
    ran.append(1)


CLAUSES: tuple[Callable[[ClockWorld], Awaitable[None]], ...] = (
    boot_time_goes_forward_with_the_wall,
    sleep_takes_at_least_its_time,
    sleepers_wake_in_the_order_of_their_times,
    no_time_lets_others_run,
    a_cancelled_sleep_ends,
)
