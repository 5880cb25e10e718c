"""Two releases in one proxy: routes, policies and code behind them move by one runtime key."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateway.compile.envoy_world import World

from lastgood.gateway.bridge import bridge
from lastgood.gateway.runtime import STATS_PATTERN, requests_by_release, runtime_resource
from lastgood.gateway.snapshot import RUNTIME, SCOPE


def _says(name: str, text: str, path: str = "/*", host: str = "shop.example", **rest: Any) -> dict[str, Any]:
    action = {} if rest.keys() & {"to"} else {"respond": {"status": 200, "body": text}}
    return {
        "name": name,
        "match": {"path": path, "host": host, **rest.pop("match", {})},
        "public": True,
        **action,
        **rest,
    }


async def _bodies(world: World, path: str, host: str = "shop.example", count: int = 1) -> set[str]:
    answers = [await world.get(path, host) for _ in range(count)]
    return {answer.text if answer.status_code == 200 else str(answer.status_code) for answer in answers}


async def test_nothing_moves_before_the_key_and_everything_with_it(world: World) -> None:
    base = world.shop(
        gateway={"release_header": True},
        routes=[
            _says("changed", "old", "/c"),
            _says("gone", "gone", "/g/*"),
            _says("same", "same", "/s"),
            _says("settled", "settled", host="quiet.example"),
            _says("left", "left", host="left.example"),
            _says("closed", "", "/p", to="one"),
        ],
    )
    candidate = world.shop(
        gateway={"release_header": True},
        policies={"office": {"ip": {"allow": ["10.0.0.0/8"]}}},
        routes=[
            _says("changed", "new", "/c"),
            _says("added", "added", "/g/deeper"),
            _says("same", "same", "/s"),
            _says("settled", "settled", host="quiet.example"),
            _says("come", "come", host="*.come.example"),
            _says("closed", "", "/p", to="one", use=["office"]),
        ],
    )
    alone = await world.serve(base)
    client = world.client()

    async def look() -> dict[str, str]:
        asked = [
            ("/c", "shop.example"),
            ("/g/deeper", "SHOP.example"),
            ("/g", "shop.example:1"),
            ("/s", "shop.example"),
        ]
        asked += [("/", "quiet.example"), ("/", "left.example"), ("/", "a.come.example"), ("/p", "shop.example")]
        got = {}
        for path, host in asked:
            answer = await client.get(path, headers={"host": host})
            text = answer.text if answer.status_code == 200 and path != "/p" else str(answer.status_code)
            got[host + path] = f"{text} {answer.headers.get('x-lastgood-release')}"
        return got

    before = {
        "shop.example/c": "old r1",
        "SHOP.example/g/deeper": "gone r1",
        "shop.example:1/g": "gone r1",
        "shop.example/s": "same r1",
        "quiet.example/": "settled r1",
        "left.example/": "left r1",
        "a.come.example/": "404 r1",
        "shop.example/p": "200 r1",
    }
    after = {
        "shop.example/c": "new r2",
        "SHOP.example/g/deeper": "added r2",
        "shop.example:1/g": "404 r2",
        "shop.example/s": "same r2",
        "quiet.example/": "settled r2",
        "left.example/": "404 r2",
        "a.come.example/": "come r2",
        "shop.example/p": "403 r2",
    }
    assert await look() == before
    loaded = await world.serve(base, candidate, 0)
    assert loaded.resources[SCOPE]["web|quiet.example"] == alone.resources[SCOPE]["web|quiet.example"]
    assert await look() == before
    assert await _bodies(world, "/.well-known/lastgood", "any.thing") == {'{"release": "r1"}'}
    moved = await world.serve(base, candidate, 100)
    assert [kind for kind, _ in world.ads.pushed] == [RUNTIME], "a shift is one tiny push"
    assert moved.resources[RUNTIME]["lastgood"] == runtime_resource(2, 100)
    assert await look() == after
    assert await _bodies(world, "/.well-known/lastgood", "quiet.example") == {'{"release": "r2"}'}
    await world.serve(base, candidate, 0)
    assert await look() == before
    await world.serve(candidate, release=2)
    assert await look() == after


async def test_a_share_moves_and_each_request_is_wholly_on_one_side(world: World) -> None:
    def shop(text: str, header: bool = True) -> Any:
        routes = [_says("a", text, to="one" if text == "old" else "two"), _says("b", text, "/b")]
        return world.shop(gateway={"release_header": header}, routes=routes)

    await world.serve(shop("old"), shop("new"), 30)
    client = world.client()
    seen: list[tuple[str, str]] = []
    for _ in range(400):
        answer = await client.get("/x", headers={"host": "shop.example"})
        seen.append((answer.json()["upstream"], answer.headers["x-lastgood-release"]))
    assert set(seen) == {("one", "r1"), ("two", "r2")}
    moved = seen.count(("two", "r2"))
    assert 75 < moved < 165
    counters = await world.counters("upstream_rq_total")
    assert requests_by_release(counters) == {1: 400 - moved, 2: moved}
    by_pattern = await world.counters(STATS_PATTERN.replace("?P<release>", ""))
    assert requests_by_release(by_pattern) == {1: 400 - moved, 2: moved}


async def test_weights_within_a_share_stay_what_they_are(world: World) -> None:
    to = [{"to": "one", "weight": 500_001}, {"to": "two", "weight": 499_999}]
    await world.serve(world.shop(routes=[_says("a", "old")]), world.shop(routes=[_says("a", "", to=to)]), 20)
    client = world.client()
    hits = {"one": 0, "two": 0, "old": 0}
    for _ in range(600):
        text = (await client.get("/x", headers={"host": "shop.example"})).text
        hits["old" if text == "old" else "one" if '"one"' in text else "two"] += 1
    assert min(hits["one"], hits["two"]) > 25, hits


async def test_the_code_behind_moves_with_the_routes(world: World) -> None:
    from lastgood.gateway.snapshot import Generation, Traffic

    service = {"source": "s", "command": ["x"], "health": {"interval": "100ms"}}
    shop = world.shop(services={"catalog": service}, routes=[_says("a", "", to="catalog")])
    one, two = (f"127.0.0.1:{world.upstreams[name].port}" for name in ("one", "two"))
    base, candidate = Generation(1, shop, {"catalog": (one,)}), Generation(2, shop, {"catalog": (two,)})
    await world.ads.push(world.compile(Traffic(base, candidate, 0)))
    await world.ready()
    assert (await world.get("/")).json()["upstream"] == "one"
    await world.ads.push(world.compile(Traffic(base, candidate, 100)))
    assert (await world.get("/")).json()["upstream"] == "two"
    await world.ads.push(world.compile(Traffic(candidate)))
    assert (await world.get("/")).json()["upstream"] == "two"


async def test_the_bridge_keeps_every_request_of_a_sudden_change_alive(world: World) -> None:
    """Keys by another policy, a wildcard that goes while another comes: no 401, 403 or 404 for what both serve."""

    def shop(name: str, wild: str) -> Any:
        keys = {"api_key": {"header": "x-api-key", "clients": {name: "secret:k"}}}
        routes = [_says("a", "a", use=["partners"]), _says("b", "b", host=wild), _says("c", "c", host="*.example")]
        return world.shop(policies={"partners": keys}, routes=routes)

    world.secrets = {"secret:k": "sesame"}
    states = [shop("acme", "*.eu.example"), shop("bolt", "*.us.example")]
    last = await world.serve(states[0])
    statuses: list[int] = []
    done = asyncio.Event()

    async def ask(host: str) -> None:
        client = world.client()
        while not done.is_set():
            answer = await client.get("/", headers={"host": host, "x-api-key": "sesame"})
            statuses.append(answer.status_code)

    asking = [asyncio.create_task(ask(host)) for host in ("shop.example", "x.eu.example", "x.us.example")]
    for number in range(1, 9):
        wanted = world.compile_only(states[number % 2])
        between = bridge(last, wanted)
        assert between is not None
        await world.ads.push(between)
        await world.ads.push(wanted)
        assert bridge(wanted, wanted) is None
        last = wanted
    done.set()
    await asyncio.gather(*asking)
    assert len(statuses) > 20
    assert set(statuses) == {200}


async def test_a_listener_that_is_new_answers_404_until_the_share_is_its(world: World) -> None:
    from tests.gateway.compile.envoy_world import free_port

    port = free_port()
    base = world.shop(routes=[_says("a", "a")])
    candidate = world.shop(listeners={"second": {"port": port}}, routes=[_says("a", "a")])
    await world.serve(base, candidate, 0)
    await world.ready(port)
    web, world.port = world.port, port
    assert await _bodies(world, "/") == {"404"}
    world.port = web
    await world.serve(base, candidate, 100)
    world.port = port
    assert await _bodies(world, "/") == {"a"}
    world.port = web
