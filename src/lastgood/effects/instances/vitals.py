"""How each instance is: probed beside everything else, counted by thresholds, never waited for."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from lastgood.config.model import Health, InstanceHealth
from lastgood.effects.instances.probing import Answer
from lastgood.process import ProcessState

_KEY = re.compile(r"(?P<name>[a-z0-9_-]+)@(?P<digest>[0-9a-f]{8,64})\.(?P<port>\d+)")
STARTING_EVERY_S = 0.05
"""Between two looks at something that starts."""
STARTING_COMMAND_EVERY_S = 0.5
FIRST_LOOK_S = 0.05
"""How long a look waits for the answer of one that was never asked before."""
STALLED_S = 5.0
"""Between two looks: the machine was suspended, or we were frozen. Who is silent then has its count begun again."""
LATE = 1.5
"""So many times its timeout after it was asked, an answer that did not come says something of us, not of it."""
Probe = Callable[[int, Health], Awaitable[Answer]]
Clock = Callable[[], float]


def boot_time_s() -> float:
    """Seconds since the boot; unlike the monotonic clock it goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Instance:
    """A process of a version of a service; its key says all that has to be known of it."""

    key: str
    name: str
    digest: str
    port: int
    state: ProcessState

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_down(self) -> bool:
        """Whether it has ended and waits to be started again; one that is still being ended may hold its port."""
        return self.state.phase == "backoff" and self.state.pid is None


def instance_of(state: ProcessState) -> Instance | None:
    """The instance that a process is; None for every other process."""
    match = _KEY.fullmatch(state.key) if state.group == "instance" else None
    return Instance(state.key, match["name"], match["digest"], int(match["port"]), state) if match else None


def of_version(instances: Iterable[Instance], name: str, digest: str) -> list[Instance]:
    """Those of one version of a service."""
    return [each for each in instances if (each.name, each.digest) == (name, digest)]


@dataclass
class Vital:
    """What was seen of one process. ``presumed``: it ran before we looked, so requests may be on their way to it."""

    pid: int | None
    presumed: bool
    ready: bool = False
    was_ready: bool = False
    passed: int = 0
    failed: int = 0
    silent: int = 0
    said: str = ""
    due_s: float = 0.0
    asked: asyncio.Task[Answer] | None = None
    pidfd: int | None = None


