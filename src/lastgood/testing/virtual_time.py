"""An event loop in which waiting takes no time: hours of bake pass in milliseconds, in the order they would."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any, TypeVar

from lastgood.ports import Stamp

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever there is nothing to run. Only for worlds without real input and output."""

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__()
        self.now_s = start_s

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            self._drop_cancelled()
            if not self._scheduled:  # type: ignore[attr-defined]
                raise RuntimeError("everything waits for something that will never come")
            self.now_s = max(self.now_s, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]

    def _drop_cancelled(self) -> None:
        """A timer that was cancelled is no moment to jump to: asyncio would drop it and then wait for the next."""
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False


class VirtualClock:
    """The clock of a virtual loop; ``boot`` and ``wall_offset_s`` play reboots and clocks that are set."""

    def __init__(self, boot: str = "boot-1", wall_offset_s: float = 1_700_000_000.0) -> None:
        self.boot = boot
        self.wall_offset_s = wall_offset_s

    def now(self) -> Stamp:
        """This virtual moment."""
        now_s = asyncio.get_running_loop().time()
        return Stamp(self.wall_offset_s + now_s, self.boot, now_s)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T], start_s: float = 0.0) -> tuple[T | None, float, BaseException | None]:
    """Run in virtual time; returns the result, the virtual time and the exception that ended it.

    What is still under way then is cancelled; a world that plays kill -9 makes sure it has no effect any more.
    """
    loop = VirtualTimeLoop(start_s)
    loop.set_exception_handler(lambda loop, context: None)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main), loop.now_s, None
    except (Exception, SystemExit) as error:
        return None, loop.now_s, error
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
