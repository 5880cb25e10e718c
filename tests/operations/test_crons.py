"""Functions by the clock: when they are asked, that none is asked twice, and that what was missed is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.operations.crons import Crons, due, next_after
from lastgood.ports import CronTrigger, Fired
from lastgood.testing.fake_clock import FakeClock
from tests.operations.controller import controlled

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
EVERY = CronTrigger("price", "a" * 64, "* * * * *", "* * * * *")
HOURLY = CronTrigger("price", "a" * 64, "0 * * * *", "0 * * * *", "/clean")


class World:
    """A clock that is told, and functions that do as they are told; what is written survives a restart."""

    def __init__(self, triggers: list[CronTrigger], loop: Any, at: datetime = NOON) -> None:
        self.clock = FakeClock(wall_s=at.timestamp())
        self.triggers, self.loop = triggers, loop
        self.fired: list[tuple[str, str]] = []
        self.written: dict[str, Any] = {}
        self.answers = Fired(True, "answered with 204", 1.0)
        self.holds: asyncio.Event | None = None
        self.at_fire: list[dict[str, Any]] = []
        self.crons = self.fresh()

    def fresh(self) -> Crons:
        return Crons(self.loop, lambda: self.triggers, self.fire, lambda: self.written, self.keep, self.clock)

    def keep(self, value: dict[str, Any]) -> None:
        self.written = value

    async def fire(self, trigger: CronTrigger, at: datetime) -> Fired:
        self.fired.append((trigger.digest[:1], at.strftime("%H:%M")))
        self.at_fire.append(self.written)
        if self.holds is not None:
            await self.holds.wait()
        return self.answers

    async def restarted(self) -> None:
        self.crons = self.fresh()
        self.crons._remember(self.written)
        await self.crons.look()

    async def minutes(self, count: int = 1) -> None:
        for _ in range(count):
            await self.clock.advance(60)
            await self.crons.look()
            for _ in range(3):
                await asyncio.sleep(0.01)

    def run(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.written["triggers"][number]["run"]
        return found


async def test_it_is_asked_once_a_minute_however_often_the_clock_is_looked_at() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        await world.crons.look()
        await world.minutes(3)
        for _ in range(5):
            await world.clock.advance(1)
            await world.crons.look()
        assert world.fired == [("a", "12:01"), ("a", "12:02"), ("a", "12:03")]
        assert (world.run()["outcome"], world.run()["at"]) == ("ok", "2026-11-23T12:03:00+00:00")
        assert world.written["triggers"][0]["next"] == "2026-11-23T12:04:00+00:00"


async def test_it_is_the_live_version_that_is_asked() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        await world.crons.look()
        await world.minutes()
        world.triggers = [CronTrigger("price", "b" * 64, "* * * * *", "* * * * *")]
        await world.minutes()
        world.triggers = []
        await world.minutes()
        world.triggers = [EVERY]
        await world.minutes()
        assert world.fired == [("a", "12:01"), ("b", "12:02"), ("a", "12:04")]


async def test_who_is_not_done_is_not_asked_again() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        world.holds = asyncio.Event()
        await world.crons.look()
        await world.minutes(2)
        assert world.fired == [("a", "12:01")]
        assert (world.run()["outcome"], world.run()["detail"]) == ("skipped", "the time before is not over")
        world.holds.set()
        await world.minutes()
        assert world.fired == [("a", "12:01"), ("a", "12:03")]


async def test_it_is_written_down_before_it_is_asked_so_that_a_restart_asks_nobody_twice() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        world.holds = asyncio.Event()
        await world.crons.look()
        await world.minutes()
        assert world.at_fire[0]["triggers"][0]["run"]["outcome"] == "running"
        await world.restarted()
        assert world.fired == [("a", "12:01")]
        await world.minutes()
        assert world.fired == [("a", "12:01"), ("a", "12:02")]


async def test_what_nobody_watched_is_counted_and_told_and_not_made_up_for() -> None:
    async with controlled() as shop:
        world = World([HOURLY, EVERY], shop.loop)
        await world.crons.look()
        await world.minutes()
        await world.clock.advance(2 * 3600 + 60)
        await world.restarted()
        await world.minutes(0)
        await asyncio.sleep(0.02)
        assert world.fired == [("a", "12:01"), ("a", "14:02")]
        hourly = next(each for each in world.written["triggers"] if each["path"] == "/clean")["run"]
        assert (hourly["outcome"], hourly["missed"], hourly["at"]) == ("missed", 2, "2026-11-23T14:00:00+00:00")
        notes = [note.what for _, note in shop.state.notes]
        assert "price by the clock (0 * * * *): missed 2 times until 2026-11-23T14:00:00+00:00" in notes
        assert any("(* * * * *): missed 120 times" in note for note in notes)


async def test_one_that_fails_is_told_once_until_it_works_again() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        await world.crons.look()
        for answer, minutes in (("answered with 500", 2), ("", 1), ("answered with 502", 1)):
            world.answers = Fired(not answer, answer or "answered with 204", 1.0)
            await world.minutes(minutes)
        notes = [note.what.rpartition(": ")[2] for _, note in shop.state.notes]
        assert notes == ["answered with 500", "answered with 502"]
        assert world.run()["outcome"] == "failed"


async def test_a_clock_that_is_set_back_repeats_nothing_unless_it_was_wrong() -> None:
    async with controlled() as shop:
        world = World([EVERY], shop.loop)
        await world.crons.look()
        await world.minutes()
        world.clock.wall_jump(-600)
        await world.minutes(5)
        assert world.fired == [("a", "12:01")]
        world.clock.wall_jump(-86_400)
        await world.minutes(2)
        assert len(world.fired) == 2


@settings(deadline=None)
@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 3 * * *", "30 4 1 * 1", "0 0 29 2 *"]),
    st.integers(0, 10**7),
    st.lists(st.integers(1, 400_000), min_size=1, max_size=8),
)
def test_however_the_looks_fall_every_time_is_found_once(schedule: str, start_s: int, gaps_s: list[int]) -> None:
    trigger = CronTrigger("price", "a", schedule, schedule)
    before = NOON + timedelta(seconds=start_s)
    found, first = [], before
    for gap_s in gaps_s:
        now = before + timedelta(seconds=gap_s)
        seen = due([trigger], before, now)
        found.append(len(seen.now) + sum(count for _, count, _ in seen.missed))
        assert all(now - at <= timedelta(seconds=90) for _, at in seen.now)
        before = now
    expected, moment = 0, next_after(schedule, first)
    while moment <= before:
        expected, moment = expected + 1, next_after(schedule, moment)
    assert sum(found) == expected
