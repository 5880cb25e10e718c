"""How many requests a second something takes: connections that ask again as soon as they are answered."""

from __future__ import annotations

import asyncio
import time

CONNECTIONS = 16


async def saturation(port: int, host: str, path: str, lasts_s: float) -> float:
    """Answers a second. Answers in chunks are read to their end; anything but 200 is an error."""
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    until_s = time.perf_counter() + lasts_s
    answers = 0

    async def visit() -> None:
        nonlocal answers
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until_s:
            writer.write(request)
            await _read_answer(reader)
            answers += 1
        writer.close()

    await asyncio.gather(*(visit() for _ in range(CONNECTIONS)))
    return answers / lasts_s


async def _read_answer(reader: asyncio.StreamReader) -> None:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if status.split(b" ")[1] != b"200":
        raise RuntimeError(status.decode())
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
    if length is not None:
        await reader.readexactly(length)
        return
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()
