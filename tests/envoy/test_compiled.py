"""Compiled states through real proxies: a canary, its way back, and a change of one route among 10,000."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import pytest

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.config.model import Gateway, Listener, Route, Section
from lastgood.effects.envoy.preflight import Preflight
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.errors import Rejected
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.runtime import runtime_resource
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import Generation, Snapshot, Traffic
from tests.envoy.machines import Client, Machine, Upstream, get


def configuration(*pairs: tuple[str, Section]) -> Configuration:
    entries = [make_entry(key, value) for key, value in pairs]
    return Configuration("shop", {entry.key: entry for entry in entries})


def compiler() -> Callable[[Traffic], Snapshot]:
    cache, slots = CompileCache(), SlotTable()

    def build(traffic: Traffic) -> Snapshot:
        return compile_snapshot(traffic, secrets={}, slots=slots, certificates={}, cache=cache)

    return build


def route(name: str, host: str, path: str, says: str, **more: object) -> tuple[str, Section]:
    fields = {"name": name, "match": {"host": host, "path": path}, "to": "back", "public": True, **more}
    fields["headers"] = {"request": {"set": {"x-say": says}}}
    return f"route:{name}", Route.model_validate(fields)


def gateway(port: int, upstream: int, *routes: tuple[str, Section]) -> Configuration:
    back = model.Upstream.model_validate({"endpoints": [f"127.0.0.1:{upstream}"]})
    return configuration(("listener:web", Listener(port=port)), ("upstream:back", back), *routes)


async def test_a_canary_and_its_way_back_lose_no_request_and_are_counted(machine: Machine) -> None:
    upstream, names = Upstream(), ("a", "b", "c")
    await upstream.start()
    proxies = EnvoyProxies([machine.proxy(name) for name in names], compiler(), runtime=runtime_resource)
    await proxies.start()
    answers: list[tuple[int, str]] = []
    stop = asyncio.Event()

    async def user() -> None:
        client = Client(machine.port)
        while not stop.is_set():
            answers.append((await client.get("shop.example", "/catalog/1"))[:2])
            await asyncio.sleep(0.001)
        client.close()

    try:
        for name in names:
            await machine.envoy(name)
        await proxies.fleet.connected(10)
        old = Generation(1, gateway(machine.port, upstream.port, route("catalog", "shop.example", "/catalog/*", "old")))
        new = Generation(2, gateway(machine.port, upstream.port, route("catalog", "shop.example", "/catalog/*", "new")))
        assert (await proxies.serve(Traffic(old))).acknowledged == names
        for name in names:
            await machine.ready(name)
        users = [asyncio.create_task(user()) for _ in range(4)]
        for percent in (0.0, 10.0, 50.0, 100.0):
            await proxies.serve(Traffic(old, new, percent))
            await asyncio.sleep(0.1)
        answers.clear()
        await asyncio.sleep(0.05)
        assert set(answers) == {(200, "new")}
        assert (await proxies.confirm_silent(1, 0.1)).silent
        back = await proxies.serve(Traffic(old, new, 0.0))
        left = await proxies.confirm_silent(2, 0.1)
        answers.clear()
        await proxies.serve(Traffic(old))
        await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*users)
    finally:
        await proxies.stop()
        await upstream.stop()
    assert left.silent
    assert left.proxies == names
    assert set(answers) == {(200, "old")}
    print(f"\nrollback of a canary at 100 % on three proxies: {back.took_ms:.2f} ms to the last acknowledgement")


async def test_an_idle_connection_is_given_up_before_servers_do(machine: Machine) -> None:
    """A server closes it after two seconds (gunicorn, by default); a request on its way just then would fail."""
    gone: asyncio.Queue[bool] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        try:
            async with asyncio.timeout(2.0):
                gone.put_nowait(await reader.read() == b"")
        except TimeoutError:
            gone.put_nowait(False)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    proxies = EnvoyProxies([machine.proxy("a")], compiler(), runtime=runtime_resource)
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        port = server.sockets[0].getsockname()[1]
        await proxies.serve(
            Traffic(Generation(1, gateway(machine.port, port, route("all", "shop.example", "/*", "x"))))
        )
        await machine.ready("a")
        assert await get(machine.port, "shop.example", "/") == (200, "ok")
        assert await gone.get(), "the server had to close it"
    finally:
        await proxies.stop()
        server.close()


async def test_one_route_of_ten_thousand(machine: Machine) -> None:
    upstream = Upstream()
    await upstream.start()
    preflight = Preflight(machine.folder, machine.launcher, timeout_s=30)
    proxies = EnvoyProxies(
        [machine.proxy("a")], compiler(), runtime=runtime_resource, preflight=preflight, timeout_s=30
    )
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        routes = [route(f"n{i}", f"h{i // 10}.example", f"/p{i % 10}/*", "old") for i in range(10_000)]
        base = gateway(machine.port, upstream.port, *routes)
        await proxies.preflight(Traffic(Generation(1, base)))
        first = await proxies.serve(Traffic(Generation(1, base)))
        checks_ms, serves_ms, shifts_ms = [], [], []
        for number in range(2, 8):
            _, changed = route("n5000", "h500.example", "/p0/*", f"new {number}")
            entries = {**base.entries, "route:n5000": make_entry("route:n5000", changed)}
            traffic = Traffic(Generation(1, base), Generation(number, Configuration("shop", entries)), 0.0)
            started_s = time.perf_counter()
            await proxies.preflight(traffic)
            checks_ms.append((time.perf_counter() - started_s) * 1000)
            serves_ms.append((await proxies.serve(traffic)).took_ms)
            shifted = Traffic(traffic.base, traffic.candidate, 100.0)
            shifts_ms.append((await proxies.serve(shifted)).took_ms)
            assert await get(machine.port, "h500.example", "/p0/x") == (200, f"new {number}")
        print(
            f"\none route of 10,000, compiled: preflight with compiling {statistics.median(checks_ms):.1f} ms, "
            f"served {statistics.median(serves_ms):.1f} ms, shifted {statistics.median(shifts_ms):.2f} ms "
            f"(all of it at first {first.took_ms:.0f} ms)"
        )
        assert statistics.median(shifts_ms) < 20
    finally:
        await proxies.stop()
        await upstream.stop()


@pytest.mark.parametrize("release_header", [False, True])
async def test_what_envoy_refuses_is_found_before_it_is_served(machine: Machine, release_header: bool) -> None:
    """A regular expression that Python takes and Envoy's RE2 does not."""
    preflight = Preflight(machine.folder, machine.launcher)
    proxies = EnvoyProxies([machine.proxy("a")], compiler(), runtime=runtime_resource, preflight=preflight)
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        settings = ("gateway:gateway", Gateway(release_header=release_header))
        good = gateway(machine.port, 9, route("r", "shop.example", "/*", "x"), settings)
        match = {"host": "shop.example", "headers": {"x-a": {"regex": "(?=look)ahead"}}}
        bad = gateway(machine.port, 9, route("r", "shop.example", "/*", "x", match=match), settings)
        served = await proxies.serve(Traffic(Generation(1, good)))
        with pytest.raises(Rejected, match="preflight proxy"):
            await proxies.preflight(Traffic(Generation(1, good), Generation(2, bad), 0.0))
        with pytest.raises(Rejected):
            await proxies.serve(Traffic(Generation(1, good), Generation(2, bad), 0.0))
        assert proxies.states()[0].acknowledged == served.digest
    finally:
        await proxies.stop()
