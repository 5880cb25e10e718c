"""Ask an instance whether it is able to work: a GET, a connection, or a command of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lastgood.config.model import Health, InstanceHealth, SmokeCheck
from lastgood.errors import Failed

LARGEST_ANSWER_BYTES = 1024 * 1024
ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking. ``silent``: nothing at all came back, which is more than not being well: a program that says
    503 lives and may only wait for another one. ``said`` tells it to a person; it quotes nothing of the program's.
    """

    well: bool
    said: str = ""
    silent: bool = False


async def probe(
    port: int, health: Health, *, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> Answer:
    """Whether it is well, within ``timeout_s``; a command runs in ``folder`` with ``env`` and ``PORT``."""
    what = _question(health)
    try:
        async with asyncio.timeout(health.timeout_s):
            if isinstance(health, InstanceHealth) and health.command:
                code = await _command(health.command, port, folder, env or {})
                return Answer(code == 0, f"{what} ended with {code}")
            if isinstance(health, InstanceHealth) and health.tcp:
                await _connects(port)
                return Answer(True, "takes connections")
            status, _ = await _get(port, health.path)
            return Answer(200 <= status < 300, f"{what} was answered with {status}")
    except TimeoutError:
        return Answer(False, f"{what} was not answered within {health.timeout_s:g} s", silent=True)
    except ConnectionRefusedError:
        return Answer(False, f"nothing listens on port {port} (connection refused)", silent=True)
    except FileNotFoundError:
        return Answer(False, f"{what} cannot be run: there is no such program")
    except (EOFError, ConnectionError):
        return Answer(False, f"{what}: the connection was closed without an answer")
    except OSError as error:
        return Answer(False, f"{what} failed: {error.strerror or type(error).__name__}")
    except ValueError:
        return Answer(False, f"{what} was answered, but not in HTTP")


def _question(health: Health) -> str:
    if isinstance(health, InstanceHealth) and health.command:
        return f"the command {health.command[0]}"
    if isinstance(health, InstanceHealth) and health.tcp:
        return "a connection"
    return f"GET {health.path}"


async def smoke(name: str, port: int, check: SmokeCheck) -> None:
    """Ask what a service's check says; raises ``Failed`` with what came instead."""
    try:
        async with asyncio.timeout(check.timeout_s):
            status, body = await _get(port, check.path, with_body=True)
    except TimeoutError:
        raise Failed(f"{name}: GET {check.path} was not answered within {check.timeout_s:g} s") from None
    except (OSError, ValueError, EOFError) as error:
        raise Failed(f"{name}: GET {check.path} failed: {type(error).__name__}") from None
    if status != check.status:
        raise Failed(f"{name}: GET {check.path} was answered with {status}, not {check.status}")
    if check.contains is not None and check.contains not in body:
        raise Failed(f"{name}: the answer to GET {check.path} does not contain {check.contains!r}")


async def _get(port: int, path: str, *, with_body: bool = False) -> tuple[int, str]:
    """Status and body. With HTTP/1.0 the body comes in one piece, whatever the server would rather do."""
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    try:
        lines = (f"GET {path} HTTP/1.{0 if with_body else 1}", f"host: {ADDRESS}:{port}", "connection: close")
        writer.write("\r\n".join([*lines, "user-agent: lastgood", "", ""]).encode())
        words = (await reader.readuntil(b"\r\n")).split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            raise ValueError("no answer in HTTP")
        if not with_body:
            return int(words[1]), ""
        await reader.readuntil(b"\r\n\r\n")
        return int(words[1]), (await _body(reader)).decode("utf-8", "replace")
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    """All there is until the end, bounded: some servers do not close when they are asked to."""
    content = b""
    while len(content) < LARGEST_ANSWER_BYTES:
        try:
            async with asyncio.timeout(0.5):
                chunk = await reader.read(65_536)
        except TimeoutError:
            break
        if not chunk:
            break
        content += chunk
    return content


async def _connects(port: int) -> None:
    _, writer = await asyncio.open_connection(ADDRESS, port)
    writer.close()


async def _command(argv: tuple[str, ...], port: int, folder: Path | None, env: Mapping[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        env={**env, "PORT": str(port)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            await asyncio.shield(process.wait())
