"""Versions of services: endpoints are resources of their own, and no cluster or route changes with them."""

from __future__ import annotations

from tests.gateway.compile.envoy_world import configuration

from lastgood.gateway.bridge import bridge
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import CLUSTER, ENDPOINTS, SCOPE, Generation, Snapshot, Traffic

SERVICE = {"s": {"source": "s", "command": ["x"]}}
ROUTE = {"name": "all", "to": "s", "public": True}
WILD = {"name": "wild", "to": "s", "public": True, "match": {"host": "*.wild"}}


def generation(number: int, version: str, *where: str, routes: list[dict[str, object]] | None = None) -> Generation:
    said = configuration(listeners={"web": {"port": 1}}, routes=routes or [ROUTE], services=SERVICE)
    return Generation(number, said, {"s": where}, {"s": version})


def made(base: Generation, candidate: Generation | None = None) -> Snapshot:
    traffic = Traffic(base, candidate, 50.0 if candidate else 0.0)
    return compile_snapshot(traffic, secrets={}, slots=SlotTable(), certificates={}, cache=CompileCache())


def test_other_endpoints_change_nothing_but_the_endpoints() -> None:
    one, other = made(generation(1, "aa", "127.0.0.1:1")), made(generation(1, "aa", "127.0.0.1:1", "127.0.0.1:2"))
    assert one.resources[CLUSTER] == other.resources[CLUSTER]
    assert one.resources[SCOPE] == other.resources[SCOPE] != {}
    assert one.resources[ENDPOINTS] != other.resources[ENDPOINTS]
    assert one.digest != other.digest


def test_another_version_is_another_cluster_beside_it() -> None:
    both = made(generation(1, "aa", "127.0.0.1:1"), generation(2, "bb", "127.0.0.1:2"))
    assert len(both.resources[CLUSTER]) == 2
    assert list(both.resources[CLUSTER]) == list(both.resources[ENDPOINTS])
    alike = made(generation(1, "aa", "127.0.0.1:1"), generation(2, "aa", "127.0.0.1:1"))
    assert len(alike.resources[CLUSTER]) == len(alike.resources[ENDPOINTS]) == 1


def test_a_bridge_keeps_the_endpoints_of_the_clusters_it_keeps() -> None:
    old = made(generation(1, "aa", "127.0.0.1:1", routes=[ROUTE, WILD]))
    new = made(generation(2, "bb", "127.0.0.1:2"))
    between = bridge(old, new)
    assert between is not None
    assert len(between.resources[CLUSTER]) == 2
    assert list(between.resources[CLUSTER]) == list(between.resources[ENDPOINTS])
