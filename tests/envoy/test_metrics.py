"""What a real proxy counts of two generations of routes: attempts, failures that retries hide, 4xx, latency, hangs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from lastgood.config import model
from lastgood.config.configuration import Configuration
from lastgood.config.model import Listener, Route
from lastgood.effects.envoy.metrics import EnvoyMeasurements, reading_of, statistics_of
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.gateway.runtime import runtime_resource
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading
from tests.envoy.machines import Client, Machine
from tests.envoy.test_compiled import compiler, configuration


class Script:
    """Answers as its path says: ``/500``, ``/404``, ``/slow`` (60 ms), ``/hang``; everything else with 200."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        while line := await reader.readline():
            while (await reader.readline()).strip():
                pass
            self.asked += 1
            said = line.split()[1].decode().strip("/")
            if said == "hang":
                await asyncio.sleep(60)
            if said == "slow":
                await asyncio.sleep(0.06)
            status = said if said in ("500", "404") else "200"
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())


def gateway(port: int, upstream: int, **more: object) -> Configuration:
    back = model.Upstream.model_validate({"endpoints": [f"127.0.0.1:{upstream}"]})
    said = {"name": "all", "match": {"path": "/*"}, "to": "back", "public": True, "timeout": "30s", **more}
    pay = {"name": "pay", "match": {"path": "/pay"}, "to": "back", "public": True, "guarded": True}
    pay["rewrite"] = {"path": "/500" if more else "/ok"}
    routes = [(f"route:{raw['name']}", Route.model_validate(raw)) for raw in (said, pay)]
    preview = model.Gateway.model_validate({"preview": {"header": "x-preview"}})
    settings = (("gateway:gateway", preview), ("listener:web", Listener(port=port)), ("upstream:back", back))
    return configuration(*settings, *routes)


@contextlib.asynccontextmanager
async def serving(machine: Machine) -> AsyncIterator[tuple[EnvoyProxies, EnvoyMeasurements, Traffic]]:
    """One proxy with r1 and r2 side by side, all requests on r2: r2 tries once more after a 5xx."""
    script = Script()
    await script.start()
    proxies = EnvoyProxies([machine.proxy("one")], compiler(), runtime=runtime_resource)
    await proxies.start()
    try:
        await machine.envoy("one")
        await proxies.fleet.connected(10)
        old = Generation(1, gateway(machine.port, script.port))
        retries = {"attempts": 1, "on": ["5xx", "reset"]}
        new = Generation(2, gateway(machine.port, script.port, retries=retries))
        await proxies.serve(Traffic(old))
        await machine.ready("one")
        await proxies.serve(Traffic(old, new, 0.0))
        measurements = EnvoyMeasurements({"one": proxies.admin("one")})
        client = Client(machine.port)
        for _ in range(5):
            await client.get("shop.example", "/404")
        await proxies.serve(Traffic(old, new, 100.0))
        yield proxies, measurements, Traffic(new, before=old)
    finally:
        await proxies.stop()
        await script.stop()


async def until_timed(measurements: EnvoyMeasurements, label: str, n: int) -> Mapping[str, Counts]:
    """Histograms follow within half a second."""
    async with asyncio.timeout(5):
        while True:
            arms = (await measurements.read())["one"].arms
            if arms.get(label, Counts()).within[-1] >= n:
                return arms
            await asyncio.sleep(0.05)


async def test_each_generation_is_counted_and_retries_hide_nothing(machine: Machine) -> None:
    async with serving(machine) as (_, measurements, _):
        client = Client(machine.port)
        for path in ("/ok", "/ok", "/slow", "/404", "/500"):
            await client.get("shop.example", path)
        await client.get("shop.example", "/pay")
        arms = await until_timed(measurements, "r2", 5)
        assert set(arms) >= {"r1", "r2", "r2.pay"}
        old, new, pay = arms["r1"], arms["r2"], arms["r2.pay"]
        assert (old.attempts, old.answered, old.refused, old.failed) == (5, 5, 5, 0)
        assert (new.attempts, new.answered, new.refused) == (6, 5, 1)
        assert (new.failed, new.retried) == (1, 1)
        assert (pay.attempts, pay.failed) == (1, 1)
        quick = new.within[EDGES_MS.index(56)]
        assert new.within[-1] == 5
        assert quick <= 4
        assert new.in_flight == 0


async def test_only_those_who_are_asked_for_are_read(machine: Machine) -> None:
    """A proxy remembers every release it served; a look must not become slower with each of them."""
    async with serving(machine) as (_, measurements, _):
        client = Client(machine.port)
        for path in ("/ok", "/pay"):
            await client.get("shop.example", path)
        arms = await until_timed(measurements, "r2", 1)
        assert set(arms) >= {"r1", "r2", "r2.pay", WHOLE}
        assert set((await measurements.read({2, 11}))["one"].arms) == {"r2", "r2.pay", WHOLE}
        assert set((await measurements.read(frozenset()))["one"].arms) == {WHOLE}


