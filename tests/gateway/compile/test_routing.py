"""What Envoy does with the compiled routes."""

from __future__ import annotations

import asyncio

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


async def test_conditions_on_method_headers_and_query_choose(world: World) -> None:
    match = "match"
    await world.serve(
        world.shop(
            routes=[
                _says("plain", "/x"),
                _says("post", "/x", match={"methods": ["POST", "PUT"]}),
                _says("beta", "/x", match={"headers": {"X-Beta": "yes"}}),
                _says("regex", "/x", match={"headers": {"x-n": {"regex": "[0-9]+"}}, "methods": ["GET"]}),
                _says("query", "/x", **{match: {"query": {"v": {"prefix": "2."}}}}),
                _says("present", "/x", match={"query": {"debug": {"present": True}}}),
                _says(
                    "absent", "/y", match={"headers": {"x-a": {"present": False}}, "query": {"q": {"present": False}}}
                ),
            ]
        )
    )
    assert await _who(world, "/x") == "plain"
    assert await _who(world, "/x", method="PUT") == "post"
    assert await _who(world, "/x", method="DELETE") == "plain"
    assert await _who(world, "/x", x_beta="yes") == "beta"
    assert await _who(world, "/x", x_beta="yes!") == "plain"
    assert await _who(world, "/x", x_n="12") == "regex"
    assert await _who(world, "/x", x_n="12a") == "plain"
    assert await _who(world, "/x?v=2.1") == "query"
    assert await _who(world, "/x?v=1") == "plain"
    assert await _who(world, "/x?debug") == "present"
    assert await _who(world, "/y") == "absent"
    assert await _who(world, "/y", x_a="1") == "404"
    assert await _who(world, "/y?q=1") == "404"


async def test_hosts_exact_wildcard_and_any_however_they_are_written(world: World) -> None:
    await world.serve(
        world.shop(
            routes=[
                _says("shop", "/*", host="shop.example"),
                _says("wild", "/*", host="*.shop.example"),
                _says("eu", "/*", host="*.eu.shop.example"),
                _says("any", "/any", host="*"),
                _says("ip6", "/*", host="[::1]"),
            ]
        )
    )
    expected = {
        "shop.example": "shop",
        "SHOP.Example": "shop",
        "shop.example:8080": "shop",
        "Shop.Example.:80": "shop",
        "a.shop.example": "wild",
        "A.B.shop.example:1": "wild",
        "x.eu.shop.example": "eu",
        "notshop.example": "404",
        "*.shop.example": "wild",
        "other": "404",
        "[::1]:99": "ip6",
        "web|shop.example": "400",  # no host name: Envoy refuses it
        "a." * 400 + "shop.example": "404",
    }
    assert {host: await _who(world, "/p", host) for host in expected} == expected
    # A route for every host is one of each host; a host's own routes come first, however long the other's path.
    assert await _who(world, "/any", "other") == "any"
    assert await _who(world, "/any", "shop.example") == "shop"


async def test_a_client_cannot_choose_the_table(world: World) -> None:
    await world.serve(world.shop(routes=[_says("shop", "/*"), _says("inner", "/*", host="inner.example")]))
    assert await _who(world, "/", x_lastgood_scope="web|inner.example") == "shop"
    assert await _who(world, "/", "nowhere", x_lastgood_scope="web|inner.example") == "404"


async def test_our_own_headers_do_not_reach_the_upstream_nor_forged_ones(world: World) -> None:
    await world.serve(world.shop(routes=[_route("all")]))
    seen = (await world.get("/", x_lastgood_client="root", x_lastgood_keys="k", x__underscore="1")).json()
    assert not [name for name in seen["headers"] if "lastgood" in name]
    answer = await world.get("/")
    assert answer.json()["upstream"] == "one"


