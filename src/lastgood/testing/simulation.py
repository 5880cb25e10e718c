"""The simulated world: a gateway, services, databases and Git that live on while controllers crash around them.

Every effect and every write to the journal passes a *gate*. A test lets the controller die at the n-th gate, or makes
the n-th effect fail, and looks where the system comes to rest. The world itself watches that no request can ever meet
something that is not healthy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.operations.loop import Loop
from lastgood.operations.world import World
from lastgood.ports import Stamp
from lastgood.release.events import Body, Event
from lastgood.release.observed import Fact
from lastgood.release.release import Release, services_of
from lastgood.release.state import fold
from lastgood.release.step import Step
from lastgood.release.strategies.schema import is_older
from lastgood.testing.fake_journal import FakeJournal, Pages
from lastgood.testing.virtual_time import VirtualClock, run_virtual


class Crash(SystemExit):
    """The controller is gone, as by kill -9."""


@dataclass
class Gates:
    """Counts the places where a crash can happen; ``crash_at`` and ``fail`` say where it does."""

    crash_at: int | None = None
    fail: Callable[[Step, int], str | None] = lambda step, nth: None
    passed: int = 0
    effects: int = 0
    log: list[str] = field(default_factory=list)
    dead: bool = False

    def gate(self, where: str) -> None:
        """One place; the controller may die here."""
        if self.dead:
            raise asyncio.CancelledError(where)
        self.passed += 1
        self.log.append(where)
        if self.passed == self.crash_at:
            self.dead = True
            raise Crash(where)

    def effect(self, step: Step) -> None:
        """One effect; it may fail here."""
        self.effects += 1
        error = self.fail(step, self.effects)
        if error is not None:
            raise LastgoodError(error)


class GatedJournal(FakeJournal):
    """A journal whose writes can be the last thing a controller does."""

    def __init__(self, pages: Pages, gates: Gates) -> None:
        super().__init__(pages)
        self._gates = gates

    def append(self, at: Stamp, bodies: Sequence[tuple[int | None, Body]], *, back: bool = False) -> list[Event]:
        """Die before it, or right after."""
        names = ",".join(type(body).__name__ for _, body in bodies)
        self._gates.gate(f"before {names}")
        made = super().append(at, bodies, back=back)
        self._gates.gate(f"after {names}")
        return made


@dataclass
class System:
    """The things that are moved. ``broken`` names service digests that never become healthy."""

    releases: dict[int, Release]
    base: int | None = None
    candidate: int | None = None
    percent: float = 0.0
    instances: dict[tuple[str, str], int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    schema: dict[str, str] = field(default_factory=dict)
    reverts: list[tuple[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    seconds_per_effect: float = 0.01

    def reachable(self) -> set[int]:
        """Releases that some request may be served by."""
        found = {self.base} if self.candidate is None or self.percent < 100 else set()
        if self.candidate is not None and self.percent > 0:
            found.add(self.candidate)
        return {number for number in found if number is not None}

    def healthy(self, name: str, digest: str) -> int:
        """Instances of a version that answer."""
        return 0 if digest in self.broken else self.instances.get((name, digest), 0)

    def watch(self) -> None:
        """Note every request that could meet something that is not there."""
        for number in self.reachable():
            release = self.releases[number]
            for name, digest in services_of(release).items():
                if self.healthy(name, digest) < 1:
                    self.violations.append(f"requests reach {name}@{digest} of r{number}, which is not healthy")
            for name, version in release.schemas.items():
                if is_older(self.schema.get(name, ""), version):
                    self.violations.append(f"r{number} serves on schema {self.schema.get(name)!r}, needs {version!r}")


@dataclass
class SimDriver:
    """Moves all parts of the simulated system; one for every kind."""

    system: System
    gates: Gates

    async def observe(self) -> Sequence[Fact]:
        """What is there."""
        system = self.system
        facts = [
            Fact("gateway", "base", system.base),
            Fact("gateway", "candidate", system.candidate),
            Fact("gateway", "percent", system.percent),
        ]
        for (name, digest), count in system.instances.items():
            facts.append(Fact(f"service:{name}", f"wanted:{digest}", count))
            facts.append(Fact(f"service:{name}", f"healthy:{digest}", system.healthy(name, digest), stable=False))
        return facts + [Fact(f"database:{name}", "schema", version) for name, version in system.schema.items()]

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Carry out, with a gate before and after."""
        self.gates.gate(f"before effect {key}")
        self.gates.effect(step)
        await asyncio.sleep(self.system.seconds_per_effect)
        if self.gates.dead:
            raise asyncio.CancelledError(key)
        getattr(self, f"_{step.verb}")(step)
        self.system.watch()
        self.gates.gate(f"after effect {key}")
        return {}

    def _silent(self, step: Step) -> None:
        if step.args["release"] in self.system.reachable():
            self.system.violations.append(f"r{step.args['release']} was left and still gets requests")

    def _preflight(self, step: Step) -> None:
        self._refuse(step)

    def _refuse(self, step: Step) -> None:
        for number in (step.args["base"], step.args["candidate"]):
            if number in self.system.refused:
                raise LastgoodError(f"proxy-1 refused r{number}: bad regex")

    def _serve(self, step: Step) -> None:
        self._refuse(step)
        self.system.base = step.args["base"]
        self.system.candidate = step.args["candidate"]
        self.system.percent = step.args["percent"]

    def _start(self, step: Step) -> None:
        self.system.instances[step.part.partition(":")[2], step.args["digest"]] = step.args["instances"]

    def _stop(self, step: Step) -> None:
        self.system.instances.pop((step.part.partition(":")[2], step.args["digest"]), None)

    def _migrate_up(self, step: Step) -> None:
        self.system.schema[step.part.partition(":")[2]] = step.args["to"]

    _migrate_down = _migrate_up

    def _revert(self, step: Step) -> None:
        if (step.args["bad"], step.args["target"]) not in self.system.reverts:
            self.system.reverts.append((step.args["bad"], step.args["target"]))


