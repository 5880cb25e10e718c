"""What a refusal (NACK) leaves behind in a real Envoy, and how it is put right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.server import AdsServer
from lastgood.errors import Rejected
from lastgood.gateway.messages import Response
from lastgood.gateway.snapshot import CLUSTER, SCOPE, Generation, Snapshot, Traffic
from tests.envoy.handmade import cluster, scope, world
from tests.envoy.machines import Machine, Upstream, get
from tests.envoy.test_compiled import compiler, gateway, route


@pytest.fixture
async def fleet(machine: Machine) -> AsyncIterator[Fleet]:
    fleet = Fleet(["one"], timeout_s=5)
    server = AdsServer(machine.ads_socket, fleet)
    await server.start()
    await machine.envoy("one")
    assert await fleet.connected(5)
    yield fleet
    await server.stop()


async def test_envoy_ignores_bytes_it_refused_in_part(machine: Machine, fleet: Fleet) -> None:
    """The trap itself, so that we notice when a newer Envoy does not have it any more."""
    await fleet.push(world(machine.port, {"a": "old a", "b": "old b"}))
    member = fleet._members["one"]
    assert member.link

    async def send_raw(*scopes: object) -> None:
        assert member.link
        member.link.outbox.put_nowait(Response(SCOPE, scopes, (), "raw", "raw"))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)

    await send_raw(scope("a", "new a"), scope("b", "new b", bad=True))
    assert await get(machine.port, "a") == (200, "old a"), "nothing of a refused response is live"
    await send_raw(scope("a", "new a"), scope("b", "new b"))
    assert await get(machine.port, "b") == (200, "new b")
    assert await get(machine.port, "a") == (200, "old a"), "acknowledged, and yet ignored"


async def test_the_good_half_of_a_refused_state_can_be_served_next(machine: Machine, fleet: Fleet) -> None:
    old, hosts = world(machine.port, {"a": "old a", "b": "old b"}), {"a": "new a", "b": "new b", "c": "new c"}
    await fleet.push(old)
    with pytest.raises(Rejected, match=r"missing \]"):
        await fleet.push(world(machine.port, hosts, bad=["b"]))
    assert await get(machine.port, "a") == (200, "old a")
    assert (await get(machine.port, "c"))[0] == 404
    state = fleet.states()[0]
    assert state.acknowledged == old.digest
    assert "missing ]" in (state.refusal or "")

    proof = await fleet.push(world(machine.port, hosts))
    assert proof.acknowledged == ("one",)
    assert [await get(machine.port, host) for host in hosts] == [(200, text) for text in hosts.values()]


async def test_doubts_survive_a_stream_that_is_lost_before_the_way_back(machine: Machine, fleet: Fleet) -> None:
    await fleet.push(world(machine.port, {"a": "old a", "b": "old b"}))
    fleet.accepted = None  # so that the fleet does not go back at once
    with pytest.raises(Rejected):
        await fleet.push(world(machine.port, {"a": "new a", "b": "new b"}, bad=["b"]))
    link = fleet._members["one"].link
    assert link
    fleet.disconnect(link)
    proof = await fleet.push(world(machine.port, {"a": "new a", "b": "new b"}))
    assert proof.acknowledged == ("one",)
    assert await get(machine.port, "a") == (200, "new a")


async def test_a_new_controller_that_does_not_trust_the_reported_versions_puts_it_right(machine: Machine) -> None:
    old, new = world(machine.port, {"a": "old a", "b": "old b"}), {"a": "new a", "b": "new b"}
    first = Fleet(["one"])
    server = AdsServer(machine.ads_socket, first)
    await server.start()
    await machine.envoy("one")
    await first.connected(5)
    await first.push(old)
    first.accepted = None
    with pytest.raises(Rejected):
        await first.push(world(machine.port, new, bad=["b"]))
    await server.stop()

    second = Fleet(["one"], trust_reported=False)
    server = AdsServer(machine.ads_socket, second)
    await server.start()
    try:
        await second.connected(5)
        await second.push(world(machine.port, new))
        assert await get(machine.port, "a") == (200, "new a")
    finally:
        await server.stop()


async def test_a_refused_cluster_leaves_no_other_cluster_behind(machine: Machine, fleet: Fleet) -> None:
    await fleet.push(world(machine.port, {"a": "a"}, clusters=[cluster("kept", 9)]))
    bad = cluster("bad", 9)
    broken = type(bad)(bad.name, "broken", cluster("", 9).body)
    with pytest.raises(Rejected, match="Cluster"):
        await fleet.push(world(machine.port, {"a": "a"}, clusters=[cluster("added", 9), broken]))
    link = fleet._members["one"].link
    assert link
    assert set(link.conversation._topics[CLUSTER].held) == {"kept"}
    with pytest.raises(Rejected, match="unknown cluster"):
        await fleet.push(
            world(machine.port, {"a": "a"}, clusters=[cluster("kept", 9)], more=[scope("x", "", to="added")])
        )


async def test_a_route_to_a_cluster_that_is_not_there_is_refused_and_the_old_one_serves(
    machine: Machine, fleet: Fleet
) -> None:
    """By ``validate_clusters`` in what is compiled: without it such a route is taken, and answers 503."""
    upstream = Upstream()
    await upstream.start()
    compiled = compiler()
    good = compiled(
        Traffic(Generation(1, gateway(machine.port, upstream.port, route("a", "shop.example", "/", "old"))))
    )
    await fleet.push(good)
    assert await get(machine.port, "shop.example") == (200, "old")
    other = Upstream()
    await other.start()
    moved = compiled(Traffic(Generation(2, gateway(machine.port, other.port, route("a", "shop.example", "/", "new")))))
    broken = {**moved.resources, CLUSTER: good.resources[CLUSTER]}
    assert moved.resources[CLUSTER].keys() != good.resources[CLUSTER].keys()
    with pytest.raises(Rejected, match="unknown cluster"):
        await fleet.push(Snapshot(broken, "broken"))
    assert await get(machine.port, "shop.example") == (200, "old")
    await fleet.push(moved)
    assert await get(machine.port, "shop.example") == (200, "new")
    await upstream.stop()
    await other.stop()
