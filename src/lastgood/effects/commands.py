"""Running a command of somebody else: bounded in time and in what it may say, ended with all it started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex

from lastgood.effects.own_thread import on_own_thread
from lastgood.effects.processes.identity import MARKER
from lastgood.effects.processes.marked import end_all

SAID_BYTES = 4096
"""Of what a command says the end is kept."""


async def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str],
    folder: Path | None = None,
    told: bytes = b"",
) -> tuple[int | None, str]:
    """Its exit code (None: it took too long) and the end of what it said; ``told`` is its standard input.

    Raises ``OSError`` when it cannot start.
    """
    marker = f"command:{token_hex(16)}"
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        env={**environment, MARKER: marker},
        stdin=asyncio.subprocess.PIPE if told else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    hearing = asyncio.create_task(_hear(process, told))
    try:
        code = await _ended_within(process, timeout_s, marker)
        await asyncio.wait({hearing}, timeout=1.0)  # what it started may hold the pipe open: it was ended, too
        said = hearing.result() if hearing.done() and not hearing.cancelled() else b""
    finally:
        hearing.cancel()
    return code, said.decode("utf-8", "replace").strip()


async def _hear(process: asyncio.subprocess.Process, told: bytes) -> bytes:
    if process.stdin is not None:
        try:
            process.stdin.write(told)
            await process.stdin.drain()
            process.stdin.close()
        except OSError:
            pass  # it did not listen
    assert process.stdout is not None
    said = b""
    while piece := await process.stdout.read(65536):
        said = (said + piece)[-SAID_BYTES:]
    return said


async def _ended_within(process: asyncio.subprocess.Process, timeout_s: float, marker: str) -> int | None:
    """Its exit code; None when it took too long. It is ended with all it started in any case."""
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if process.returncode is None:
            await asyncio.shield(process.wait())
        # Who left its process group would live on.
        await asyncio.shield(on_own_thread(lambda: end_all(marker)))


def plain_environment(**more: str) -> dict[str, str]:
    """What a command needs to find programs and the network; no secret of ours is in it."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
    return {name: os.environ[name] for name in wanted if name in os.environ} | more
