"""Constant load on keep-alive connections, and two tiny upstreams to answer it: all of it is counted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that is sent again and again."""

    name: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the moment it was sent (monotonic seconds), status (0: the connection broke), first bytes."""

    sent_s: float
    probe: str
    status: int
    body: str


@dataclass
class Load:
    """Sends each probe ``per_second`` times on a connection of its own, in a thread of its own."""

    port: int
    probes: tuple[Probe, ...]
    per_second: float
    answers: list[Answer] = field(default_factory=list)
    reconnects: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def seen(self, probe: str, since_s: float) -> Counter[tuple[int, str]]:
        """How often each ``(status, body)`` came back for a probe since a moment."""
        return Counter((a.status, a.body) for a in self.answers if a.probe == probe and a.sent_s >= since_s)

    def failed(self) -> list[Answer]:
        """Answers that no configuration asked for: broken connections and 5xx."""
        return [answer for answer in self.answers if answer.status == 0 or answer.status >= 500]

    async def _run(self) -> None:
        await asyncio.gather(*(self._repeat(probe) for probe in self.probes))

    async def _repeat(self, probe: Probe) -> None:
        lines = [f"GET {probe.path} HTTP/1.1", "host: shop.example", *(f"{k}: {v}" for k, v in probe.headers)]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        due_s = time.monotonic()
        while not self._stop.is_set():
            sent_s = time.monotonic()
            try:
                if pipe is None:
                    pipe = await asyncio.open_connection("127.0.0.1", self.port)
                    self.reconnects += 1
                pipe[1].write(request)
                async with asyncio.timeout(10):
                    status, body, closing = await _read(pipe[0])
                if closing:
                    pipe[1].close()
                    pipe = None
            except (OSError, EOFError, TimeoutError, ValueError):
                status, body, pipe = 0, "", None
            self.answers.append(Answer(sent_s, probe.name, status, body))
            due_s = max(due_s + 1 / self.per_second, time.monotonic() - 0.1)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        if pipe is not None:
            pipe[1].close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, str, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "transfer-encoding: chunked" in head:
        body = await _chunks(reader)
    else:
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
    return int(head[9:12]), body[:40].decode("utf-8", "replace"), "connection: close" in head


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while length := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(length)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


class Upstream:
    """A server that answers every request with its name, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._answer = f"HTTP/1.1 200 OK\r\ncontent-length: {len(name)}\r\n\r\n{name}".encode()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=name, daemon=True)
        self._thread.start()
        ready.wait(10)

    def _run(self, ready: threading.Event) -> None:
        async def serve() -> None:
            server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        self._loop.run_until_complete(serve())
        self._loop.run_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
        except (EOFError, OSError):
            writer.close()

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