async def test_headers_with_underscores_are_dropped(world: World) -> None:
    await world.serve(world.shop(routes=[_route("all")]))
    client = world.client()
    seen = (await client.get("/", headers={"host": "shop.example", "x_lastgood_client": "root", "x-ok": "1"})).json()
    assert "x_lastgood_client" not in seen["headers"]
    assert seen["headers"]["x-ok"] == "1"


async def test_two_listeners_with_routes_of_their_own(world: World) -> None:
    from tests.gateway.compile.envoy_world import free_port

    port = free_port()
    await world.serve(
        world.shop(
            listeners={"inside": {"port": port}},
            routes=[
                _says("outer", "/*", listeners=["web"]),
                _says("inner", "/*", listeners=["inside"]),
                _says("both", "/both"),
                _says("wild", "/*", host="*.wild", listeners=["inside"]),
            ],
        )
    )
    await world.ready(port)
    assert await _who(world, "/") == "outer"
    assert await _who(world, "/both") == "both"
    assert await _who(world, "/", "a.wild") == "404"
    web, world.port = world.port, port
    assert await _who(world, "/") == "inner"
    assert await _who(world, "/both") == "both"
    assert await _who(world, "/", "a.wild") == "wild"
    assert await _who(world, "/", "SHOP.example") == "inner"
    world.port = web


async def test_weights_split_the_requests(world: World) -> None:
    to = [{"to": "one", "weight": 750_001}, {"to": "two", "weight": 249_999}]
    await world.serve(
        world.shop(routes=[_route("split", to=to), _route("off", "/off", to=[{"to": "two", "weight": 1}])])
    )
    client = world.client()
    hits = 0
    for _ in range(400):
        hits += (await client.get("/", headers={"host": "shop.example"})).json()["upstream"] == "one"
    assert 250 < hits < 350
    assert (await world.get("/off")).json()["upstream"] == "two"


async def test_rewrites_keep_one_slash_and_the_query(world: World) -> None:
    rules = [
        ("/a/*", {"prefix": "/"}),
        ("/b/*", {"prefix": "/v1/"}),
        ("/c", {"prefix": "/d"}),
        ("/u/{id}/*", {"prefix": "/"}),
        ("/w/{id}", {"prefix": "/v.2"}),
        ("/p/*", {"path": "/whole"}),
        ("/e", {"prefix": "/"}),
        ("/*", {"prefix": "/root"}),
    ]
    await world.serve(
        world.shop(routes=[_route(f"r{number}", path, rewrite=to) for number, (path, to) in enumerate(rules)])
    )
    expected = {
        "/a": "/",
        "/a/": "/",
        "/a/x?q=1": "/x?q=1",
        "/b/x": "/v1/x",
        "/b": "/v1",
        "/c?q": "/d?q",
        "/u/7/x": "/7/x",
        "/w/7": "/v.2/7",
        "/p/a/b?c=d": "/whole?c=d",
        "/e": "/",
        "/other/x": "/root/other/x",
    }
    assert {path: (await world.get(path)).json()["path"] for path in expected} == expected


async def test_the_host_can_be_rewritten(world: World) -> None:
    await world.serve(world.shop(routes=[_route("r", rewrite={"host": "inner.example"})]))
    assert (await world.get("/")).json()["headers"]["host"] == "inner.example"


async def test_redirects(world: World) -> None:
    await world.serve(
        world.shop(
            routes=[
                _route("to-https", "/s/*", redirect={"scheme": "https", "port": 8443, "status": 308}),
                _route("moved", "/old/*", redirect={"prefix": "/new", "host": "www.example"}),
                _route("up", "/up/*", redirect={"prefix": "/", "status": 302}),
                _route("one", "/one", redirect={"path": "/two", "status": 303}),
            ]
        )
    )
    expected = {
        "/s/x": (308, "https://shop.example:8443/s/x"),
        "/old/a?b=c": (301, "http://www.example/new/a?b=c"),
        "/up/a": (302, "http://shop.example/a"),
        "/one": (303, "http://shop.example/two"),
    }
    got = {path: await world.get(path) for path in expected}
    assert {path: (answer.status_code, answer.headers["location"]) for path, answer in got.items()} == expected


