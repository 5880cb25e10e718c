"""A controller in memory with a judge whose clock a test moves, and traffic that a test makes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lastgood.effects.system_clock import SystemClock
from lastgood.health.judge import Assessment
from lastgood.operations.configurations import Configurations
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.judging import Judging
from lastgood.stamp import Stamp
from lastgood.testing.fake_checks import FakeChecks
from lastgood.testing.fake_journal import FakeJournal, Pages
from lastgood.testing.fake_measurements import FakeEvidence, FakeMeasurements
from tests.operations.controller import Controlled, controlled

SHOP = """\
project: shop
gateway:
  listeners: {{ web: {{ port: 8080 }} }}
  routes:
    - {{ name: all, match: {{ path: "{path}" }}, to: app, public: true }}
upstreams:
  app: {{ endpoints: ["127.0.0.1:9001"] }}
bake: {{ {bake} }}
"""
MEASURED = "for: 5m, at_least: 20s, clusters: 1, objectives: [{ errors: { not_worse_than: baseline } }]"


class Ahead:
    """The system's clock, so many seconds ahead; ``reboot`` lets it begin again at zero."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._of: SystemClock = SystemClock()

    def now(self) -> Stamp:
        """This moment."""
        now = self._of.now()
        return Stamp(now.wall_s + self.ahead_s, now.boot_id, now.boot_s + self.ahead_s)

    async def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.ahead_s += seconds


@dataclass
class Court:
    """A controller, its judge and their world."""

    made: Controlled
    pages: Pages
    clock: Ahead = field(default_factory=Ahead)
    counters: FakeMeasurements = field(default_factory=FakeMeasurements)
    evidence: FakeEvidence = field(default_factory=FakeEvidence)
    checks: FakeChecks = field(default_factory=FakeChecks)
    percent: float = 0.0

    def __post_init__(self) -> None:
        self.judging = self.another()

    def another(self) -> Judging:
        """A judge who knows nothing but the journal and the evidence: one after a restart."""
        configurations = Configurations(FakeJournal(self.pages))
        sources = (self.counters, self.evidence, self.clock, configurations.of)
        return Judging(self.made.loop, *sources, checks=self.checks)

    async def first(self, path: str = "/*") -> None:
        """r1 is live and known good."""
        self.commit(path, "for: 50ms")
        await self.made.verbs.deploy("main", DeployAsk(by="test"))
        await self.made.at_rest()

    def commit(self, path: str, bake: str = MEASURED) -> None:
        """A revision of the shop."""
        self.made.repository.commit({"lastgood.yaml": SHOP.format(path=path, bake=bake).encode()}, "change")

    async def second(
        self, bake: str = MEASURED, *, percent: float = 95.0, paths: tuple[str, str] = ("/*", "/new/*")
    ) -> None:
        """r2 beside r1, with this share of the requests."""
        await self.first(paths[0])
        self.percent = percent
        self.commit(paths[1], bake)
        await self.made.verbs.deploy("main", DeployAsk(by="test", percent=percent))
        step = "hold" if percent < 100 else "bake"
        await self.made.until(
            lambda state: (
                state.deployment is not None
                and step in state.deployment.progress
                and (state.accepted or {}).get("candidate") == 2
            )
        )

    async def seconds(
        self, n: int, *, fails: float = 0.0, base_fails: float = 0.0, per_second: int = 100, took_ms: float = 10.0
    ) -> Assessment | None:
        """So many looks, a second apart, with requests on both sides before each."""
        found = None
        for _ in range(n):
            mine = round(per_second * self.percent / 100)
            theirs = per_second - mine
            self.counters.requests("r2", mine, failed=round(fails * mine), took_ms=took_ms)
            self.counters.requests("r1", theirs, failed=round(base_fails * theirs))
            self.clock.ahead_s += 1
            found = await self.judging.look()
            await asyncio.sleep(0.001)  # others have their turn, as within a second
        return found


@asynccontextmanager
async def court() -> AsyncIterator[Court]:
    """In session."""
    pages = Pages()
    async with controlled(pages) as made:
        yield Court(made, pages)
