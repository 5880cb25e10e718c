"""A shielded canary that fails everything: nobody who may be answered twice notices, and its failures are counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.gateway.compile.envoy_world import World

from lastgood.gateway.snapshot import Generation, Traffic

ALWAYS = [500] * 10_000


def service(shield: bool) -> dict[str, Any]:
    canary = {"steps": ["20%"], "shield": shield}
    return {"source": "s", "command": ["x"], "health": {"interval": "100ms"}, "strategy": {"canary": canary}}


async def shielded(world: World, percent: float, *, shield: bool = True, **route: Any) -> None:
    """``one`` is stable, ``two`` the canary."""
    routes = [{"name": "a", "match": {"host": "shop.example"}, "public": True, "to": "catalog", **route}]
    shop = world.shop(services={"catalog": service(shield)}, routes=routes)
    made = [
        Generation(number, shop, {"catalog": (f"127.0.0.1:{world.upstreams[name].port}",)}, {"catalog": name * 8})
        for number, name in enumerate(("one", "two"), 1)
    ]
    await world.ads.push(world.compile(Traffic(made[0], made[1], 0)))
    await world.ready()
    await world.ads.push(world.compile(Traffic(made[0], made[1], percent)))


async def asked(world: World, count: int, method: str = "GET", at_once: int = 20) -> Counter[tuple[int, str]]:
    """``(status, who answered)`` of so many requests."""
    client, found = world.client(), Counter[tuple[int, str]]()

    async def ask() -> None:
        for _ in range(count // at_once):
            answer = await client.request(method, "/x", headers={"host": "shop.example"})
            found[answer.status_code, answer.headers.get("x-upstream", "")] += 1

    await asyncio.gather(*(ask() for _ in range(at_once)))
    return found


async def test_what_fails_on_the_canary_is_answered_by_the_stable_version(world: World) -> None:
    world.upstreams["two"].answers = list(ALWAYS)
    await shielded(world, 50)
    found = await asked(world, 400)
    assert found == {(200, "one"): 400}
    tried = sum(path == "/x" for _, path in world.upstreams["two"].seen)
    assert 120 < tried < 280, "it had its share, each of these failed once"
    stats = await world.counters("vhost.web.route.r2.upstream_rq_retry")
    assert stats["vhost.web.route.r2.upstream_rq_retry"] == tried, "and each is told of the new release"


async def test_nobody_waits_before_the_other_try(world: World) -> None:
    """Envoy's own pause of up to 25 ms spares nobody here: the other try goes to somebody else."""
    await shielded(world, 50)
    pushed = str(await world.admin("/config_dump?resource=dynamic_route_configs")) + await world.admin("/config_dump")
    assert '"base_interval": "0.001s"' in pushed


async def test_a_canary_that_works_answers_itself(world: World) -> None:
    await shielded(world, 100)
    assert await asked(world, 100) == {(200, "two"): 100}


async def test_what_may_not_be_repeated_is_not(world: World) -> None:
    world.upstreams["two"].answers = list(ALWAYS)
    await shielded(world, 100)
    assert await asked(world, 40, "POST") == {(500, "two"): 40}
    assert not [path for _, path in world.upstreams["one"].seen if path == "/x"]


async def test_a_canary_that_hangs_is_rescued_in_the_time_of_a_try(world: World) -> None:
    world.upstreams["two"].delay_s = 3.0
    await shielded(world, 100, retries={"per_try_timeout": "200ms"})
    assert await asked(world, 20) == {(200, "one"): 20}


@pytest.mark.parametrize("percent", [0, 100])
async def test_without_a_shield_nothing_is_hidden(world: World, percent: float) -> None:
    world.upstreams["two"].answers = list(ALWAYS)
    await shielded(world, percent, shield=False)
    assert await asked(world, 40) == ({(200, "one"): 40} if percent == 0 else {(500, "two"): 40})
