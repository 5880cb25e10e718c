"""What was being served is brought to the proxies when a controller starts, and again as long as that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lastgood.errors import LastgoodError

PAUSE_S = 2.0


class Restoring:
    """``restore`` brings the proxies to it, ``say`` writes a line for the log, once for each reason."""

    def __init__(self, restore: Callable[[], Awaitable[None]], say: Callable[[str], None]) -> None:
        self._restore, self._say = restore, say
        self.why: str | None = None
        """Why it could not be, for ``status``; a proxy that was started anew serves nothing then."""

    async def once(self) -> None:
        """Try it; what goes wrong is kept and told."""
        before = self.why
        try:
            await self._restore()
            self.why = None
        except LastgoodError as error:
            self.why = f"{error.where}: {error.what}" if error.where else error.what
        if self.why is not None and self.why != before:
            self._say(f"what was served could not be restored: {self.why}")
        elif before is not None and self.why is None:
            self._say("what was served is restored")

    async def keep_trying(self, moves: Callable[[], bool], *, pause_s: float = PAUSE_S) -> None:
        """Until it is done: a file that was away comes back. Not while a deployment ``moves``, which serves its own."""
        while self.why is not None:
            await asyncio.sleep(pause_s)
            if not moves():
                await self.once()
