"""Services as the engine moves them: instances are processes under the supervisor, found again by their keys."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lastgood.config.model import Health
from lastgood.errors import Unavailable
from lastgood.ports import Processes, ProcessSpec, ProcessState
from lastgood.release.observed import Fact
from lastgood.release.step import Step

_KEY = re.compile(r"(?P<name>[a-z0-9_-]+)@(?P<digest>[0-9a-f]{8,64})\.(?P<port>\d+)")


@dataclass(frozen=True)
class Launch:
    """How an instance of one version is started and seen to be healthy. It gets ``PORT`` in its environment."""

    argv: tuple[str, ...]
    folder: Path
    logs: Path
    health: Health = field(default_factory=Health)
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace_s: float = 10.0


LaunchOf = Callable[[str, str, int], Launch]
"""``(service, digest, release)`` to how it is launched."""


class ServiceDriver:
    """Moves every ``service:NAME``. An instance's key names its service, version and port, so nothing else is stored.

    Facts: ``wanted:DIGEST`` instances the supervisor keeps running (stable), ``healthy:DIGEST`` that answer now, and
    ``endpoints:DIGEST``, the addresses of those.
    """

    def __init__(self, processes: Processes, launch_of: LaunchOf) -> None:
        self._processes = processes
        self._launch_of = launch_of
        self._launches: dict[tuple[str, str], Launch] = {}

    async def observe(self) -> Sequence[Fact]:
        """Ask the supervisor what runs, and every instance whether it is healthy."""
        found: dict[tuple[str, str], list[int]] = {}
        for state in await self._processes.list():
            if (match := _instance(state)) is not None:
                found.setdefault((match["name"], match["digest"]), []).append(int(match["port"]))
        facts = []
        for (name, digest), ports in sorted(found.items()):
            launch = self._launches.get((name, digest))
            health = launch.health if launch else Health()
            healthy = [port for port in sorted(ports) if await is_healthy(port, health)]
            part = f"service:{name}"
            facts.append(Fact(part, f"wanted:{digest}", len(ports)))
            facts.append(Fact(part, f"healthy:{digest}", len(healthy), stable=False))
            endpoints = [f"127.0.0.1:{port}" for port in healthy]
            facts.append(Fact(part, f"endpoints:{digest}", endpoints, stable=False))
        return facts

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """``start``, ``drain`` and ``stop``; the same again changes nothing."""
        name, digest = step.part.partition(":")[2], str(step.args["digest"])
        running = [match for state in await self._processes.list() if (match := _instance(state)) is not None]
        mine = [match for match in running if (match["name"], match["digest"]) == (name, digest)]
        leaving = mine[int(step.args.get("keep", 0)) :]
        if step.verb == "drain":
            return {"leaving": len(leaving)}  # SIGTERM lets each finish what it has
        if step.verb == "stop":
            for match in leaving:
                await self._processes.stop(match[0])
            return {"stopped": len(leaving)}
        launch = self._launch_of(name, digest, int(step.args["release"]))
        self._launches[name, digest] = launch
        for _ in range(int(step.args["instances"]) - len(mine)):
            await self._start(name, digest, launch)
        return {"instances": int(step.args["instances"]), "already": len(mine)}

    async def _start(self, name: str, digest: str, launch: Launch) -> None:
        port = free_port()
        key = f"{name}@{digest}.{port}"
        state = await self._processes.start(
            ProcessSpec(
                key,
                launch.argv,
                str(launch.logs / f"{name}.log"),
                "instance",
                {"PATH": os.environ.get("PATH", os.defpath), **launch.env, "PORT": str(port)},
                launch.secret_env,
                str(launch.folder),
                grace_s=launch.grace_s,
            )
        )
        if state.error is not None:
            raise Unavailable(f"{name} does not start: {state.error}", where=state.log_path, next="read this log")


def _instance(state: ProcessState) -> re.Match[str] | None:
    return _KEY.fullmatch(state.key) if state.group == "instance" else None


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def is_healthy(port: int, health: Health) -> bool:
    """Whether ``GET path`` answers with 2xx in time."""
    try:
        async with asyncio.timeout(health.timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {health.path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
                status = (await reader.readline()).split(b" ", 2)
                return len(status) > 1 and status[1].startswith(b"2")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
