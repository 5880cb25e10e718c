"""Envoys under the supervisor: the gateway's, which outlive the controller, and the one that tries things first."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Mapping, Sequence
from pathlib import Path

from lastgood.effects.envoy.binary import find_envoy
from lastgood.effects.envoy.bootstrap import Proxy, argv, bootstrap
from lastgood.errors import Unavailable
from lastgood.ports import Processes, ProcessSpec

PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")


class SupervisedLauncher:
    """Starts the preflight proxy under the supervisor (``envoy.launcher.Launcher``)."""

    def __init__(self, processes: Processes, key: str) -> None:
        self._processes = processes
        self._key = key

    async def launch(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> SupervisedHandle:
        """Start it; the same key replaces what was there."""
        spec = ProcessSpec(
            self._key, tuple(command), str(log), "proxy", dict(environment), restart="never", grace_s=1.0
        )
        await self._processes.stop(self._key, 1.0)
        state = await self._processes.start(spec)
        if state.pid is None:
            raise Unavailable(f"it did not start: {state.error or state.phase}", where=str(log), next="read this log")
        return SupervisedHandle(self._processes, self._key, state.pid)


class SupervisedHandle:
    """A process the supervisor runs for us."""

    def __init__(self, processes: Processes, key: str, pid: int) -> None:
        self._processes = processes
        self._key = key
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except OSError:
            self._descriptor = None

    def running(self) -> bool:
        """False once it has ended."""
        if self._descriptor is None:
            return False
        if not select.select([self._descriptor], [], [], 0)[0]:
            return True
        os.close(self._descriptor)
        self._descriptor = None
        return False

    async def stop(self) -> None:
        """End it and wait for that."""
        await self._processes.stop(self._key, 1.0)
        self.running()


async def ensure_proxies(processes: Processes, proxies: Sequence[Proxy], logs: Path) -> None:
    """See that every proxy of the gateway runs and no other; one that runs already is left alone."""
    wanted = {proxy.name for proxy in proxies}
    for state in await processes.list():
        if re.fullmatch(r"proxy-\d+", state.key) and state.key not in wanted:
            await processes.stop(state.key)
    binary = find_envoy()
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    for proxy in proxies:
        path = proxy.admin_socket.with_name(f"{proxy.name}.json")
        text = bootstrap(proxy)
        if not path.exists() or path.read_text() != text:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
        command = tuple(argv(binary, path, proxy))
        log = str(logs / f"{proxy.name}.log")
        await processes.start(ProcessSpec(proxy.name, command, log, "proxy", environment, grace_s=5.0))
