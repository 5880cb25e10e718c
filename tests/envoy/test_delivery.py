"""Three real Envoys on one port and one ADS server: what users see while proxies and controllers die."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import statistics
import sys
import time
from collections.abc import AsyncIterator

import pytest

from lastgood.config.configuration import Configuration
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.errors import Rejected
from lastgood.gateway.messages import Request
from lastgood.gateway.snapshot import CLUSTER, LISTENER, RUNTIME, RUNTIME_LAYER, SCOPE, Generation, Traffic
from tests.envoy.handmade import Builder, cluster, listener, runtime, scope, snapshot, world
from tests.envoy.machines import Client, Machine, Upstream, free_port, get, until

NAMES = ("a", "b", "c")
EMPTY = Configuration("shop", {})


def generation(release: int) -> Generation:
    return Generation(release, EMPTY)


def make(machine: Machine, builder: object, *names: str, **options: float) -> EnvoyProxies:
    proxies = [machine.proxy(name) for name in names]
    return EnvoyProxies(proxies, builder, runtime=runtime, **options)  # type: ignore[arg-type]


@pytest.fixture
async def three(machine: Machine) -> AsyncIterator[EnvoyProxies]:
    proxies = make(machine, Builder(machine.port), *NAMES)
    await proxies.start()
    for name in NAMES:
        await machine.envoy(name)
    assert await proxies.fleet.connected(10)
    yield proxies
    await proxies.stop()


async def serving(machine: Machine, *names: str) -> None:
    for name in names:
        await machine.ready(name)


async def test_a_killed_proxy_has_the_state_before_it_takes_requests(machine: Machine, three: EnvoyProxies) -> None:
    one, two = generation(1), generation(2)
    await three.serve(Traffic(one, two, 100.0))
    machine.launcher.started[0].signal(signal.SIGKILL)
    await machine.launcher.started[0].stop()
    await machine.envoy("a")
    answers = set()
    deadline_s = time.monotonic() + 10
    while not await three.admin("a").ready() and time.monotonic() < deadline_s:
        answers.add(await get(machine.port, "shop"))
    for _ in range(60):
        answers.add(await get(machine.port, "shop"))
    assert answers == {(200, "r2")}
    proof = await three.serve(Traffic(one, two, 100.0))
    assert proof.acknowledged == NAMES


async def test_one_proxy_refuses_and_all_go_back(machine: Machine, three: EnvoyProxies) -> None:
    """The others had accepted and even served it; they give it up again."""
    before = Traffic(generation(1))
    good = await three.serve(before)
    await serving(machine, *NAMES)
    picky = asyncio.create_task(refuse_scopes(three, "picky"))
    try:
        await until(
            lambda: all(state.acknowledged == good.digest for state in three.states()) and len(three.states()) == 4
        )
        with pytest.raises(Rejected, match="I will not") as refusal:
            await three.serve(Traffic(generation(2)))
    finally:
        picky.cancel()
    assert refusal.value.where == "proxy picky"
    answers = {await get(machine.port, "shop") for _ in range(20)}
    assert answers == {(200, "r1")}
    assert {s.acknowledged for s in three.states() if s.name in NAMES} == {good.digest}
    assert next(s.refusal for s in three.states() if s.name == "picky") == "I will not"


async def refuse_scopes(proxies: EnvoyProxies, name: str) -> None:
    """A proxy, without a process, that accepts what is there when it comes and refuses the scopes pushed next."""
    link = proxies.fleet.connect(name)
    for url in (CLUSTER, LISTENER, SCOPE):
        link.receive(Request(url))
    link.receive(Request(RUNTIME, subscribe=(RUNTIME_LAYER,)))
    scopes = 0
    while response := await link.outbox.get():
        scopes += response.type_url == SCOPE
        refused = response.type_url == SCOPE and scopes == 2
        await asyncio.sleep(0.1 if refused else 0)
        link.receive(Request(response.type_url, nonce=response.nonce, error="I will not" if refused else None))


async def test_a_port_that_is_taken_is_a_refusal(machine: Machine, three: EnvoyProxies) -> None:
    blocked = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    taken = blocked.sockets[0].getsockname()[1]
    scopes = (SCOPE, [scope("a", "here")])
    web = listener("web", machine.port)
    try:
        before = await three.push(snapshot((LISTENER, [web]), scopes))
        with pytest.raises(Rejected, match="Address already in use"):
            await three.push(snapshot((LISTENER, [web, listener("second", taken)]), scopes))
        assert await get(machine.port, "a") == (200, "here")
        assert {state.acknowledged for state in three.states()} == {before.digest}
    finally:
        blocked.close()


async def test_proxies_serve_on_without_a_controller_and_come_back_within_a_second(
    machine: Machine, three: EnvoyProxies
) -> None:
    await three.serve(Traffic(generation(1)))
    await serving(machine, *NAMES)
    await three.stop()
    client = Client(machine.port)
    for _ in range(20):
        assert (await client.get("shop"))[:2] == (200, "r1")
        await asyncio.sleep(0.1)
    client.close()
    again = make(machine, Builder(machine.port), *NAMES)
    started_s = time.monotonic()
    await again.start()
    try:
        assert await again.fleet.connected(5)
        back_s = time.monotonic() - started_s
        print(f"\nall three reconnected {back_s * 1000:.0f} ms after the controller was back (away for 2 s)")
        assert back_s < 2.5
        proof = await again.serve(Traffic(generation(2)))
        assert proof.acknowledged == NAMES
        assert await get(machine.port, "shop") == (200, "r2")
    finally:
        await again.stop()


async def test_a_serve_right_after_a_controller_restart_waits_for_its_proxies(
    machine: Machine, three: EnvoyProxies
) -> None:
    await three.serve(Traffic(generation(1)))
    await three.stop()
    again = make(machine, Builder(machine.port), *NAMES)
    await again.start()
    try:
        assert (await again.serve(Traffic(generation(2)))).acknowledged == NAMES
    finally:
        await again.stop()


FROZEN = """
import asyncio, sys
from pathlib import Path
from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.server import AdsServer
async def main():
    fleet = Fleet(["a"])
    await AdsServer(Path(sys.argv[1]), fleet).start()
    await fleet.connected(20)
    print("connected", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_frozen_controller_is_left_for_the_one_that_takes_over(machine: Machine) -> None:
    log = machine.folder / "frozen.log"
    frozen = await machine.launcher.launch([sys.executable, "-c", FROZEN, str(machine.ads_socket)], {}, log)
    await until(machine.ads_socket.exists)
    await machine.envoy("a")
    await until(lambda: "connected" in log.read_text())
    frozen.signal(signal.SIGSTOP)
    started_s = time.monotonic()
    second = make(machine, Builder(machine.port), "a", take_over=True)
    await second.start()
    try:
        assert await second.fleet.connected(10)
        noticed_s = time.monotonic() - started_s
        print(f"\nEnvoy left the frozen controller after {noticed_s:.1f} s")
        assert noticed_s < 6.5
        assert (await second.serve(Traffic(generation(1)))).acknowledged == ("a",)
        frozen.signal(signal.SIGCONT)
        await asyncio.sleep(0.3)
        assert (await second.serve(Traffic(generation(2)))).acknowledged == ("a",)
    finally:
        await second.stop()


async def test_a_thousand_scopes(machine: Machine) -> None:
    proxies = make(machine, None, "a")
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        first = await proxies.push(world(machine.port, {f"h{i}": "old" for i in range(1000)}))
        second = await proxies.push(world(machine.port, {f"h{i}": "new" for i in range(1000)}))
        assert [await get(machine.port, host) for host in ("h0", "h999")] == [(200, "new")] * 2
        print(f"\n1,000 scopes: first {first.took_ms:.0f} ms, all changed {second.took_ms:.0f} ms")
        assert second.acknowledged == ("a",)
    finally:
        await proxies.stop()


@pytest.mark.parametrize(("hosts", "routes"), [(10, 1), (1000, 10)])
async def test_a_percent_shift_is_one_small_push(machine: Machine, hosts: int, routes: int) -> None:
    builder = Builder(machine.port, hosts=hosts, routes=routes)
    proxies = make(machine, builder, "a", timeout_s=20)
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        one, two = generation(1), generation(2)
        full = await proxies.serve(Traffic(one, two, 0.0))
        acks_ms = []
        for number in range(20 if hosts < 100 else 8):
            proof = await proxies.serve(Traffic(one, two, 0.0 if number % 2 else 100.0))
            acks_ms.append(proof.took_ms)
            assert await get(machine.port, "shop") == (200, "r1" if number % 2 else "r2")
        print(
            f"\npercent shift, {hosts * routes} routes in two generations: p50 {statistics.median(acks_ms):.2f} "
            f"max {max(acks_ms):.2f} ms (loading them {full.took_ms:.0f} ms)"
        )
        assert statistics.median(acks_ms) < 20
    finally:
        await proxies.stop()


async def test_requests_do_not_fail_while_hosts_clusters_and_shares_change(machine: Machine) -> None:
    upstream = Upstream()
    await upstream.start()
    proxies = make(machine, None, *NAMES)
    await proxies.start()
    answers: dict[tuple[int, str], int] = {}
    stop = asyncio.Event()

    async def user() -> None:
        client = Client(machine.port)
        while not stop.is_set():
            status, body, _ = await client.get("shop")
            answers[status, body] = answers.get((status, body), 0) + 1
            await asyncio.sleep(0.001)
        client.close()

    def state(number: int) -> object:
        name = f"up@{number}"
        return world(machine.port, {"shop": f"v{number}"}, clusters=[cluster(name, upstream.port)], via=name)

    try:
        for name in NAMES:
            await machine.envoy(name)
        await proxies.fleet.connected(10)
        await proxies.push(state(0))  # type: ignore[arg-type]
        await serving(machine, *NAMES)
        users = [asyncio.create_task(user()) for _ in range(4)]
        for number in range(1, 15):
            await asyncio.sleep(0.05)
            await proxies.push(state(number))  # type: ignore[arg-type]
        stop.set()
        await asyncio.gather(*users)
    finally:
        await proxies.stop()
        await upstream.stop()
    assert {status for status, _ in answers} == {200}
    assert sum(answers.values()) > 100
    stats = await proxies.admin("a").stats(r"cluster\.up@.*\.membership_total")
    assert set(stats) == {"cluster.up@14.membership_total"}, "what is not used any more is removed"


async def test_a_request_under_way_survives_the_removal_of_its_cluster(machine: Machine) -> None:
    upstream = Upstream()
    await upstream.start()
    proxies = make(machine, None, "a")
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        await proxies.push(world(machine.port, {"shop": "old"}, clusters=[cluster("old", upstream.port)], via="old"))
        await machine.ready("a")
        slow = asyncio.create_task(Client(machine.port).get("shop", more="x-wait: 1\r\n"))
        await asyncio.sleep(0.2)
        await proxies.push(world(machine.port, {"shop": "new"}, clusters=[cluster("new", upstream.port)], via="new"))
        link = proxies.fleet._members["a"].link
        assert link
        assert set(link.conversation._topics[CLUSTER].held) == {"new"}
        assert (await slow)[:2] == (200, "old")
    finally:
        await proxies.stop()
        await upstream.stop()


async def test_routes_wait_until_new_clusters_are_warm(machine: Machine) -> None:
    """Envoy 1.40 holds the acknowledgement of clusters back until they are warm: this holds without our gate too."""
    upstream = Upstream()
    await upstream.start()
    proxies = make(machine, None, "a")
    await proxies.start()
    try:
        await machine.envoy("a")
        await proxies.fleet.connected(10)
        await proxies.push(world(machine.port, {"shop": "old"}))
        await machine.ready("a")
        upstream.healthy.clear()
        new = [cluster("new", upstream.port, health=True)]
        push = asyncio.create_task(proxies.push(world(machine.port, {"shop": "new"}, clusters=new, via="new")))
        await asyncio.sleep(0.3)
        assert await get(machine.port, "shop") == (200, "old")
        upstream.healthy.set()
        proof = await push
        assert await get(machine.port, "shop") == (200, "new")
        assert proof.took_ms > 250
    finally:
        await proxies.stop()
        await upstream.stop()


async def test_a_listener_that_is_added_has_the_scopes_at_once(machine: Machine, three: EnvoyProxies) -> None:
    second = free_port()
    scopes = [scope("shop", "here")]
    await three.push(snapshot((LISTENER, [listener("web", machine.port)]), (SCOPE, scopes)))
    proof = await three.push(
        snapshot((LISTENER, [listener("web", machine.port), listener("more", second)]), (SCOPE, scopes))
    )
    assert proof.acknowledged == NAMES
    assert await get(second, "shop") == (200, "here")
    await three.push(snapshot((LISTENER, [listener("renamed", second)]), (SCOPE, scopes)))
    assert await get(second, "shop") == (200, "here")


async def test_sockets_are_for_their_owner_only(machine: Machine, three: EnvoyProxies) -> None:
    await three.serve(Traffic(generation(1)))
    for path in (machine.ads_socket, machine.proxy("a").admin_socket):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("path", ["/stats", "/ready", "/config_dump", "/quitquitquit", "//stats", "/../stats"])
async def test_no_listener_answers_as_the_admin_socket(machine: Machine, three: EnvoyProxies, path: str) -> None:
    await three.push(world(machine.port, {"shop": "app"}))
    assert await get(machine.port, "shop", path) == (200, "app")
    for host in ("admin", "localhost", "127.0.0.1"):
        assert (await get(machine.port, host, path))[0] == 404
    assert all(process.running() for process in machine.launcher.started)
