"""A real Envoy on loopback, its ADS server, upstreams that answer with what they saw, and clients."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.gateway.compile.mini_ads import MiniAds
from websockets.asyncio.server import Server, serve

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot, wanted_limits
from lastgood.gateway.slots import SlotTable, assign
from lastgood.gateway.snapshot import RUNTIME_LAYER, Generation, Snapshot, Traffic

ENVOY = Path(sys.prefix) / "lib/python3.11/site-packages/envoy/_bin/envoy"
_SECTIONS = {"listener": model.Listener, "policy": model.Policy, "route": model.Route} | {
    "upstream": model.Upstream,
    "service": model.Service,
    "function": model.Function,
    "gateway": model.Gateway,
}


def configuration(**entries: Any) -> Configuration:
    """From ``listeners={name: {...}}``, ``policies=``, ``routes=[{name: ...}]``, ``upstreams=``, ``files=``, ..."""
    made = []
    for plural, items in entries.items():
        kind = {"policies": "policy", "gateway": "gateway"}.get(plural, plural.removesuffix("s"))
        if kind == "gateway":
            items = {"gateway": items}
        if isinstance(items, list):
            items = {item["name"]: item for item in items}
        for name, item in items.items():
            value = item if kind == "file" else _SECTIONS[kind].model_validate(item)
            made.append(make_entry(f"{kind}:{name}", value))
    return Configuration("shop", {entry.key: entry for entry in made})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Upstream:
    """Answers every request with JSON: its name, method, path and headers. ``answers`` are statuses used up first."""

    name: str
    server: asyncio.Server
    port: int
    seen: list[tuple[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    delay_s: float = 0.0

    async def close(self) -> None:
        self.server.close()
        self.server.close_clients() if hasattr(self.server, "close_clients") else None


async def start_upstream(name: str) -> Upstream:
    holder: list[Upstream] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.split("\r\n")
                method, path, _ = line.split(" ", 2)
                headers = {k.strip().lower(): v.strip() for k, _, v in (item.partition(":") for item in rest if item)}
                await reader.readexactly(int(headers.get("content-length", 0)))
                me = holder[0]
                me.seen.append((method, path))
                if me.delay_s:
                    await asyncio.sleep(me.delay_s)
                status = me.answers.pop(0) if me.answers and not path.startswith("/healthz") else 200
                body = json.dumps({"upstream": name, "method": method, "path": path, "headers": headers}).encode()
                sent = b"" if method == "HEAD" else body
                writer.write(
                    f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\nx-upstream: {name}\r\n\r\n".encode() + sent
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    holder.append(Upstream(name, server, server.sockets[0].getsockname()[1]))
    return holder[0]


async def start_echo_websocket() -> Server:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    return await serve(echo, "127.0.0.1", 0)


@dataclass
class World:
    """See the fixture. ``port`` is that of the listener ``web``."""

    folder: Path
    ads: MiniAds
    process: asyncio.subprocess.Process
    port: int
    upstreams: dict[str, Upstream]
    slots: SlotTable = field(default_factory=SlotTable)
    cache: CompileCache = field(default_factory=CompileCache)
    secrets: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, tuple[str, str]] = field(default_factory=dict)
    trusted_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    opened: bool = False

    def compile(self, traffic: Traffic) -> Snapshot:
        self.slots = assign(self.slots, wanted_limits(traffic))
        return compile_snapshot(
            traffic,
            secrets=self.secrets,
            slots=self.slots,
            certificates=self.certificates,
            cache=self.cache,
            trusted_ca=self.trusted_ca,
        )

    def compile_only(self, base: Configuration) -> Snapshot:
        return self.compile(Traffic(Generation(1, base)))

    async def serve(
        self, base: Configuration, candidate: Configuration | None = None, percent: float = 0, *, release: int = 1
    ) -> Snapshot:
        """Push the state and wait until it is accepted; the candidate is the release after the base."""
        other = Generation(release + 1, candidate) if candidate else None
        snapshot = self.compile(Traffic(Generation(release, base), other, percent))
        await self.ads.push(snapshot)
        if not self.opened:
            await self.ready()
            self.opened = True
        return snapshot

    async def ready(self, port: int | None = None) -> None:
        """Wait until the listener takes connections."""
        for _ in range(250):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.02)
        raise AssertionError(f"the listener does not open: {(self.folder / 'log').read_text()[-2000:]}")

    def shop(self, **entries: Any) -> Configuration:
        """A configuration with the listener ``web`` and the upstreams ``one`` and ``two``."""
        listeners = {"web": {"port": self.port}, **entries.pop("listeners", {})}
        upstreams = {name: {"endpoints": [f"127.0.0.1:{it.port}"]} for name, it in self.upstreams.items()}
        return configuration(listeners=listeners, upstreams=upstreams | entries.pop("upstreams", {}), **entries)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """A client of its own, that is a connection of its own."""
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=5, **options)
        self.clients.append(client)
        return client

    async def get(self, path: str, host: str = "shop.example", method: str = "GET", **headers: str) -> httpx.Response:
        """One request on a new connection; header names are written with ``_``."""
        async with httpx.AsyncClient(timeout=5) as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, f"http://127.0.0.1:{self.port}{path}", headers={"host": host, **named})

    async def admin(self, path: str) -> str:
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "admin"))
        async with httpx.AsyncClient(transport=transport, timeout=5) as client:
            return (await client.get(f"http://admin{path}")).text

    async def counters(self, pattern: str) -> dict[str, int]:
        text = await self.admin(f"/stats?filter={pattern}")
        return {name: int(value) for name, value in (line.split(": ") for line in text.splitlines() if ": " in line)}

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()
        self.process.terminate()
        await asyncio.wait_for(self.process.wait(), 10)
        await self.ads.stop()
        for upstream in self.upstreams.values():
            await upstream.close()
        shutil.rmtree(self.folder)


def bootstrap(folder: Path) -> dict[str, Any]:
    ads: dict[str, Any] = {"ads": {}, "resource_api_version": "V3"}
    http = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{http}", "explicit_http_config": {"http2_protocol_options": {}}}
    address = {"pipe": {"path": str(folder / "ads")}}
    cluster = {
        "name": "ads",
        "typed_extension_protocol_options": {http: http2},
        "load_assignment": {
            "cluster_name": "ads",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin")}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {"clusters": [cluster]},
        "layered_runtime": {
            "layers": [{"name": RUNTIME_LAYER, "rtds_layer": {"name": RUNTIME_LAYER, "rtds_config": ads}}]
        },
    }


async def start_world() -> World:
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    ads = MiniAds()
    await ads.start(str(folder / "ads"))
    ads.wanted = compile_snapshot(
        Traffic(Generation(0, Configuration("shop", {}))),
        secrets={},
        slots=SlotTable(),
        certificates={},
        cache=CompileCache(),
    )
    (folder / "bootstrap.json").write_text(json.dumps(bootstrap(folder)))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(ENVOY),
            *("-c", str(folder / "bootstrap.json"), "--disable-hot-restart", "--concurrency", "1", "-l", "warn"),
            stdout=log,
            stderr=log,
        )
    upstreams = {name: await start_upstream(name) for name in ("one", "two")}
    world = World(folder, ads, process, free_port(), upstreams)
    for _ in range(250):
        if (folder / "admin").exists() and "LIVE" in await world.admin("/ready"):
            return world
        await asyncio.sleep(0.02)
    await world.close()
    raise AssertionError("Envoy does not start")