class Simulation:
    """A system, its journal, and as many controllers as it takes, one after the other, in virtual time."""

    def __init__(self) -> None:
        self.pages = Pages()
        self.system = System(self.pages.releases)
        self.clock = VirtualClock()
        self.now_s = 0.0
        self.loop: Loop | None = None

    def live(self, script: Callable[[Loop], Any], gates: Gates | None = None) -> BaseException | None:
        """One controller: recover, then do what the script says, until it returns or crashes.

        Returns what ended it, None when the script came to its end.
        """
        _, self.now_s, error = run_virtual(self._controller(script, gates or Gates()), self.now_s)
        return error

    async def _controller(self, script: Callable[[Loop], Any], gates: Gates) -> None:
        journal = GatedJournal(self.pages, gates)
        journal.take_over("simulated", self.clock.now(), is_alive=False)
        driver = SimDriver(self.system, gates)
        kinds = ("gateway", "service", "database", "git")
        self.loop = Loop(World(self.clock, journal, _one_observer(driver, kinds)), fold(journal.read()))
        self.loop.recover(pid=1)
        running = asyncio.ensure_future(self.loop.run())
        scripted = asyncio.ensure_future(script(self.loop))
        await asyncio.wait({running, scripted}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        await scripted
        self.loop.stop()
        await running


def _one_observer(driver: SimDriver, kinds: tuple[str, ...]) -> dict[str, SimDriver]:
    return dict.fromkeys(kinds, driver)


async def at_rest(loop: Loop, limit_s: float = 86_400.0) -> None:
    """Wait until no deployment is under way, or it has halted; in virtual time."""
    waited_s = 0.0
    while waited_s < limit_s:
        deployment = loop.state.deployment
        if deployment is None or deployment.halted is not None:
            return
        await asyncio.sleep(0.5)
        waited_s += 0.5
    raise AssertionError("the system did not come to rest")
