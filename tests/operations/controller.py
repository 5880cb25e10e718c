"""A whole controller in memory: real loop, verbs and drafting; fake journal, repository and proxies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lastgood.effects.gateway import GatewayDriver
from lastgood.effects.git.driver import GitDriver
from lastgood.effects.system_clock import SystemClock
from lastgood.operations.configurations import Configurations
from lastgood.operations.drafting import Drafting
from lastgood.operations.follow import Follower
from lastgood.operations.loop import Loop
from lastgood.operations.rehearsing import Trials
from lastgood.operations.verbs import Verbs
from lastgood.operations.world import World
from lastgood.ports import Driver
from lastgood.release.events import Event
from lastgood.release.state import State, fold
from lastgood.testing.fake_journal import FakeJournal, Pages
from lastgood.testing.fake_proxies import FakeProxies
from lastgood.testing.fake_repository import FakeRepository

ROUTE = """\
project: shop
gateway:
  listeners: {{ web: {{ port: 8080 }} }}
  policies:
    office: {{ ip: {{ allow: [10.0.0.0/8] }} }}
  routes:
    - {{ name: all, match: {{ path: "{path}" }}, to: app, {security} }}
upstreams:
  app: {{ endpoints: ["127.0.0.1:9001"] }}
bake: {{ for: {bake} }}
"""


def text(path: str = "/*", *, bake: str = "50ms", security: str = "use: [office]") -> bytes:
    """A lastgood.yaml with one route."""
    return ROUTE.format(path=path, bake=bake, security=security).encode()


@dataclass
class Controlled:
    """One running controller and the world around it."""

    verbs: Verbs
    loop: Loop
    pages: Pages
    repository: FakeRepository
    proxies: FakeProxies
    events: list[Event]

    @property
    def state(self) -> State:
        """What it knows."""
        return self.loop.state

    def commit(self, path: str = "/*", message: str = "change", **settings: str) -> str:
        """Commit a configuration to main."""
        return self.repository.commit({"lastgood.yaml": text(path, **settings)}, message)

    def follower(self) -> Follower:
        """Somebody who follows main; as after a start of the controller."""
        return Follower(self.verbs, self.repository, "main")

    async def until(self, reached: Callable[[State], bool], timeout_s: float = 5.0) -> None:
        """Wait for a state."""
        async with asyncio.timeout(timeout_s):
            while not reached(self.state):
                await asyncio.sleep(0.005)

    async def at_rest(self) -> None:
        """Wait until nothing is under way."""
        await self.until(lambda state: state.deployment is None or state.deployment.halted is not None)

    async def baking(self) -> None:
        """Wait until only time is waited for."""

        def resting(state: State) -> bool:
            deployment = state.deployment
            if deployment is None or deployment.plan is None or "bake" not in deployment.progress:
                return False
            return "converged" not in {step.id for step in deployment.plan.steps} or (
                "converged" in deployment.progress and deployment.progress["converged"].phase == "ended"
            )

        await self.until(resting)


async def nothing_starts(name: str, digest: str, release: int) -> float:
    """There are no services here."""
    raise AssertionError(name)


async def nothing_left() -> None:
    """Nothing was started."""


Drivers = Callable[[Configurations, Callable[[], Loop]], Mapping[str, Driver]]


@asynccontextmanager
async def controlled(
    pages: Pages | None = None, repository: FakeRepository | None = None, drivers: Drivers | None = None
) -> AsyncIterator[Controlled]:
    """Run a controller; ``drivers`` move more kinds of parts."""
    pages, repository = pages or Pages(), repository or FakeRepository()
    clock, proxies, events = SystemClock(), FakeProxies(), list[Event]()
    journal = FakeJournal(pages)
    journal.take_over("test", clock.now(), is_alive=False)
    configurations = Configurations(journal)
    gateway = GatewayDriver(proxies, configurations.of)
    more = drivers(configurations, lambda: loop) if drivers else {}
    world = World(clock, journal, {"gateway": gateway, "git": GitDriver(repository), **more})
    loop = Loop(world, fold(journal.read()), on_event=events.append)
    drafting = Drafting(repository, lambda reference: True)
    verbs = Verbs(loop, journal, configurations, drafting, proxies.states)
    verbs.trials = Trials(gateway.try_alone, nothing_starts, nothing_left)
    loop.recover(1)
    await gateway.restore(loop.state.served, loop.state.accepted)
    running = asyncio.create_task(loop.run())
    try:
        yield Controlled(verbs, loop, pages, repository, proxies, events)
    finally:
        loop.stop()
        await asyncio.wait_for(running, 10)
