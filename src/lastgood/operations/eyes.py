"""Looking at the parts: what is seen, what cannot be seen, and whether a step may go ahead."""

from __future__ import annotations

from lastgood.errors import LastgoodError
from lastgood.operations.world import World
from lastgood.release.engine import unmet
from lastgood.release.observed import Fact, Observed, kind_of
from lastgood.release.step import Step


class Eyes:
    """What one controller has seen of its world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.observed = Observed({})

    async def observe(self) -> None:
        """Look at every part; what cannot be seen is unknown, never gone."""
        facts: list[Fact] = []
        unknown: set[str] = set()
        for kind, driver in self._world.drivers.items():
            try:
                facts.extend(await driver.observe())
            except LastgoodError:
                unknown.add(kind)
        self.observed = Observed.of(facts, unknown)

    async def freshen(self) -> None:
        """Look at what changes by itself, before a request is decided; its driver answers from what it knows."""
        if "service" in self._world.drivers:
            await self.look("service")

    async def look(self, part: str) -> None:
        """Look at one kind of parts again."""
        kind = kind_of(part)
        try:
            self.observed = self.observed.seen(kind, await self._world.driver(part).observe())
        except LastgoodError:
            self.observed = self.observed.unseen(kind)

    async def unmet(self, step: Step) -> str | None:
        """Look at what a step depends on, right before it; why it must not be performed."""
        for kind in sorted({kind_of(cond.part) for cond in step.guard}):
            await self.look(kind)
        return unmet(step, self.observed)
