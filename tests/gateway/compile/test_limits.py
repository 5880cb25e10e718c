"""Rate limits on a real Envoy: whose requests count together, and what leaves the counters alone."""

from __future__ import annotations

from typing import Any

from tests.gateway.compile.envoy_world import World

from lastgood.gateway.compile import wanted_limits
from lastgood.gateway.slots import assign
from lastgood.gateway.snapshot import EXTENSION, Generation, Traffic


def _limit(requests: int = 2, **rest: Any) -> dict[str, Any]:
    return {"rate_limit": {"requests": requests, "per": "hour", **rest}}


def _route(name: str, path: str, use: list[str], **rest: Any) -> dict[str, Any]:
    action = {} if "respond" in rest else {"to": "one"}
    match = {"path": path, "host": ["shop.example", "other.example", "*"]}
    return {"name": name, "match": match, "use": use, "public": True, **action, **rest}


async def _statuses(world: World, path: str, count: int, host: str = "shop.example", **headers: str) -> list[int]:
    return [(await world.get(path, host, **headers)).status_code for _ in range(count)]


async def test_all_routes_and_hosts_with_a_policy_draw_from_one_bucket(world: World) -> None:
    page = {"status": 200, "body": "x"}
    await world.serve(
        world.shop(
            policies={"fair": _limit(3), "same": _limit(3)},
            routes=[
                _route("a", "/a", ["fair"]),
                _route("page", "/page", ["fair"], respond=page),
                _route("b", "/b", ["same"]),
                _route("free", "/free", []),
            ],
        )
    )
    first = await world.get("/a")
    assert (first.status_code, first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == (
        200,
        "3",
        "2",
    )
    assert await _statuses(world, "/page", 1, "SHOP.example:1") == [200]
    assert await _statuses(world, "/a", 2, "other.example") == [200, 429]
    assert await _statuses(world, "/page", 1) == [429]
    assert await _statuses(world, "/b", 4) == [200, 200, 200, 429]
    free = await world.get("/free")
    assert (free.status_code, [name for name in free.headers if "ratelimit" in name]) == (200, [])


async def test_a_bucket_for_each_client(world: World) -> None:
    world.secrets = {"secret:a": "ka", "secret:b": "kb"}
    clients = {"acme": "secret:a", "bolt": "secret:b"}
    policies = {
        "keys": {"api_key": {"header": "x-api-key", "clients": clients}},
        "by-client": _limit(key="api_client"),
        "by-header": _limit(key="header:X-Tenant"),
        "by-address": _limit(key="client_ip"),
    }
    await world.serve(
        world.shop(
            policies=policies,
            routes=[
                _route("c", "/client", ["by-client", "keys"]),
                _route("h", "/header", ["by-header"]),
                _route("i", "/address", ["by-address"]),
            ],
        )
    )
    assert await _statuses(world, "/client", 3, x_api_key="ka") == [200, 200, 429]
    assert await _statuses(world, "/client", 3, "Other.example", x_api_key="kb") == [200, 200, 429]
    assert await _statuses(world, "/header", 3, x_tenant="t1") == [200, 200, 429]
    assert await _statuses(world, "/header", 1, x_tenant="t2") == [200]
    assert await _statuses(world, "/header", 3) == [200, 200, 429], "a missing header is no way around the limit"
    assert await _statuses(world, "/address", 3, x_forwarded_for="1.2.3.4") == [200, 200, 429]
    assert await _statuses(world, "/address", 1, x_forwarded_for="1.2.3.5") == [429]


async def test_a_burst_on_top(world: World) -> None:
    await world.serve(world.shop(policies={"p": _limit(1, burst=4)}, routes=[_route("a", "/a", ["p"])]))
    assert await _statuses(world, "/a", 5) == [200, 200, 200, 200, 429]


async def test_counters_survive_other_changes_and_a_rollback(world: World) -> None:
    def shop(timeout: str, **policies: Any) -> Any:
        routes = [_route("a", "/a", ["fair"], timeout=timeout), _route("b", "/b", ["other"])]
        return world.shop(policies={"fair": _limit(), "other": _limit(5), **policies}, routes=routes)

    old, new = shop("2s"), shop("3s", fair=_limit(4), more=_limit(9))
    await world.serve(old)
    assert await _statuses(world, "/a", 3) == [200, 200, 429]
    assert await _statuses(world, "/b", 1) == [200]
    await world.serve(shop("9s"))  # the route changed
    assert await _statuses(world, "/a", 1) == [429]
    await world.serve(old, new, 100)  # the limit changed: it begins afresh
    assert await _statuses(world, "/a", 5) == [200, 200, 200, 200, 429]
    await world.serve(new, release=2)
    assert await _statuses(world, "/a", 1) == [429]
    assert (await world.get("/b")).headers["x-ratelimit-remaining"] == "3", "a limit beside it went on counting"
    await world.serve(old)  # and back: the old limit finds its own counters
    assert await _statuses(world, "/a", 1) == [429]
    assert (await world.get("/b")).headers["x-ratelimit-remaining"] == "2"


async def test_a_limit_that_tightens_binds_an_open_connection(world: World) -> None:
    routes = [_route("a", "/a", ["p"])]
    await world.serve(world.shop(policies={"p": _limit(100)}, routes=routes))
    client = world.client()
    assert (await client.get("/a", headers={"host": "shop.example"})).status_code == 200
    await world.serve(world.shop(policies={"p": _limit(1)}, routes=routes))
    statuses = [(await client.get("/a", headers={"host": "shop.example"})).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_more_limits_than_slots(world: World) -> None:
    names = [f"p{number}" for number in range(17)]
    routes = [_route(name, f"/{name}", [name]) for name in names]
    shop = world.shop(policies={name: _limit(1) for name in names}, routes=routes)
    snapshot = await world.serve(shop)
    assert assign(world.slots, wanted_limits(Traffic(Generation(1, shop)))) is world.slots
    assert sum(name.startswith("limit-") for name in snapshot.resources[EXTENSION]) == 32
    for name in names:
        assert await _statuses(world, f"/{name}", 2) == [200, 429], name
