"""Real processes and requests for these tests: a launcher, a free port, a small HTTP client."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lastgood.effects.envoy.admin import Admin
from lastgood.effects.envoy.binary import find_envoy
from lastgood.effects.envoy.bootstrap import Proxy, argv, bootstrap


class Process:
    """A child process (``launcher.Handle``)."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen

    def running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        if self.running():
            os.kill(self.popen.pid, number)

    async def stop(self) -> None:
        self.signal(signal.SIGKILL)
        await asyncio.to_thread(self.popen.wait, 5)


class PlainLauncher:
    """``launcher.Launcher`` with subprocess; ``stop`` ends everything it started."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    async def launch(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.started.append(Process(popen))
        return self.started[-1]

    async def stop(self) -> None:
        for process in self.started:
            await process.stop()


class Machine:
    """A folder with short paths, Envoys in it, and a port that they share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launcher = PlainLauncher()
        self.port = free_port()
        self.ads_socket = folder / "ads.sock"

    def proxy(self, name: str) -> Proxy:
        return Proxy(name, self.ads_socket, self.folder / f"{name}.sock")

    async def envoy(self, name: str) -> Process:
        path = self.folder / f"{name}.json"
        path.write_text(bootstrap(self.proxy(name)))
        return await self.launcher.launch(argv(find_envoy(), path, self.proxy(name)), {}, self.folder / f"{name}.log")

    async def ready(self, name: str, timeout_s: float = 10.0) -> None:
        admin = Admin(self.proxy(name).admin_socket)
        async with asyncio.timeout(timeout_s):
            while not await admin.ready():
                await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, host: str, path: str = "/", more: str = "") -> tuple[int, str, dict[str, str]]:
        """Status, body and headers; ``more`` holds request headers, each ended by CRLF."""
        async with asyncio.timeout(5):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
            status = int((await reader.readline()).split()[1])
            headers = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            return status, body.decode(), headers

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def get(port: int, host: str, path: str = "/") -> tuple[int, str]:
    """One request on a connection of its own."""
    client = Client(port)
    try:
        status, body, _ = await client.get(host, path)
        return status, body
    finally:
        client.close()


class Upstream:
    """Answers with what the header ``x-say`` says, after ``x-wait`` seconds; ``/healthz`` waits for ``healthy``."""

    def __init__(self) -> None:
        self.healthy = asyncio.Event()
        self.healthy.set()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            headers = {}
            while field := (await reader.readline()).decode().strip():
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            if b" /healthz " in line:
                await self.healthy.wait()
            await asyncio.sleep(float(headers.get("x-wait", "0")))
            said = headers.get("x-say", "").encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said))
        writer.close()


async def until(true: object, timeout_s: float = 10.0) -> None:
    """Wait until a callable says so."""
    assert callable(true)
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.005)