async def test_header_changes_are_text(world: World) -> None:
    changes = {
        "request": {"set": {"x-set": "100%", "x-fmt": "%REQ(host)%"}, "add": {"x-add": "b"}, "remove": ["x-gone"]},
        "response": {"set": {"x-upstream": "mine"}, "remove": ["content-type"]},
    }
    await world.serve(world.shop(routes=[_route("r", headers=changes)]))
    answer = await world.get("/", x_set="client", x_add="a", x_gone="1")
    seen = answer.json()["headers"]
    assert (seen["x-set"], seen["x-fmt"], "x-gone" in seen) == ("100%", "%REQ(host)%", False)
    assert seen["x-add"] == "b"  # the last of the two lines in our little upstream
    assert answer.headers["x-upstream"] == "mine"


async def test_timeouts_and_retries_only_of_the_methods_named(world: World) -> None:
    await world.serve(
        world.shop(
            routes=[
                _route("slow", "/slow", timeout="200ms"),
                _route("again", "/again", retries={"attempts": 2, "on": ["5xx"]}),
                _route("codes", "/codes", retries={"attempts": 1, "on": ["409"], "methods": ["POST"]}),
            ]
        )
    )
    one = world.upstreams["one"]
    one.delay_s = 1.0
    assert (await world.get("/slow")).status_code == 504
    one.delay_s = 0
    one.answers = [500, 503]
    assert (await world.get("/again")).status_code == 200
    one.answers = [500]
    assert (await world.get("/again", method="POST")).status_code == 500
    one.answers = [409]
    assert (await world.get("/codes", method="POST")).status_code == 200
    one.answers = [409]
    assert (await world.get("/codes")).status_code == 409


async def test_a_budget_limits_how_many_retries_there_are_at_once(world: World) -> None:
    """Everything fails: without a budget each request is tried twice, with one only so many at a time."""
    retries = {"attempts": 1, "on": ["5xx"]}
    budgets = {"small": {"percent": "1%", "minimum": 1}, "large": {"percent": "100%", "minimum": 100}}
    one = world.upstreams["one"]
    tried = {}
    for name, budget in budgets.items():
        upstream = {"endpoints": [f"127.0.0.1:{one.port}"], "retry_budget": budget}
        await world.serve(world.shop(routes=[_route("r", "/*", retries=retries)], upstreams={"one": upstream}))
        before = await world.counters("upstream_rq_retry")
        one.delay_s, one.answers = 0.1, [500] * 80
        answers = await asyncio.gather(*(world.get(f"/{n}") for n in range(20)))
        after = await world.counters("upstream_rq_retry")
        tried[name] = {key: after.get(key, 0) - before.get(key, 0) for key in after}
        assert {answer.status_code for answer in answers} <= {200, 500}
        one.answers = []
    assert sum(n for key, n in tried["large"].items() if key.endswith("upstream_rq_retry")) == 20
    small = sum(n for key, n in tried["small"].items() if key.endswith("upstream_rq_retry"))
    assert 1 <= small < 10
    assert sum(n for key, n in tried["small"].items() if key.endswith("retry_overflow")) == 20 - small


async def test_a_path_is_looked_at_after_it_was_made_plain(world: World) -> None:
    await world.serve(world.shop(routes=[_says("admin", "/admin/*"), _says("rest", "/*")]))
    client = world.client(follow_redirects=False)
    for path in ("/x/../admin/a", "//admin/a", "/%61dmin/a"):
        request = client.build_request("GET", "/", headers={"host": "shop.example"})
        request.url = request.url.copy_with(raw_path=path.encode())
        assert (await client.send(request)).text == "admin", path
    request.url = request.url.copy_with(raw_path=b"/admin%2Fa")
    assert (await client.send(request)).status_code == 307