async def test_a_request_that_hangs_is_in_flight(machine: Machine) -> None:
    async with serving(machine) as (_, measurements, _):
        clients = [Client(machine.port) for _ in range(3)]
        asks = [asyncio.create_task(client.get("shop.example", "/hang")) for client in clients]
        async with asyncio.timeout(5):
            while (await measurements.read())["one"].arms.get("r2", Counts()).in_flight < 3:
                await asyncio.sleep(0.05)
        for ask, client in zip(asks, clients, strict=True):
            ask.cancel()
            client.close()
        await asyncio.gather(*asks, return_exceptions=True)


async def test_requests_of_guarded_routes_count_as_their_releases_too(machine: Machine) -> None:
    async with serving(machine) as (proxies, _, _):
        before = await proxies.requests()
        client = Client(machine.port)
        for path in ("/pay", "/ok"):
            await client.get("shop.example", path)
        after = await proxies.requests()
        assert after[2] - before.get(2, 0) == 2


async def test_what_a_look_reads_does_not_grow_with_the_requests(machine: Machine) -> None:
    """The proxy counts; a look reads as many numbers after three hundred requests as after six."""
    async with serving(machine) as (proxies, measurements, _):
        client, sizes = Client(machine.port), []
        for sent, of_each in ((2, 2), (100, 98)):
            for path in ("/ok", "/404", "/500") * of_each:
                await client.get("shop.example", path)
            arms = await until_timed(measurements, "r2", 3 * sent)
            assert arms["r2"].answered == 3 * sent
            assert arms["r2"].failed == arms["r2"].refused == sent
            sizes.append(_numbers(await proxies.admin("one").statistics(statistics_of({1, 2}))))
        assert sizes[0] == sizes[1] > 0


def _numbers(statistics: list[dict[str, Any]]) -> int:
    histograms = [each for one in statistics for each in one.get("histograms", ())]
    return len(statistics) + sum(len(each["buckets"]) for each in histograms)


async def test_9_requests_that_a_header_forces_to_a_release_are_not_measured(machine: Machine) -> None:
    """Else any client could force a rollback, or mask one; that they were served is known all the same."""
    async with serving(machine) as (proxies, measurements, _):
        before, requests = (await measurements.read())["one"].arms, await proxies.requests()
        client = Client(machine.port)
        for _ in range(5):
            assert (await client.get("shop.example", "/500", "x-preview: 1\r\n"))[0] == 500
        after = (await measurements.read())["one"].arms
        assert after.get("r2", Counts()) == before.get("r2", Counts())
        assert (await proxies.requests())[2] > requests.get(2, 0)


async def test_a_proxy_that_is_gone_is_left_out_and_one_that_restarts_counts_anew(machine: Machine) -> None:
    async with serving(machine) as (_, measurements, _):
        assert set(await measurements.read()) == {"one"}
        await machine.launcher.stop()
        assert await measurements.read() == {}


def test_other_buckets_are_read_on_the_safe_side() -> None:
    """Envoy's own: 5 ms is one of ours, 100 ms lies between 80 and 112."""
    buckets = [{"upper_bound": bound, "cumulative": n} for bound, n in ((5, 3), (100, 7), (3600000, 9))]
    statistics = [
        {"name": "server.uptime", "value": 12},
        {"name": "vhost.web.route.r3.upstream_rq_total", "value": 9},
        {"name": "vhost.tls.route.r3.upstream_rq_total", "value": 1},
        {"histograms": [{"name": "vhost.web.route.r3.upstream_rq_time", "buckets": buckets}]},
        {"name": "vhost.web.route.other.upstream_rq_total", "value": 5},
    ]
    made = reading_of(statistics)
    assert made.up_s == 12.0
    assert set(made.arms) == {"r3"}
    counts = made.arms["r3"]
    assert counts.attempts == 10
    at = {edge: counts.within[EDGES_MS.index(edge)] for edge in (3, 5, 80, 112)}
    assert at == {3: 0, 5: 3, 80: 3, 112: 7}
    assert counts.within[-1] == 9
    assert reading_of([]) == ProxyReading(0.0, {})


async def test_what_it_changed_and_all_there_is_are_counted_after_it_settled(machine: Machine) -> None:
    async with serving(machine) as (proxies, measurements, settled):
        client = Client(machine.port)
        await client.get("shop.example", "/ok")
        await proxies.serve(settled)
        before = (await until_timed(measurements, "r2", 1))["r2"]
        for path in ("/ok", "/404", "/500", "/slow"):
            await client.get("shop.example", path)
        arms = await until_timed(measurements, "r2", before.within[-1] + 4)
        mine = arms["r2"] - before
        assert (mine.answered, mine.refused, mine.failed, mine.retried) == (4, 1, 1, 1)
        arms = await until_timed(measurements, WHOLE, 10)
        whole = arms[WHOLE]
        assert (whole.attempts, whole.answered, whole.failed, whole.refused) == (10, 10, 1, 6)
        assert 0 < whole.within[EDGES_MS.index(56)] < 10
