"""A clock that stands still until it is told: sleepers wake, in order, when ``advance`` passes their time."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from lastgood.stamp import Stamp


class FakeClock:
    """``ports.Clock`` in virtual time on any event loop. ``wall_jump`` and ``reboot`` play what real clocks do."""

    def __init__(self, boot_s: float = 1000.0, wall_s: float = 1_700_000_000.0, boot_id: str = "boot-1") -> None:
        self._boot_s = boot_s
        self._wall_ahead_s = wall_s - boot_s
        self._boot_id = boot_id
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> Stamp:
        """This virtual moment."""
        return Stamp(self._boot_s + self._wall_ahead_s, self._boot_id, self._boot_s)

    async def sleep(self, seconds: float) -> None:
        """Until ``advance`` has passed that much time; nothing and less only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._boot_s + seconds, next(self._order), future))
        await future

    @property
    def sleeping(self) -> int:
        """How many wait."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass. Whoever wakes runs at its own moment, and may sleep again, before time goes on."""
        end_s = self._boot_s + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            self._boot_s = max(self._boot_s, due_s)
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._boot_s = end_s

    def wall_jump(self, seconds: float) -> None:
        """Somebody sets the wall clock; boot time does not notice."""
        self._wall_ahead_s += seconds

    def reboot(self, boot_id: str, away_s: float = 30.0) -> None:
        """Another boot: boot time starts at 0, the wall clock has gone on, who slept never wakes."""
        self._sleepers.clear()
        wall_s = self.now().wall_s + away_s
        self._boot_id, self._boot_s = boot_id, 0.0
        self._wall_ahead_s = wall_s

    @staticmethod
    async def _settle() -> None:
        # A task that was woken may need some turns of the loop to get to its next sleep.
        for _ in range(20):
            await asyncio.sleep(0)
