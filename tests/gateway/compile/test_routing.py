"""What Envoy does with the compiled routes."""

from __future__ import annotations

from tests.gateway.compile.envoy_world import World


def _route(name: str, path: str = "/*", *, host: str | list[str] = "shop.example", **rest: object) -> dict[str, object]:
    match = {"path": path, "host": host, **rest.pop("match", {})}  # type: ignore[dict-item]
    action = {} if rest.keys() & {"to", "redirect", "respond"} else {"to": "one"}
    return {"name": name, "match": match, "public": True, **action, **rest}


async def _who(world: World, path: str, host: str = "shop.example", method: str = "GET", **headers: str) -> str:
    answer = await world.get(path, host, method, **headers)
    return answer.text if answer.status_code == 200 else str(answer.status_code)


def _says(name: str, path: str, **rest: object) -> dict[str, object]:
    return _route(name, path, respond={"status": 200, "body": name}, **rest)


async def test_the_most_specific_path_wins_by_whole_segments(world: World) -> None:
    await world.serve(
        world.shop(
            routes=[
                _says("exact", "/a/b"),
                _says("below", "/a/*"),
                _says("deeper", "/a/b/*"),
                _says("template", "/users/{id}"),
                _says("template-below", "/users/{id}/orders/*"),
                _says("me", "/users/me"),
            ]
        )
    )
    expected = {
        "/a": "below",
        "/a/": "below",
        "/ab": "404",
        "/a/b": "exact",
        "/a/b?x=1": "exact",
        "/a/b/c": "deeper",
        "/a/bc": "below",
        "/users/7": "template",
        "/users/7/": "404",
        "/users/me": "me",
        "/users/7/orders": "template-below",
        "/users/7/orders/9": "template-below",
        "/users/7/invoices": "404",
        "/users": "404",
        "/": "404",
    }
    assert {path: await _who(world, path) for path in expected} == expected
