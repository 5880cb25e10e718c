"""What a release changed is counted as its own after it settled, and nothing else about it differs."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import scoped_route_pb2
from tests.gateway.compile.envoy_world import configuration

from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import MOST_WATCHED, compile_snapshot
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import SCOPE, Generation, Snapshot, Traffic


def made(number: int, *changed: str, hosts: tuple[str, ...] = ("a.x", "b.x"), guarded: bool = False) -> Generation:
    """Each host has a route to ``/p`` and one to everything; of those that changed ``/p`` has another timeout."""
    routes: list[dict[str, Any]] = []
    for host in hosts:
        quick = {"timeout": "1s", "guarded": guarded} if host in changed else {}
        name = host.replace(".", "-")
        routes.append({"name": f"p-{name}", "match": {"host": host, "path": "/p"}, "to": "u", "public": True, **quick})
        routes.append({"name": f"all-{name}", "match": {"host": host, "path": "/*"}, "to": "u", "public": True})
    upstreams = {"u": {"endpoints": ["127.0.0.1:1"]}}
    return Generation(number, configuration(listeners={"web": {"port": 80}}, upstreams=upstreams, routes=routes))


def compiled(traffic: Traffic, cache: CompileCache | None = None) -> Snapshot:
    return compile_snapshot(traffic, secrets={}, slots=SlotTable(), certificates={}, cache=cache or CompileCache())


def routes_of(snapshot: Snapshot, host: str) -> list[Any]:
    body = snapshot.resources[SCOPE][f"web|{host}"].body
    return list(scoped_route_pb2.ScopedRouteConfiguration.FromString(body).route_configuration.virtual_hosts[0].routes)


def test_what_changed_is_counted_and_everything_else_is_the_same() -> None:
    old, new = made(1), made(2, "a.x")
    plain, watched = compiled(Traffic(new)), compiled(Traffic(new, before=old))
    assert [route.stat_prefix for route in routes_of(watched, "a.x")] == ["r2", "", ""]
    differing = {
        (kind, name)
        for kind, resources in watched.resources.items()
        for name, resource in resources.items()
        if plain.resources[kind][name] != resource
    }
    assert differing == {(SCOPE, "web|a.x")}
    stripped = routes_of(watched, "a.x")
    for route in stripped:
        route.ClearField("stat_prefix")
    assert stripped == routes_of(plain, "a.x")


def test_a_guarded_route_keeps_its_own_label() -> None:
    watched = compiled(Traffic(made(2, "a.x", guarded=True), before=made(1)))
    assert routes_of(watched, "a.x")[0].stat_prefix == "r2.p-a-x"


def test_the_cache_changes_nothing_and_the_next_release_is_as_if_nobody_had_watched() -> None:
    old, new, third = made(1), made(2, "a.x"), made(3, "a.x", "b.x")
    cache = CompileCache()
    steps = [
        Traffic(old),
        Traffic(old, new, 5.0),
        Traffic(new, before=old),
        Traffic(new, third, 5.0),
        Traffic(third, before=new),
        Traffic(third),
        Traffic(new, before=old),
    ]
    for traffic in steps:
        assert compiled(traffic, cache).resources == compiled(traffic).resources


def test_where_too_many_tables_changed_nothing_is_counted() -> None:
    hosts = tuple(f"h{number}.x" for number in range(MOST_WATCHED + 1))
    old, new = made(1, hosts=hosts), made(2, *hosts, hosts=hosts)
    assert compiled(Traffic(new, before=old)).resources == compiled(Traffic(new)).resources
    few = made(2, *hosts[1:], hosts=hosts)
    assert compiled(Traffic(few, before=old)).resources != compiled(Traffic(few)).resources


def test_the_release_before_may_have_run_functions_of_which_nothing_is_left() -> None:
    """By its routes alone it is looked at, and a route to a function refers to what never was a listed address."""
    function = {"price": {"source": "functions/price"}}
    routes = {"name": "all", "match": {"host": "a.x"}, "to": "price", "public": True}
    old, new = (
        Generation(
            number,
            configuration(
                listeners={"web": {"port": 80}}, upstreams={}, routes=[{**routes, **more}], functions=function
            ),
            endpoints,
        )
        for number, more, endpoints in ((1, {}, {}), (2, {"timeout": "1s"}, {"price": ("127.0.0.1:9",)}))
    )
    watched = compiled(Traffic(new, before=old))
    assert [route.stat_prefix for route in routes_of(watched, "a.x")] == ["r2", ""]


def test_a_release_before_that_cannot_be_compiled_any_more_holds_up_nobody() -> None:
    nowhere = {"name": "all", "match": {"host": "a.x"}, "to": "gone", "public": True}
    broken = Generation(1, configuration(listeners={"web": {"port": 80}}, upstreams={}, routes=[nowhere]))
    assert compiled(Traffic(made(2), before=broken)).resources == compiled(Traffic(made(2))).resources
