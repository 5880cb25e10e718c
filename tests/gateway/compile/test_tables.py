"""The two forms of a table with two generations, and what a change leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import scoped_route_pb2
from tests.gateway.compile.envoy_world import configuration

from lastgood.errors import Refused
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.routes import shares
from lastgood.gateway.runtime import requests_by_release, runtime_resource
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import CLUSTER, EXTENSION, LISTENER, SCOPE, Generation, Snapshot, Traffic

NOTHING = "lastgood.nothing-matches"


def _route(name: str, path: str, to: str = "u", **rest: Any) -> dict[str, Any]:
    return {"name": name, "to": to, "match": {"path": path, "host": rest.pop("host", "a.x")}, **rest}


def _compile(*routes: list[dict[str, Any]], **sections: Any) -> Snapshot:
    upstreams = {name: {"endpoints": [f"127.0.0.1:{port}"]} for name, port in (("u", 1), ("v", 2))}
    generations = [
        Generation(
            number, configuration(listeners={"web": {"port": 80}}, upstreams=upstreams, routes=items, **sections)
        )
        for number, items in enumerate(routes, 1)
    ]
    traffic = Traffic(generations[0], generations[1] if len(generations) > 1 else None)
    return compile_snapshot(traffic, secrets={}, slots=SlotTable(), certificates={}, cache=CompileCache())


def _names(snapshot: Snapshot, scope: str = "web|a.x") -> list[str]:
    """Route names; those behind a fence in brackets."""
    body = snapshot.resources[SCOPE][scope].body
    routes = scoped_route_pb2.ScopedRouteConfiguration.FromString(body).route_configuration.virtual_hosts[0].routes
    return [f"[{it.name}]" if it.match.HasField("runtime_fraction") else it.name for it in routes]


def test_changed_and_added_routes_stand_between_the_others() -> None:
    old = [_route("a", "/a"), _route("b", "/*"), _route("c", "/c")]
    new = [_route("a", "/a"), _route("b", "/*", "v"), _route("c", "/c", timeout="1s"), _route("d", "/d")]
    assert _names(_compile(old, new)) == ["a", "[c@r2]", "c@r1", "[d@r2]", "[b@r2]", "b@r1", NOTHING]


def test_a_route_that_is_gone_or_takes_other_requests_needs_a_table_of_its_own() -> None:
    old = [_route("a", "/a"), _route("b", "/*")]
    whole = ["[a@r2]", f"[{NOTHING}]", "a@r1", "b@r1", NOTHING]
    assert _names(_compile(old, old[:1])) == whole
    narrower = [_route("a", "/a"), _route("b", "/b")]
    assert _names(_compile(old, narrower)) == ["[a@r2]", "[b@r2]", f"[{NOTHING}]", "a@r1", "b@r1", NOTHING]


def test_another_host_of_a_route_leaves_its_other_hosts_tables_as_they_are() -> None:
    old, new = [_route("a", "/a")], [_route("a", "/a", host=["a.x", "b.x"])]
    together = _compile(old, new)
    assert together.resources[SCOPE]["web|a.x"] == _compile(old).resources[SCOPE]["web|a.x"]
    assert _names(together, "web|b.x") == ["[a@r2]", NOTHING]


def test_other_words_for_the_same_are_no_second_generation() -> None:
    old = [_route("a", "/a", use=[], to=[{"to": "u", "weight": 50}, {"to": "v", "weight": 50}])]
    new = [_route("a", "/a", public=True, to=[{"to": "u", "weight": 1}, {"to": "v", "weight": 1}])]
    assert _names(_compile(old, new)) == ["a", NOTHING]


def test_clusters_of_both_generations_stand_side_by_side_and_equal_ones_once() -> None:
    def names(**endpoints: tuple[str, ...]) -> set[str]:
        said = configuration(services={"s": {"source": "s", "command": ["x"]}})
        both = Traffic(Generation(1, said, {"s": ("127.0.0.1:1",)}), Generation(2, said, {**endpoints}))
        made = compile_snapshot(both, secrets={}, slots=SlotTable(), certificates={}, cache=CompileCache())
        return set(made.resources[CLUSTER])

    assert len(names(s=("127.0.0.1:2",))) == 2
    assert len(names(s=("127.0.0.1:1",))) == 1
    assert all(name.startswith("s@") and len(name) == 10 for name in names(s=("127.0.0.1:2",)))


def test_the_listener_knows_nothing_of_routes_and_policies() -> None:
    plain = _compile([_route("a", "/a")])
    other = _compile(
        [_route("a", "/*", "v", use=["office"], host="*.wild")], policies={"office": {"ip": {"deny": ["10.0.0.1"]}}}
    )
    assert plain.resources[LISTENER] == other.resources[LISTENER]
    assert plain.resources[EXTENSION]["lastgood.host"] != other.resources[EXTENSION]["lastgood.host"]


@pytest.mark.parametrize("changes", [{"to": "nowhere"}, {"use": ["nothing"]}, {"to": [{"to": "u", "weight": 0}] * 2}])
def test_what_is_not_there_is_refused_and_named(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        _compile([_route("a", "/a") | changes])
    assert caught.value.where == "route:a"
    assert caught.value.next


@pytest.mark.parametrize("weights", [[1, 1], [50, 50], [500_000, 500_000], [750_001, 249_999], [3, 999_996], [0, 7]])
@pytest.mark.parametrize("percent", [5, 30])
def test_weights_hold_among_the_requests_of_a_share(weights: list[int], percent: int) -> None:
    """Envoy's arithmetic: one number, modulo a million against the fence, modulo the sum for the target."""
    given = shares(weights)
    first = total = 0
    for step in range(200_000):
        drawn = (step * 11_400_714_819_323_198_485 + 7) % 2**64
        if drawn % 1_000_000 < percent * 10_000:
            total += 1
            first += drawn % sum(given) < given[0]
    assert abs(first / total - weights[0] / sum(weights)) < 0.02


def test_the_runtime_holds_one_key_in_millionths() -> None:
    from envoy.service.runtime.v3 import rtds_pb2

    layer = rtds_pb2.Runtime.FromString(runtime_resource(12, 12.5).body).layer
    assert dict(layer.fields["lastgood.r12"].struct_value.items()) == {"numerator": 125_000, "denominator": "MILLION"}
    assert not rtds_pb2.Runtime.FromString(runtime_resource(None).body).layer.fields


def test_counters_are_summed_by_release() -> None:
    counters = {
        "vhost.web.route.r12.upstream_rq_total": 3,
        "vhost.a.b.route.r12.upstream_rq_total": 4,
        "vhost.web.route.r9.upstream_rq_total": 5,
        "vhost.web.route.r9.upstream_rq_5xx": 6,
        "vhost.web.route.radio.upstream_rq_total": 7,
    }
    assert requests_by_release(counters) == {12: 7, 9: 5}
