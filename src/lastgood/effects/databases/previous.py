"""The release before, tried against the new schema: its services are started on a migrated scratch copy, and asked.

What they answer in the database they are given is theirs alone: the copy is thrown away afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Collection, Mapping

from lastgood.effects.instances.launch import Launch
from lastgood.effects.instances.probing import ADDRESS, probe, smoke
from lastgood.errors import LastgoodError

READY_S = 30.0
_LIBC = ctypes.CDLL(None)
_DIE_WITH_PARENT = 1
_PAUSE_S = 0.05
_TOLD_LINES = 3


def uses(launch: Launch, urls: Collection[str]) -> tuple[str, ...]:
    """The variables of a service's environment that hold one of these URLs."""
    return tuple(sorted(key for key, text in {**launch.env, **launch.secret_env}.items() if text in urls))


def environment_on(launch: Launch, urls: Collection[str], scratch: str) -> dict[str, str]:
    """What its process gets to see, with the scratch database in place of the real one."""
    seen = {**launch.env, **launch.secret_env}
    return {key: scratch if text in urls else text for key, text in seen.items()}


def try_service(name: str, launch: Launch, env: Mapping[str, str], *, ready_s: float = READY_S) -> str | None:
    """Start one instance, wait until it is healthy, make its smoke checks; why it does not work, None when it does."""
    return asyncio.run(_try(name, launch, env, ready_s))


async def _try(name: str, launch: Launch, env: Mapping[str, str], ready_s: float) -> str | None:
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        *launch.argv,
        cwd=launch.folder,
        env={**env, "PORT": str(port)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_us,
    )
    said: list[str] = []
    listening = asyncio.create_task(_listen(process, said))
    try:
        if (why := await _until_healthy(process, launch, env, port, ready_s)) is not None:
            await asyncio.wait([listening], timeout=0.2)
            return f"{name} {why}" + (f": {' / '.join(said[-_TOLD_LINES:])}" if said else "")
        for check in launch.smoke:
            await smoke(name, port, check)
    except LastgoodError as error:
        return error.what
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.wait([listening], timeout=1.0)
    return None


def _end_with_us() -> None:
    """A trial that outlived whoever tries it would work on a copy that nobody remembers."""
    _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)


async def _until_healthy(
    process: asyncio.subprocess.Process, launch: Launch, env: Mapping[str, str], port: int, ready_s: float
) -> str | None:
    try:
        async with asyncio.timeout(ready_s):
            while process.returncode is None:
                if (await probe(port, launch.health, folder=launch.folder, env=env)).well:
                    return None
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        return f"was not healthy within {ready_s:g} s"
    return f"ended with exit code {process.returncode}"


async def _listen(process: asyncio.subprocess.Process, said: list[str]) -> None:
    """The last lines it prints, for the reason; the rest is dropped."""
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line.decode("utf-8", "replace").strip())
        del said[:-10]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])
