"""Checks whose answers a test chooses."""

from __future__ import annotations

import asyncio

from lastgood.config.bake import Check
from lastgood.ports import Checked


class FakeChecks:
    """``ports.Checks``: ``says`` maps names to answers; one that ``hangs`` never answers."""

    def __init__(self) -> None:
        self.says: dict[str, Checked] = {}
        self.hangs: set[str] = set()
        self.asked: list[Check] = []

    async def ask(self, check: Check, release: str) -> Checked:
        """See ``ports.Checks``."""
        self.asked.append(check)
        if check.name in self.hangs:
            await asyncio.Event().wait()
        return self.says.get(check.name, Checked(True, "well"))
