"""The machine's clocks: the only place that reads them for the operations."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from lastgood.stamp import Stamp


class SystemClock:
    """``ports.Clock`` of this machine; ``boot_s`` runs on while the machine is asleep (CLOCK_BOOTTIME)."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def now(self) -> Stamp:
        """This moment."""
        return Stamp(time.time(), self._boot_id, time.clock_gettime(time.CLOCK_BOOTTIME))

    async def sleep(self, seconds: float) -> None:
        """At least so long. The machine's own sleep does not count here: look at ``now`` after."""
        end_s = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
        left_s = seconds
        while True:
            await asyncio.sleep(max(0.0, left_s))
            # The loop may wake up to its clock's resolution early; who asked for a second gets a second.
            left_s = end_s - time.clock_gettime(time.CLOCK_BOOTTIME)
            if left_s <= 0:
                return
