"""Time."""

from __future__ import annotations

from typing import Protocol

from lastgood.stamp import Stamp


class Clock(Protocol):
    """Time; the only source of it."""

    def now(self) -> Stamp:
        """This moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Come back in so many seconds."""
        ...
