"""Instances without processes: a supervisor in memory, and a small server at the port of whatever it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lastgood.config.model import InstanceHealth, SmokeCheck
from lastgood.effects.instances.launch import Launch
from lastgood.effects.instances.ports import free_port
from lastgood.effects.services import ServiceDriver
from lastgood.ports import KeeperAway
from lastgood.process import ProcessSpec, ProcessState
from lastgood.release.step import Step
from lastgood.testing.fake_processes import FakeProcesses

ONE, TWO = "1" * 64, "2" * 64
QUICK = InstanceHealth.model_validate({"interval": "20ms", "timeout": "300ms", "unhealthy": 2})


class Living(FakeProcesses):
    """Opens a server at ``PORT``; ``status`` is what it answers with, by version."""

    def __init__(self) -> None:
        super().__init__()
        self.status: dict[str, int] = {}
        self.servers: dict[str, asyncio.Server] = {}
        self.writers: dict[str, list[asyncio.StreamWriter]] = {}
        self.without_secrets: set[str] = set()
        self.robbed: set[str] = set()
        """Those whose port somebody else has: they end at once, and wait to be started again."""
        self.lists = 0
        self.hung: set[str] = set()
        """Those that take connections and answer nothing, until they are restarted."""
        self.restarted: list[tuple[str, tuple[str, ...]]] = []
        """Who was restarted, and what the gateway sent requests to at that moment."""
        self.published: Callable[[], tuple[str, ...]] = tuple
        self.never_back = False
        self.deaf_to_restarts = 0

    async def start(self, spec: ProcessSpec) -> ProcessState:
        state = await super().start(spec)
        self.without_secrets.discard(spec.key)
        if spec.key not in self.servers and "deaf" not in spec.argv:
            try:
                await self.open(spec.key)
            except OSError:
                self.robbed.add(spec.key)
        return state

    async def stop(self, key: str, grace_s: float | None = None) -> bool:
        self.shut(key)
        return await super().stop(key, grace_s)

    async def restart(self, key: str, pid: int) -> bool:
        if self.deaf_to_restarts > 0:
            self.deaf_to_restarts -= 1
            raise KeeperAway("the supervisor cannot be asked")
        self.restarted.append((key, self.published()))
        if await super().restart(key, pid) and not self.never_back:
            self.hung.discard(key)
            return True
        return False

    async def list(self) -> tuple[ProcessState, ...]:
        self.lists += 1
        return tuple(self._shown(state) for state in await super().list())

    def _shown(self, state: ProcessState) -> ProcessState:
        if state.key in self.without_secrets:
            return replace(state, phase="needs_env", pid=None)
        return replace(state, phase="backoff", pid=None, restarts=1) if state.key in self.robbed else state

    async def open(self, key: str) -> None:
        digest = key.partition("@")[2].partition(".")[0]

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.setdefault(key, []).append(writer)
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    if key in self.hung:
                        continue
                    status = self.status.get(digest, self.status.get(key, 200))
                    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\nhello".encode())
            except (EOFError, OSError):
                writer.close()

        self.servers[key] = await asyncio.start_server(talk, "127.0.0.1", int(key.rpartition(".")[2]))

    def shut(self, key: str) -> None:
        if (server := self.servers.pop(key, None)) is not None:
            server.close()
        for writer in self.writers.pop(key, []):
            writer.close()


class Gate:
    """A gateway that sends requests to some versions, and asks the driver where they are whenever it is told to."""

    def __init__(self) -> None:
        self.versions: set[str] = set()
        self.said: dict[str, tuple[str, ...]] = {}
        self.pushes = 0
        self.is_deaf = False
        """It is told and does nothing."""
        self.driver: ServiceDriver | None = None

    def published(self, name: str, digest: str) -> Collection[str] | None:
        return self.said.get(digest, ()) if digest in self.versions else None

    async def publish(self) -> None:
        assert self.driver is not None
        self.pushes += 1
        if self.is_deaf:
            return
        self.said = {digest: self.driver.endpoints("catalog", digest) for digest in self.versions}


class Town:
    """The driver with its surroundings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes, self.gate = Living(), Gate()
        self.health, self.argv, self.smoke = QUICK, ("python", "main.py"), tuple[SmokeCheck, ...]()
        self.secret_env: Mapping[str, str] = {}
        self.chosen: list[int] = []
        """Ports that the driver will choose first, taken or not."""
        self.processes.published = lambda: self.gate.said.get(ONE, ())
        self.services = self.driver()

    def driver(self) -> ServiceDriver:
        """A controller's driver: its own, or that of the next controller."""
        driver = ServiceDriver(
            self.processes,
            lambda name, digest, release: Launch(
                self.argv, self.folder, self.folder, self.health, {}, self.secret_env, 1.0, self.smoke
            ),
            health_of=lambda name, digest: self.health,
            redact=lambda text: text.replace("hunter2", "[redacted]"),
            choose_port=lambda taken: self.chosen.pop() if self.chosen else free_port(taken),
        )
        driver.outlet, self.gate.driver = self.gate, driver
        return driver

    async def do(self, verb: str, digest: str = ONE, timeout_s: float = 10.0, **args: Any) -> Mapping[str, Any]:
        """Perform a step of ``service:catalog``."""
        step = Step("x", "service:catalog", verb, {"digest": digest, "release": 1, **args})
        async with asyncio.timeout(timeout_s):
            return await self.services.perform(step, "d1.1/x")

    async def facts(self, digest: str = ONE) -> dict[str, Any]:
        """The facts of a version, by what they are about."""
        found = await self.services.observe()
        return {fact.key.partition(":")[0]: fact.value for fact in found if fact.key.endswith(digest)}

    async def until(self, key: str, value: object, digest: str = ONE) -> None:
        """Wait for a fact."""
        async with asyncio.timeout(10):
            while (await self.facts(digest)).get(key) != value:
                await asyncio.sleep(0.01)

    def running(self, digest: str = ONE) -> list[str]:
        """The instances of a version."""
        return sorted(key for key in self.processes.servers if digest in key)

    async def close(self) -> None:
        """End everything."""
        self.services.close()
        for key in list(self.processes.servers):
            self.processes.shut(key)
