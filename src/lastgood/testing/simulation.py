"""The simulated world: a gateway, services, databases and Git that live on while controllers crash around them.

Every effect and every write to the journal passes a *gate*. A test lets the controller die at the n-th gate, or makes
the n-th effect fail, and looks where the system comes to rest. The world itself watches that no request can ever meet
something that is not healthy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.operations.loop import Loop
from lastgood.operations.world import World
from lastgood.ports import Stamp
from lastgood.release.events import Body, Event
from lastgood.release.moves import move_of
from lastgood.release.observed import Fact
from lastgood.release.release import Release, services_of
from lastgood.release.state import fold
from lastgood.release.step import Step
from lastgood.release.strategies.crews import share_of
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
    """The things that are moved.

    ``broken`` names service digests that never become healthy, ``smoking`` those that fail their smoke checks.
    ``drained`` counts instances without requests, ``most`` the largest number of instances of a service at once.
    ``hooks`` are those that ran, with their release; ``says_back`` the releases that a hook wants taken back.
    """

    releases: dict[int, Release]
    base: int | None = None
    candidate: int | None = None
    percent: float = 0.0
    instances: dict[tuple[str, str], int] = field(default_factory=dict)
    drained: dict[tuple[str, str], int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    smoking: set[str] = field(default_factory=set)
    hooks: list[tuple[str, int]] = field(default_factory=list)
    says_back: set[int] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    schema: dict[str, str] = field(default_factory=dict)
    reverts: list[tuple[str, str]] = field(default_factory=list)
    left_behind: set[int] = field(default_factory=set)
    """Releases that served when a schema went down for the sake of the one that is gone back to (decision 0034)."""
    violations: list[str] = field(default_factory=list)
    seconds_per_effect: float = 0.01

    def reachable(self) -> set[int]:
        """Releases that some request may be served by."""
        found = {self.base} if self.candidate is None or self.percent < 100 else set()
        if self.candidate is not None and self.percent > 0:
            found.add(self.candidate)
        return {number for number in found if number is not None}

    def shares(self) -> dict[int, Fraction]:
        """How much of the requests each of them gets."""
        of_candidate = share_of(self.percent) if self.candidate is not None else Fraction(0)
        both = {self.base: 1 - of_candidate, self.candidate: of_candidate}
        return {number: both[number] for number in self.reachable()}

    def healthy(self, name: str, digest: str) -> int:
        """Instances of a version that answer and get requests."""
        if digest in self.broken:
            return 0
        return self.instances.get((name, digest), 0) - self.drained.get((name, digest), 0)

    def watch(self) -> None:
        """Note every request that could meet something that is not there."""
        needed: dict[tuple[str, str], Fraction] = {}
        for number, share in self.shares().items():
            release = self.releases[number]
            for name, digest in services_of(release).items():
                before = needed.get((name, digest), Fraction(0))
                needed[name, digest] = before + share * (release.instances.get(name, 1) - self.spare(name))
            for name, version in release.schemas.items():
                if is_older(self.schema.get(name, ""), version) and number not in self.left_behind:
                    self.violations.append(f"r{number} serves on schema {self.schema.get(name)!r}, needs {version!r}")
        for (name, digest), least in needed.items():
            if (healthy := self.healthy(name, digest)) < least:
                self.violations.append(f"requests reach {name}@{digest}: {healthy} healthy, {float(least):g} needed")
        for name in {name for name, _ in self.instances}:
            running = sum(count for (other, _), count in self.instances.items() if other == name)
            self.most[name] = max(self.most.get(name, 0), running)

    def watch_schemas(self, grown: set[int]) -> None:
        """Note requests that are sent to a release on a schema that it cannot live with."""
        for name, version in self.schema.items():
            known = {other for made in self.releases.values() for other in made.breaks.get(name, {})}
            for number in grown:
                own = self.releases[number].schemas.get(name, version)
                for other in known:
                    if is_older(own, other) and not is_older(version, other):
                        self.violations.append(f"r{number} gets requests on schema {version}, and {other} breaks it")

    def spare(self, name: str) -> int:
        """Instances that may be missing by what any reachable release says."""
        moves = [move_of(self.releases[number], name) for number in self.loaded()]
        return max((move.unavailable for move in moves if move.kind == "rolling"), default=0)

    def loaded(self) -> set[int]:
        """The releases that the gateway has."""
        return {number for number in (self.base, self.candidate) if number is not None}


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
        for (name, digest), wanted in system.instances.items():
            facts.append(Fact(f"service:{name}", f"wanted:{digest}", wanted))
            facts.append(Fact(f"service:{name}", f"healthy:{digest}", system.healthy(name, digest), stable=False))
        for name, version in system.schema.items():
            known = {made.schemas[name] for made in system.releases.values() if name in made.schemas}
            applied = sorted(other for other in known if not is_older(version, other))
            facts += [Fact(f"database:{name}", "schema", version), Fact(f"database:{name}", "applied", applied)]
        return facts

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Carry out, with a gate before and after."""
        self.gates.gate(f"before effect {key}")
        self.gates.effect(step)
        if step.verb == "watch":
            return await self._watch(step)
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
        before = self.system.shares()
        self.system.base = step.args["base"]
        self.system.candidate = step.args["candidate"]
        self.system.percent = step.args["percent"]
        grown = {number for number, share in self.system.shares().items() if share > before.get(number, 0)}
        self.system.watch_schemas(grown)
        self.system.left_behind &= self.system.reachable() - grown

    def _start(self, step: Step) -> None:
        version = step.part.partition(":")[2], step.args["digest"]
        self.system.drained.pop(version, None)
        self.system.instances[version] = max(self.system.instances.get(version, 0), step.args["instances"])

    def _smoke(self, step: Step) -> None:
        if step.args["digest"] in self.system.smoking:
            raise LastgoodError("GET / answers 500, not 200")

    def _drain(self, step: Step) -> None:
        version = step.part.partition(":")[2], step.args["digest"]
        self.system.drained[version] = max(0, self.system.instances.get(version, 0) - step.args["keep"])

    def _stop(self, step: Step) -> None:
        self._drain(step)
        version = step.part.partition(":")[2], step.args["digest"]
        self.system.drained.pop(version, None)
        keep = min(step.args["keep"], self.system.instances.pop(version, 0))
        if keep:
            self.system.instances[version] = keep

    def _run(self, step: Step) -> None:
        self.system.hooks.append((step.args["hook"], step.args["release"]))

    async def _watch(self, step: Step) -> Mapping[str, Any]:
        for _ in count():
            if step.args["release"] in self.system.says_back:
                break
            await asyncio.sleep(step.args["every_s"])
        raise LastgoodError(f"the hook of {step.part.partition(':')[2]} says: go back")

    def _migrate_up(self, step: Step) -> None:
        self.system.schema[step.part.partition(":")[2]] = step.args["to"]

    def _migrate_down(self, step: Step) -> None:
        if step.id.startswith("lower:"):
            self.system.left_behind |= self.system.reachable() - {step.args["release"]}
        self._migrate_up(step)

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
        kinds = ("gateway", "service", "database", "git", "hook")
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
