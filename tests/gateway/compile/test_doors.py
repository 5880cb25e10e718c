"""Requests that ask for the new release by a header: a preview before it has a share, a canary's users once it has."""

from __future__ import annotations

from typing import Any

from tests.gateway.compile.envoy_world import World

from lastgood.gateway.snapshot import RUNTIME

GATEWAY = {"release_header": True, "preview": {"header": "X-Preview", "value": "please"}}
CANARY = {
    "source": "s",
    "command": ["x"],
    "instances": 1,
    "strategy": {"canary": {"steps": ["5%"], "by": {"header": "x-canary"}}},
}


def shop(world: World, text: str, *paths: str) -> Any:
    routes = [
        {"name": path.strip("/") or "root", "match": {"path": path, "host": "shop.example"}, "public": True,
         "respond": {"status": 200, "body": text}}
        for path in paths
    ]  # fmt: skip
    return world.shop(gateway=GATEWAY, services={"api": CANARY}, routes=routes)


async def seen(world: World, path: str, **headers: str) -> str:
    sent = {"host": "shop.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    answer = await world.client().get(path, headers=sent)
    return f"{answer.text if answer.status_code == 200 else answer.status_code} {answer.headers['x-lastgood-release']}"


async def test_a_preview_sees_the_whole_new_release_before_anybody_else(world: World) -> None:
    base, candidate = shop(world, "old", "/", "/gone"), shop(world, "new", "/", "/come")
    await world.serve(base)
    assert await seen(world, "/", x_preview="please") == "old r1"
    await world.serve(base, candidate, 0)
    assert await seen(world, "/") == "old r1"
    assert await seen(world, "/", x_preview="no") == "old r1"
    assert await seen(world, "/", x_preview="please") == "new r2"
    assert await seen(world, "/come", x_preview="please") == "new r2"
    assert await seen(world, "/gone", x_preview="please") == "404 r2", "what is gone does not shine through"
    assert await seen(world, "/gone") == "old r1"
    await world.serve(candidate, release=2)
    assert await seen(world, "/") == "new r2"


async def test_a_preview_has_an_address_of_its_own(world: World) -> None:
    """``new.`` before any host: with a port, in any case, for wildcards and unknown hosts too."""
    gateway = {"release_header": True, "preview": {"host": "new"}}

    def made(text: str, *hosts: str) -> Any:
        routes = [
            {"name": f"r{n}", "match": {"host": host}, "public": True, "respond": {"status": 200, "body": text}}
            for n, host in enumerate(hosts)
        ]
        return world.shop(gateway=gateway, routes=routes)

    base = made("old", "shop.example", "*.shop.example", "new.fixed.example")
    candidate = made("new", "shop.example", "*.shop.example", "new.fixed.example", "come.example")
    await world.serve(base)
    assert await seen(world, "/", host="new.shop.example") == "old r1", "without a new release it is the live one"
    await world.serve(base, candidate, 0)
    assert await seen(world, "/") == "old r1"
    for host in ("new.shop.example", "NEW.Shop.example:8080", "new.a.shop.example", "new.come.example"):
        assert await seen(world, "/", host=host) == "new r2", host
    assert await seen(world, "/", host="come.example") == "404 r1"
    assert (await seen(world, "/", host="new.other.example")).startswith("404")
    assert await seen(world, "/", host="new.fixed.example") == "old r1", "a host of its own is no preview"
    assert await seen(world, "/", host="newer.shop.example") == "old r1", "a host below the wildcard"
    assert await seen(world, "/", x_lastgood_preview="1") == "old r1", "what only the gateway may say"
    await world.serve(candidate, release=2)
    assert await seen(world, "/", host="new.shop.example") == "new r2"


async def test_who_is_previewed_sees_the_host_it_will_have(world: World) -> None:
    def made(to: str) -> Any:
        route = {"name": "a", "match": {"host": "shop.example"}, "public": True, "to": to}
        return world.shop(gateway={"preview": {"host": "new"}}, routes=[route])

    await world.serve(made("one"), made("two"), 0)
    told = (await world.get("/", host="new.shop.example:81", x_lastgood_preview="what a client says")).json()
    assert told["upstream"] == "two"
    assert told["headers"]["host"] == "shop.example:81"
    assert told["headers"]["x-lastgood-preview"] == "1"
    told = (await world.get("/", x_lastgood_preview="what a client says")).json()
    assert (told["upstream"], told["headers"].get("x-lastgood-preview")) == ("one", None)


async def test_users_of_a_canary_are_on_it_as_long_as_it_has_a_share(world: World) -> None:
    base, candidate = shop(world, "old", "/"), shop(world, "new", "/")
    await world.serve(base, candidate, 0)
    assert await seen(world, "/", x_canary="1") == "old r1", "it is loaded, and nobody's yet"
    await world.serve(base, candidate, 0.0001)
    assert {await seen(world, "/") for _ in range(20)} == {"old r1"}
    assert {await seen(world, "/", x_canary="1") for _ in range(20)} == {"new r2"}
    await world.serve(base, candidate, 0)
    assert [kind for kind, _ in world.ads.pushed] == [RUNTIME], "the way back takes them along, by the one push"
    assert {await seen(world, "/", x_canary="1") for _ in range(20)} == {"old r1"}


async def test_who_met_the_canary_stays_with_it_and_who_did_not_stays_away(world: World) -> None:
    canary = {**CANARY, "strategy": {"canary": {"steps": ["50%"], "hold": "60s", "sticky": True}}}

    def sticky(text: str) -> Any:
        route = {"name": "a", "match": {"host": "shop.example"}, "public": True}
        answer = {"respond": {"status": 200, "body": text}}
        return world.shop(gateway=GATEWAY, services={"api": canary}, routes=[{**route, **answer}])

    base, candidate = sticky("old"), sticky("new")
    await world.serve(base, candidate, 0)
    await world.serve(base, candidate, 50)
    first, cookies = [], []
    for _ in range(40):
        answer = await world.get("/")
        first.append(answer.text)
        cookies.append(answer.headers["set-cookie"].partition(";")[0])
    assert {*zip(first, cookies, strict=True)} == {("old", "lastgood-r2=old"), ("new", "lastgood-r2=new")}
    for text, cookie in {*zip(first, cookies, strict=True)}:
        again = {(await world.get("/", cookie=f"theme=dark; {cookie}; x=1")).text for _ in range(20)}
        assert again == {text}
    other = {(await world.get("/", cookie="lastgood-r1=new; notlastgood-r2=newer")).text for _ in range(40)}
    assert other == {"old", "new"}, "what was drawn for another release says nothing"
    await world.serve(base, candidate, 100)
    assert (await world.get("/", cookie="lastgood-r2=old")).text == "new", "in the end all come along"
    await world.serve(base, candidate, 0)
    assert (await world.get("/", cookie="lastgood-r2=new")).text == "old", "and so they do on the way back"


async def test_a_version_key_keeps_its_version_and_moves_once(world: World) -> None:
    """Whatever else the request carries; its share is that of the requests, and only grows."""
    canary = {**CANARY, "strategy": {"canary": {"steps": ["50%"], "version_key": "X-User-Id", "sticky": True}}}

    def keyed(text: str) -> Any:
        route = {"name": "a", "match": {"host": "shop.example"}, "public": True}
        return world.shop(
            gateway=GATEWAY, services={"api": canary}, routes=[{**route, "respond": {"status": 200, "body": text}}]
        )

    async def on_the_new(percent: float, release: int = 1) -> set[str]:
        await world.serve(base, candidate, percent, release=release)
        once, again = [[await answered(x_user_id=key) for key in keys] for _ in range(2)]
        assert once == again, "one version for one value"
        return {key for key, text in zip(keys, once, strict=True) if text == "new"}

    async def answered(**headers: str) -> str:
        sent = {"host": "shop.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return (await client.get("/", headers=sent)).text

    client, keys = world.client(), [f"user-{number}" for number in range(80)]
    base, candidate = keyed("old"), keyed("new")
    assert await on_the_new(0) == set()
    few, more, all_of_them = await on_the_new(20), await on_the_new(60), await on_the_new(100)
    assert few < more < all_of_them == set(keys)
    assert 4 < len(few) < 32
    assert 30 < len(more) < 66
    assert await on_the_new(20) == few
    assert await on_the_new(20, release=5) != few, "who comes first is another lot with each release"
    await world.serve(base, candidate, 20)
    one = next(iter(set(keys) - few))
    both = {"x_user_id": one, "cookie": "lastgood-r2=new", "x_lastgood_side": "new"}
    assert {await answered(**both) for _ in range(10)} == {"old"}, "the key counts"
    assert {(await world.get("/")).text for _ in range(60)} == {"old", "new"}, "without a key it is a lot"