class Vitals:
    """The instances of one controller, by key. ``woken`` is set when one of them has ended; ``clock`` in seconds."""

    def __init__(self, probe: Callable[[Instance], Probe], *, clock: Clock = boot_time_s) -> None:
        self._probe = probe
        self._clock = clock
        self._looked_s = clock()
        self._known: dict[str, Vital] = {}
        self._looked = False
        self.woken = asyncio.Event()

    async def look(self, instances: Iterable[Instance], health_of: Callable[[Instance], Health]) -> None:
        """Take the answers that have come, and ask whoever is due; an answer is not waited for, but for the first."""
        there = {instance.key: instance for instance in instances}
        for key in self._known.keys() - there.keys():
            self._forget(self._known.pop(key))
        self._begin_again_after_a_stall()
        never = []
        for instance in there.values():
            vital = self._vital(instance)
            self._take(vital, health_of(instance))
            if instance.state.phase == "running" and vital.asked is None and self._clock() >= vital.due_s:
                vital.asked = asyncio.create_task(self._ask(instance, health_of(instance)))
                if not (vital.passed or vital.failed):
                    never.append((vital, health_of(instance)))
        self._looked = True
        if never:
            await asyncio.wait([vital.asked for vital, _ in never if vital.asked], timeout=FIRST_LOOK_S)
            for vital, health in never:
                self._take(vital, health)

    def is_ready(self, instance: Instance) -> bool:
        """Whether it was seen to be well as often as its service asks for."""
        vital = self._known.get(instance.key)
        return vital is not None and vital.ready and instance.state.phase == "running"

    def is_serving(self, instance: Instance) -> bool:
        """Whether it is ready, or was when this controller came and nothing else is known yet."""
        vital = self._known.get(instance.key)
        return vital is not None and instance.state.phase == "running" and (vital.ready or vital.presumed)

    def has_served(self, instance: Instance) -> bool:
        """Whether it ever was ready: better than nothing where nobody is."""
        vital = self._known.get(instance.key)
        return vital is not None and instance.state.phase == "running" and vital.was_ready

    def is_hung(self, instance: Instance, health: Health) -> bool:
        """Whether it was well and has given no answer for as many looks as its service allows."""
        allowed = health.restart_after if isinstance(health, InstanceHealth) else 0
        return self.has_served(instance) and 0 < allowed <= self._known[instance.key].silent

    def said(self, instance: Instance) -> str:
        """What came of the last look, in words; empty before the first."""
        vital = self._known.get(instance.key)
        return vital.said if vital is not None else ""

    def stop(self) -> None:
        """Ask nobody any more."""
        for vital in self._known.values():
            self._forget(vital)
        self._known.clear()

    def _begin_again_after_a_stall(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s > STALLED_S:
            for vital in self._known.values():
                vital.silent = 0
        self._looked_s = now_s

    def _vital(self, instance: Instance) -> Vital:
        vital, pid = self._known.get(instance.key), instance.state.pid
        if vital is None or vital.pid != pid:
            if vital is not None:
                self._forget(vital)
            vital = self._known[instance.key] = Vital(pid, presumed=not self._looked)
            vital.was_ready = vital.presumed
            self._watch(vital)
        return vital

    def _watch(self, vital: Vital) -> None:
        """Its end is known at once, not at the next look."""
        if vital.pid is None:
            return
        try:
            vital.pidfd = os.pidfd_open(vital.pid)
        except OSError:
            return
        asyncio.get_running_loop().add_reader(vital.pidfd, self._ended, vital)

    def _ended(self, vital: Vital) -> None:
        vital.ready = vital.presumed = vital.was_ready = False
        self._unwatch(vital)
        self.woken.set()

    def _unwatch(self, vital: Vital) -> None:
        if vital.pidfd is not None:
            asyncio.get_running_loop().remove_reader(vital.pidfd)
            os.close(vital.pidfd)
            vital.pidfd = None

    def _forget(self, vital: Vital) -> None:
        if vital.asked is not None:
            vital.asked.cancel()
        self._unwatch(vital)

    async def _ask(self, instance: Instance, health: Health) -> Answer:
        asked_s = self._clock()
        answer = await self._probe(instance)(instance.port, health)
        late = self._clock() - asked_s > LATE * health.timeout_s
        return replace(answer, silent=False) if late else answer

    def _take(self, vital: Vital, health: Health) -> None:
        if vital.asked is None or not vital.asked.done():
            return
        asked, vital.asked = vital.asked, None
        whole = not asked.cancelled() and asked.exception() is None
        answer = asked.result() if whole else Answer(False, "it could not be asked")
        vital.said = answer.said
        vital.silent = vital.silent + 1 if answer.silent else 0
        if answer.well:
            vital.passed, vital.failed = vital.passed + 1, 0
            if vital.passed >= health.healthy or vital.presumed:
                vital.ready, vital.was_ready, vital.presumed = True, True, False
        else:
            vital.passed, vital.failed = 0, vital.failed + 1
            if vital.failed >= health.unhealthy:
                vital.ready = vital.presumed = False
        vital.due_s = self._clock() + self._pause_s(vital, health)

    @staticmethod
    def _pause_s(vital: Vital, health: Health) -> float:
        if vital.was_ready or vital.passed:
            return health.interval_s
        is_command = isinstance(health, InstanceHealth) and bool(health.command)
        return min(health.interval_s, STARTING_COMMAND_EVERY_S if is_command else STARTING_EVERY_S)
