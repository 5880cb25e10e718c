"""The clock's contract, held by the machine's and by the fake; what only the fake can play."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lastgood.effects.system_clock import SystemClock
from lastgood.stamp import elapsed_s
from lastgood.testing.contracts.clock import CLAUSES, ClockWorld
from lastgood.testing.fake_clock import FakeClock

Clause = Callable[[ClockWorld], Awaitable[None]]


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_the_system_clock_keeps_the_contract(clause: Clause) -> None:
    async with asyncio.timeout(10):
        await clause(ClockWorld(SystemClock(), asyncio.sleep))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_the_fake_keeps_the_contract(clause: Clause) -> None:
    clock = FakeClock()
    async with asyncio.timeout(10):
        await clause(ClockWorld(clock, clock.advance))


async def test_hours_pass_at_once_and_every_tick_is_seen_at_its_moment() -> None:
    clock, seen = FakeClock(boot_s=0.0), list[float]()

    async def tick() -> None:
        while True:
            await clock.sleep(60)
            seen.append(clock.now().boot_s)

    task = asyncio.create_task(tick())
    await clock.advance(3600 * 3)
    assert seen == [60.0 * n for n in range(1, 181)]
    assert clock.sleeping == 1
    task.cancel()


async def test_clocks_that_are_set_and_machines_that_boot() -> None:
    clock = FakeClock()
    start = clock.now()
    clock.wall_jump(-3600)
    await clock.advance(5)
    assert elapsed_s(start, clock.now()) == 5
    assert clock.now().wall_s == start.wall_s - 3595
    clock.wall_jump(3600)
    clock.reboot("boot-2", away_s=30)
    assert clock.now().boot_s == 0.0
    assert elapsed_s(start, clock.now()) == 35
