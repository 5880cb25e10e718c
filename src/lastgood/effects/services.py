"""Services as the engine moves them: instances are processes under the supervisor, found again by their keys.

Facts of ``service:NAME``, for every version (``DIGEST``) of which there are instances:

- ``wanted:DIGEST``: how many the supervisor keeps running (stable)
- ``healthy:DIGEST``: how many answer as their service asks for, do not drain, and are known to the gateway if that
  sends requests to this version
- ``endpoints:DIGEST``: their addresses
- ``unready:DIGEST``: who is not, and what came of asking it last, in words
- ``failing:DIGEST``: why it cannot work, in words, where that is plain (it ends again and again)

The steps are described in ``release.strategies.instances``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lastgood.config.model import Health
from lastgood.effects.instances.asking import failing, not_ready_in_time, patience_s, probe_of, unready
from lastgood.effects.instances.connections import until_quiet
from lastgood.effects.instances.launch import HealthOf, Launch, LaunchOf
from lastgood.effects.instances.liveness import Liveness, others_ready
from lastgood.effects.instances.outlet import NoOutlet, Outlet, until_unpublished
from lastgood.effects.instances.ports import free_port, is_free
from lastgood.effects.instances.probing import smoke
from lastgood.effects.instances.sharing import Shared
from lastgood.effects.instances.vitals import Instance, Probe, Vitals, instance_of, of_version
from lastgood.errors import Failed, LastgoodError, Unavailable
from lastgood.ports import KeeperAway, Processes, ProcessState
from lastgood.release.observed import Fact
from lastgood.release.step import Step

LOOK_S = 0.03
FRESH_S = 1.0
"""For so long what the supervisor said is not asked again: that an instance ended is known from the kernel, that it is
well from its probes, and what we start and stop ourselves we look at afterwards. A rollback waits for this look.
"""
LIST_S = 2.0
AWAY_S = 15.0
"""A supervisor that was killed is started again within two seconds; on a machine that is busy it takes longer."""
AT_WORK_S = 5.0
"""Who gets so far in a step has found the supervisor there meanwhile."""
MOST_MOVES = 3
"""Instances of one start that get another port because somebody has taken theirs between its choice and its use."""


class ServiceDriver:
    """Moves every ``service:NAME``. An instance's key names its service, version and port, so nothing else is stored.

    ``redact`` takes secrets out of what is told of a log. Set ``outlet`` to the gateway before anything is observed.
    """

    def __init__(
        self,
        processes: Processes,
        launch_of: LaunchOf,
        *,
        health_of: HealthOf | None = None,
        redact: Callable[[str], str] = str,
        choose_port: Callable[[Collection[int]], int] = free_port,
    ) -> None:
        self._processes = processes
        self._launch_of = launch_of
        self._choose_port = choose_port
        self._health_of = health_of or self._health_of_launch
        self._redact = redact
        self._launches: dict[tuple[str, str], Launch] = {}
        self._instances: tuple[Instance, ...] | None = None
        self._asked_s = 0.0
        self._draining: set[str] = set()
        self._promised: set[int] = set()
        self._publishing: asyncio.Task[None] | None = None
        self._shared_look = Shared(self._look_now)
        self.vitals = Vitals(self._probe)
        self._liveness = Liveness(self._is_hung, self._leave, self._restart)
        self.outlet: Outlet = NoOutlet()

    # --- looking -----------------------------------------------------------------------------------------------

    async def observe(self) -> Sequence[Fact]:
        """Ask the supervisor what runs; every instance is asked beside that, and what it said last is what counts."""
        instances = await self._look(at_most_s=FRESH_S)
        facts = []
        for name, digest in sorted({(each.name, each.digest) for each in instances}):
            mine = of_version(instances, name, digest)
            able = [each.address for each in mine if self._is_able(each)]
            part = f"service:{name}"
            facts.append(Fact(part, f"wanted:{digest}", len(mine)))
            facts.append(Fact(part, f"healthy:{digest}", len(able), stable=False))
            facts.append(Fact(part, f"endpoints:{digest}", sorted(able), stable=False))
            facts.append(Fact(part, f"unready:{digest}", unready(mine, self._is_able, self.vitals), stable=False))
            if (why := failing(mine, self.vitals.is_ready)) is not None:
                facts.append(Fact(part, f"failing:{digest}", why, stable=False))
        return facts

    def endpoints(self, name: str, digest: str) -> tuple[str, ...]:
        """Where requests to a version may go. Raises ``Unavailable`` before anything was seen: that is not "nowhere".

        Where nobody is ready those that once were are better than nothing: their health check may be what is wrong.
        """
        if self._instances is None:
            raise Unavailable("the instances of services were not seen yet", next="lastgood doctor")
        mine = [i for i in self._instances if (i.name, i.digest) == (name, digest) and i.key not in self._draining]
        found = [each for each in mine if self.vitals.is_serving(each)]
        found = found or [each for each in mine if self.vitals.has_served(each)]
        return tuple(sorted(each.address for each in found))

    async def watch(self, every_s: float = 0.5) -> None:
        """Look again and again, at once when an instance has ended, and tell the gateway; until cancelled."""
        while True:
            try:
                await self._look()
                await self._supply()
            except LastgoodError:
                pass  # whoever needs to know asks again, and is told why
            try:
                async with asyncio.timeout(every_s):
                    await self.vitals.woken.wait()
            except TimeoutError:
                continue
            self.vitals.woken.clear()

    def close(self) -> None:
        """Ask nobody any more; the instances go on."""
        self._liveness.stop()
        self.vitals.stop()
        if self._publishing is not None:
            self._publishing.cancel()

    async def _look(self, at_most_s: float = 0.0) -> tuple[Instance, ...]:
        instances = self._instances
        if instances is None or self.vitals.woken.is_set() or time.monotonic() - self._asked_s >= at_most_s:
            return await self._shared_look.ask()
        return await self._take(instances)

    async def _look_now(self) -> tuple[Instance, ...]:
        asked_s = time.monotonic()
        found = [made for state in await self._list() if (made := instance_of(state)) is not None]
        instances = tuple(each for each in found if each.state.phase != "stopping")
        self._asked_s = asked_s
        return await self._take(instances)

    async def _take(self, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        await self.vitals.look((each for each in instances if each.key not in self._draining), self._health)
        self._instances = instances
        self._draining &= {each.key for each in instances}
        self._publish_changes()
        self._liveness.mind(each for each in instances if each.key not in self._draining)
        return instances

    def _is_hung(self, instance: Instance) -> bool:
        return instance.key not in self._draining and self.vitals.is_hung(instance, self._health(instance))

    async def _leave(self, instance: Instance) -> None:
        """Until it gets no requests and has none, if others answer in its place."""
        if others_ready(instance, self._instances or (), self.vitals.is_ready):
            await until_unpublished([instance], self.outlet, self._publish)
            await until_quiet([instance.port], instance.state.grace_s)

    async def _restart(self, key: str, pid: int) -> bool:
        try:
            return await self._processes.restart(key, pid)
        finally:
            self._asked_s = 0.0

    async def _list(self) -> tuple[ProcessState, ...]:
        try:
            async with asyncio.timeout(LIST_S):
                return await self._processes.list()
        except TimeoutError:
            raise KeeperAway(f"the supervisor does not answer within {LIST_S:g} s", next="lastgood doctor") from None

    def _publish_changes(self) -> None:
        if self._publishing is not None and not self._publishing.done():
            return
        for name, digest in {(each.name, each.digest) for each in self._instances or ()}:
            published = self.outlet.published(name, digest)
            if published is not None and set(published) != set(self.endpoints(name, digest)):
                self._publishing = asyncio.create_task(self._publish())
                return

    async def _publish(self) -> None:
        try:
            await self.outlet.publish()
        except LastgoodError:
            pass  # the next look sees that it still differs

    def _is_able(self, instance: Instance) -> bool:
        if instance.key in self._draining or not self.vitals.is_ready(instance):
            return False
        published = self.outlet.published(instance.name, instance.digest)
        return published is None or instance.address in published

    def _health(self, instance: Instance) -> Health:
        return self._health_of(instance.name, instance.digest)

    def _health_of_launch(self, name: str, digest: str) -> Health:
        launch = self._launches.get((name, digest))
        return launch.health if launch else Health()

    def _probe(self, instance: Instance) -> Probe:
        return probe_of(self._launches.get((instance.name, instance.digest)))

    # --- moving --------------------------------------------------------------------------------------------------

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """``start``, ``smoke``, ``drain`` and ``stop``; the same again changes nothing.

        A supervisor that was killed is back in a moment, and one that starts hundreds of processes is slow to answer:
        that is no fault of the version that is moved.
        """
        away_since_s = None
        late_s = time.monotonic() + patience_s(step)
        while True:
            began_s = time.monotonic()
            try:
                return await self._perform(step, late_s)
            except KeeperAway:
                if away_since_s is None or time.monotonic() - began_s > AT_WORK_S:
                    away_since_s = time.monotonic()
                elif time.monotonic() - away_since_s >= AWAY_S:
                    raise
                await asyncio.sleep(LOOK_S)

    async def _perform(self, step: Step, late_s: float) -> Mapping[str, Any]:
        name, digest = step.part.partition(":")[2], str(step.args["digest"])
        try:
            match step.verb:
                case "start":
                    async with asyncio.timeout(max(0.0, late_s - time.monotonic())):
                        return await self._start(name, digest, int(step.args["release"]), int(step.args["instances"]))
                case "smoke":
                    return await self._smoke(name, digest, int(step.args["release"]))
            keep, drain_s = int(step.args.get("keep", 0)), float(step.args.get("drain_s", 0.0))
            going = await self._going(name, digest, keep)
            return await (self._drain(going, drain_s) if step.verb == "drain" else self._stop(going, drain_s))
        except TimeoutError:
            raise self._late(name, digest, step) from None
        finally:
            self._asked_s = 0.0

    def _late(self, name: str, digest: str, step: Step) -> Failed:
        mine = of_version(self._instances or (), name, digest)
        launch = self._launches.get((name, digest))
        told = self._redact("\n".join(launch.tail(name, digest))) if launch else ""
        able = sum(self._is_able(each) for each in mine)
        return not_ready_in_time(step, able, unready(mine, self._is_able, self.vitals), told)

    async def _start(self, name: str, digest: str, release: int, count: int) -> Mapping[str, Any]:
        launch = await self._launch(name, digest, release)
        mine = of_version(await self._look(), name, digest)
        self._draining -= {each.key for each in mine}
        taken = [*self._promised, *(each.port for each in self._instances or ())]
        began_s = time.monotonic()
        ports = [each.port for each in mine if each.state.phase in ("exited", "needs_env")]
        for _ in range(count - len(mine)):
            ports.append(self._choose_port([*taken, *ports]))
        self._promised |= set(ports)
        try:
            await asyncio.gather(*(self._run(name, digest, port, launch) for port in ports))
            await self._until_ready(name, digest, count, launch, ports)
        finally:
            self._promised -= set(ports)
        took_ms = round((time.monotonic() - began_s) * 1000, 1)
        return {"instances": count, "already": len(mine), "ready_ms": took_ms}

    async def _launch(self, name: str, digest: str, release: int | None) -> Launch:
        launch = await asyncio.to_thread(self._launch_of, name, digest, release)
        self._launches[name, digest] = launch
        return launch

    async def _run(self, name: str, digest: str, port: int, launch: Launch) -> None:
        state = await self._processes.start(launch.spec(name, digest, port))
        if state.error is not None:
            raise Unavailable(f"{name} does not start: {state.error}", where=state.log_path, next="read this log")

    async def _until_ready(self, name: str, digest: str, count: int, launch: Launch, ports: list[int]) -> None:
        """Until so many can serve; raises ``Failed`` once it is plain that they never will. The step has a deadline."""
        moves = MOST_MOVES
        while True:
            mine = of_version(await self._look(), name, digest)
            if sum(self._is_able(each) for each in mine) >= count:
                return
            robbed = [each for each in mine if each.is_down and not is_free(each.port)]
            for each in robbed[:moves]:
                moves -= 1
                await self._elsewhere(each, launch, ports)
            if robbed and moves:
                continue
            if (why := failing(mine, self.vitals.is_ready)) is not None:
                told = self._redact("\n".join(launch.tail(name, digest)))
                raise Failed(f"{why}\n{told}".rstrip(), next=f"lastgood logs {name}")
            await asyncio.sleep(LOOK_S)

    async def _elsewhere(self, robbed: Instance, launch: Launch, ports: list[int]) -> None:
        """Another program listens at the port of an instance that is down: it would never come back there."""
        await self._processes.stop(robbed.key)
        port = self._choose_port([*self._promised, *(each.port for each in self._instances or ())])
        ports.append(port)
        self._promised.add(port)
        await self._run(robbed.name, robbed.digest, port, launch)

    async def _supply(self) -> None:
        """Bring their secrets to instances that a new supervisor could not start again without them."""
        for each in self._instances or ():
            if each.state.phase == "needs_env":
                await self._run(each.name, each.digest, each.port, await self._launch(each.name, each.digest, None))

    async def _smoke(self, name: str, digest: str, release: int) -> Mapping[str, Any]:
        launch = await self._launch(name, digest, release)
        able = [each for each in of_version(await self._look(), name, digest) if self.vitals.is_ready(each)]
        if not able:
            raise Unavailable(f"no instance of {name} is ready to be checked", next=f"lastgood logs {name}")
        for check in launch.smoke:
            await smoke(name, able[-1].port, check)
        return {"checks": len(launch.smoke)}

    # --- leaving -------------------------------------------------------------------------------------------------

    async def _going(self, name: str, digest: str, keep: int) -> list[Instance]:
        """Those that have to go: first who drains already, then who is not well; the same whenever it is asked."""
        mine = of_version(await self._look(), name, digest)
        order = sorted(mine, key=lambda i: (i.key not in self._draining, self.vitals.is_ready(i), i.port))
        return order[: max(0, len(order) - keep)]

    async def _drain(self, going: Sequence[Instance], drain_s: float) -> Mapping[str, Any]:
        began_s = time.monotonic()
        self._draining |= {each.key for each in going}
        await until_unpublished(going, self.outlet, self._publish)
        left = await until_quiet([each.port for each in going], drain_s)
        took_ms = round((time.monotonic() - began_s) * 1000, 1)
        return {"drained": len(going), "connections": left, "took_ms": took_ms}

    async def _stop(self, going: Sequence[Instance], drain_s: float) -> Mapping[str, Any]:
        await self._drain([each for each in going if each.key not in self._draining], drain_s)
        await asyncio.gather(*(self._processes.stop(each.key) for each in going))
        return {"stopped": len(going), **Counter(each.state.phase for each in going if each.state.phase != "running")}
