"""A start beside everything: one instance of a version, seen to be healthy and ended again, that never gets a request.

Its key is no instance's, so that neither the gateway nor the engine knows of it. What a controller that was killed
left of it is ended by the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from lastgood.effects.functions.asking import is_able
from lastgood.effects.functions.launching import Activated
from lastgood.effects.instances.launch import Launch, LaunchOf
from lastgood.effects.instances.ports import free_port
from lastgood.effects.instances.probing import probe, smoke
from lastgood.errors import Failed, LastgoodError, Unavailable
from lastgood.ports import Processes

KEYS = "rehearsal:"
PATIENCE_S = 120.0
LOOK_S = 0.05
COMMAND_LOOK_S = 0.5


class Aside:
    """Starts versions aside. ``launch_of`` is how versions are launched, ``redact`` takes secrets out of logs."""

    def __init__(
        self,
        processes: Processes,
        launch_of: LaunchOf,
        *,
        redact: Callable[[str], str] = str,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._processes, self._launch_of = processes, launch_of
        self._redact, self._patience_s = redact, patience_s
        self._mine: set[str] = set()

    async def start(self, name: str, digest: str, release: int) -> float:
        """Seconds until it was healthy; it is gone when this returns, or is cancelled.

        Raises ``Unavailable`` for what is missing, ``Failed`` with the end of its log where it does not come up.
        """
        launch = await asyncio.to_thread(self._launch_of, name, digest, release)
        port = free_port()
        spec = launch.spec(name, digest, port)
        key = f"{KEYS}{name}.{port}"
        self._mine.add(key)
        began_s = time.monotonic()
        try:
            state = await self._processes.start(replace(spec, key=key, restart="never"))
            if state.error is not None:
                raise Unavailable(f"{name} does not start: {state.error}", where=state.log_path, next="read this log")
            await self._until_healthy(key, (name, digest), port, launch)
            took_s = time.monotonic() - began_s
            for check in launch.smoke:
                await smoke(name, port, check)
            return took_s
        finally:
            await asyncio.shield(self._end(key))

    async def sweep(self) -> None:
        """End what a controller before this one left."""
        try:
            left = [state.key for state in await self._processes.list() if state.key.startswith(KEYS)]
        except LastgoodError:
            return  # the supervisor is not there: then neither is what it ran
        for key in left:
            if key not in self._mine:
                await self._end(key)

    async def _end(self, key: str) -> None:
        try:
            await self._processes.stop(key)
        except LastgoodError:
            return  # the next controller sweeps it up
        self._mine.discard(key)

    async def _until_healthy(self, key: str, version: tuple[str, str], port: int, launch: Launch) -> None:
        name, digest = version
        began_s, every_s = time.monotonic(), LOOK_S
        if getattr(launch.health, "command", None):
            every_s = COMMAND_LOOK_S
        while not await _is_healthy(port, launch):
            ended = await self._ended(key)
            if ended is None and time.monotonic() - began_s < self._patience_s:
                await asyncio.sleep(every_s)
                continue
            why = ended or f"is not healthy within {self._patience_s:g} s"
            told = self._redact("\n".join(launch.tail(name, digest)))
            raise Failed(f"{name} {why}\n{told}".rstrip(), next=f"lastgood logs {name}")

    async def _ended(self, key: str) -> str | None:
        state = next((state for state in await self._processes.list() if state.key == key), None)
        if state is not None and state.phase == "running":
            return None
        code = state.last_exit if state is not None else None
        return f"ended with {code}" if code is not None else "ended with a code nobody saw"


async def _is_healthy(port: int, launch: Launch) -> bool:
    if isinstance(launch.health, Activated):
        return await is_able(port, launch.health.timeout_s)
    env = {**launch.env, **launch.secret_env}
    return (await probe(port, launch.health, folder=launch.folder, env=env)).well
