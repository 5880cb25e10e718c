"""Versions of a service behind a real proxy: instances come and go without a route being touched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from lastgood.config import model
from lastgood.config.configuration import Configuration
from lastgood.config.model import Listener
from lastgood.effects.envoy.preflight import Preflight
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.gateway.runtime import runtime_resource
from lastgood.gateway.snapshot import CLUSTER, ENDPOINTS, SCOPE, Generation, Snapshot, Traffic
from tests.envoy.machines import Client, Machine
from tests.envoy.test_compiled import compiler, configuration, route

BLUE, GREEN = "b" * 64, "c" * 64


class Instance:
    """Answers with its name; ``/slow`` a second later. ``open`` are the connections to it now."""

    def __init__(self, name: str) -> None:
        self.name, self.open, self.answered, self.ended = name, 0, 0, 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/slow" in head:
                    await asyncio.sleep(1.0)
                if b"/healthz" not in head:
                    self.answered += 1
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(self.name)}\r\n\r\n{self.name}".encode())
        except (EOFError, OSError):
            pass
        finally:
            self.open -= 1
            self.ended += 1
            writer.close()


@pytest.fixture
async def instances() -> AsyncIterator[list[Instance]]:
    made = [Instance(name) for name in ("one", "two", "green")]
    for each in made:
        await each.start()
    yield made
    for each in made:
        await each.stop()


def shop(port: int) -> Configuration:
    catalog = model.Service.model_validate({"source": "x", "command": ["x"], "health": {"interval": "100ms"}})
    pair = route("catalog", "shop.example", "/*", "x", to="catalog")
    return configuration(("listener:web", Listener(port=port)), ("service:catalog", catalog), pair)


def version(release: int, made: Configuration, digest: str, *where: Instance) -> Generation:
    return Generation(release, made, {"catalog": tuple(each.address for each in where)}, {"catalog": digest})


def target(proxies: EnvoyProxies) -> Snapshot:
    assert proxies.fleet.target is not None
    return proxies.fleet.target


async def begun(machine: Machine, **more: object) -> EnvoyProxies:
    proxies = EnvoyProxies([machine.proxy("a")], compiler(), runtime=runtime_resource, **more)  # type: ignore[arg-type]
    await proxies.start()
    await machine.envoy("a")
    await proxies.fleet.connected(10)
    return proxies


async def test_an_instance_comes_and_goes_under_load(machine: Machine, instances: list[Instance]) -> None:
    one, two, _ = instances
    made, proxies = shop(machine.port), await begun(machine)
    try:
        await proxies.serve(Traffic(version(1, made, BLUE, one)))
        await machine.ready("a")
        before, client, answers = target(proxies), Client(machine.port), []
        stop = asyncio.Event()

        async def user() -> None:
            while not stop.is_set():
                answers.append((await client.get("shop.example", "/"))[:2])
                await asyncio.sleep(0.001)

        loading = asyncio.create_task(user())
        await asyncio.sleep(0.1)
        await proxies.serve(Traffic(version(1, made, BLUE, one, two)))
        after = target(proxies)
        assert after.resources[SCOPE] == before.resources[SCOPE]
        assert after.resources[CLUSTER] == before.resources[CLUSTER]
        await asyncio.sleep(0.4)
        assert two.answered > 0, "the new instance takes requests once it was seen to be healthy"
        await proxies.serve(Traffic(version(1, made, BLUE, two)))
        await asyncio.sleep(0.1)
        left = one.answered
        await asyncio.sleep(0.2)
        assert one.answered == left, "one that was taken out gets no more requests"
        assert one.open == 0, "and its idle connections, that of the health check included, are closed"
        stop.set()
        await loading
        client.close()
        assert {status for status, _ in answers} == {200}
    finally:
        await proxies.stop()


async def test_a_request_under_way_on_what_was_taken_out_is_answered(
    machine: Machine, instances: list[Instance]
) -> None:
    """An endpoint that goes, and a whole version that goes from the gateway."""
    one, two, green = instances
    made, proxies = shop(machine.port), await begun(machine)
    try:
        await proxies.serve(Traffic(version(1, made, BLUE, one)))
        await machine.ready("a")
        first, second = Client(machine.port), Client(machine.port)
        slow = asyncio.create_task(first.get("shop.example", "/slow"))
        await asyncio.sleep(0.3)
        await proxies.serve(Traffic(version(1, made, BLUE, two)))
        assert one.open == 1
        also = asyncio.create_task(second.get("shop.example", "/slow"))
        await asyncio.sleep(0.3)
        await proxies.serve(Traffic(version(2, made, GREEN, green)))
        assert (await slow)[:2] == (200, "one")
        assert (await also)[:2] == (200, "two")
        assert (await first.get("shop.example", "/"))[:2] == (200, "green")
        await asyncio.sleep(0.2)
        assert (one.open, two.open) == (0, 0)
        first.close()
        second.close()
    finally:
        await proxies.stop()


async def test_both_versions_stand_side_by_side_and_a_shift_does_not_wait_for_endpoints(
    machine: Machine, instances: list[Instance]
) -> None:
    one, two, green = instances
    made, proxies = shop(machine.port), await begun(machine)
    try:
        await proxies.serve(Traffic(version(1, made, BLUE, one)))
        await machine.ready("a")
        await proxies.serve(Traffic(version(1, made, BLUE, one), version(2, made, GREEN, green)))
        assert len(target(proxies).resources[CLUSTER]) == 2
        assert set(target(proxies).resources[CLUSTER]) == set(target(proxies).resources[ENDPOINTS])
        client = Client(machine.port)
        assert (await client.get("shop.example", "/"))[1] == "one"
        proof = await proxies.serve(Traffic(version(1, made, BLUE, one, two), version(2, made, GREEN, green), 100.0))
        assert (await client.get("shop.example", "/"))[1] == "green"
        back = await proxies.serve(Traffic(version(1, made, BLUE, two), version(2, made, GREEN, green), 0.0))
        assert (await client.get("shop.example", "/"))[1] == "two"
        print(f"\nshift to another version {proof.took_ms:.2f} ms, back {back.took_ms:.2f} ms, endpoints changing")
        assert min(proof.took_ms, back.took_ms) < 100
        client.close()
    finally:
        await proxies.stop()


async def test_the_preflight_proxy_asks_no_instance_for_its_health(machine: Machine, instances: list[Instance]) -> None:
    one = instances[0]
    made = shop(machine.port)
    proxies = await begun(machine, preflight=Preflight(machine.folder, machine.launcher))
    try:
        began_s = time.monotonic()
        await proxies.preflight(Traffic(version(1, made, BLUE, one)))
        await asyncio.sleep(0.3)
        assert (one.open, one.ended) == (0, 0)
        assert time.monotonic() - began_s < 10, "a version without endpoints is warm at once"
    finally:
        await proxies.stop()
