"""The admin interface of one Envoy, over its Unix socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lastgood.errors import Unavailable


class Admin:
    """One Envoy's admin socket. Every call is bounded by ``timeout_s`` and raises ``Unavailable``."""

    def __init__(self, socket: Path, *, timeout_s: float = 2.0) -> None:
        self.socket = socket
        self._timeout_s = timeout_s

    async def ready(self) -> bool:
        """Whether it has its configuration and its listeners are open; False when it cannot be asked."""
        try:
            status, _ = await self._ask("GET", "/ready")
        except Unavailable:
            return False
        return status == 200

    async def stats(self, regex: str) -> dict[str, int]:
        """Counters and gauges whose whole name matches, by name (RE2 syntax)."""
        raw = await self._json(f"/stats?format=json&filter={quote(f'^({regex})$', safe='')}")
        return {stat["name"]: stat["value"] for stat in raw["stats"] if isinstance(stat.get("value"), int)}

    async def statistics(self, regex: str) -> list[dict[str, Any]]:
        """Counters, gauges and histograms (by cumulative buckets) whose whole name matches, as Envoy writes them."""
        pattern = quote(f"^({regex})$", safe="")
        raw = await self._json(f"/stats?histogram_buckets=cumulative&format=json&filter={pattern}")
        found: list[dict[str, Any]] = raw["stats"]
        return found

    async def server_info(self) -> dict[str, Any]:
        """Version, state, uptime and command line."""
        info: dict[str, Any] = await self._json("/server_info")
        return info

    async def drain(self) -> None:
        """Ask clients to go elsewhere: connections are closed as their requests end, new ones are still taken."""
        await self._text("POST", "/drain_listeners?graceful&skip_exit")

    async def quit(self) -> None:
        """End the process at once."""
        await self._text("POST", "/quitquitquit")

    async def _json(self, path: str) -> Any:
        try:
            return json.loads(await self._text("GET", path))
        except ValueError as problem:
            raise Unavailable(
                f"GET {path} was answered with something else than JSON", where=str(self.socket)
            ) from problem

    async def _text(self, method: str, path: str) -> bytes:
        status, body = await self._ask(method, path)
        if status != 200:
            raise Unavailable(f"{method} {path} was answered with {status}", where=str(self.socket))
        return body

    async def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, path)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as problem:
            raise Unavailable(
                f"the proxy's admin socket does not answer ({problem or type(problem).__name__})",
                where=str(self.socket),
                next="see whether the proxy runs: lastgood status",
            ) from problem

    async def _exchange(self, method: str, path: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(str(self.socket), limit=2**20)
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            status = int((await reader.readline()).partition(b" ")[2][:3])
            headers = {}
            while line := (await reader.readline()).strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            return status, await _body(reader, headers)
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return bytes(body)
