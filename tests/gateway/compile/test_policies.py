"""Each policy on a real Envoy, on hosts found at once and on hosts found by the script."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.gateway.compile.envoy_world import World, configuration

from lastgood.errors import Refused, Unavailable
from lastgood.gateway.snapshot import EXTENSION

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
HOSTS = ("shop.example", "SHOP.example", "shop.example:81", "a.wild.example", "A.Wild.example:1", "unknown.example")
"""Hosts of which the first is found at once."""


def _jwks(key: Any) -> dict[str, Any]:
    return {"keys": [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {"alg": "ES256"}]}


def _token(key: Any = KEY, **claims: Any) -> str:
    return jwt.encode({"iss": "https://id", "aud": "shop", "exp": time.time() + 600} | claims, key, "ES256")


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _on_every_host(name: str, path: str, use: str | list[str] | None = None, **rest: Any) -> dict[str, Any]:
    match = {"path": path, "host": ["shop.example", "*.wild.example", "*"], **rest.pop("match", {})}
    action = {} if rest.keys() & {"to", "redirect", "respond"} else {"to": "one"}
    return {"name": name, "match": match, **({"use": use} if use else {"public": True}), **action, **rest}


async def _statuses(world: World, path: str, **headers: str) -> set[int]:
    return {(await world.get(path, host, **headers)).status_code for host in HOSTS}


async def test_tokens_are_verified_on_every_host(world: World) -> None:
    policy = {"jwt": {"issuer": "https://id", "audiences": ["shop"], "jwks": _jwks(KEY)}}
    routes = [
        _on_every_host("closed", "/closed/*", "customers"),
        _on_every_host("page", "/page", "customers", respond={"status": 200, "body": "x"}),
        _on_every_host("open", "/open"),
    ]
    await world.serve(world.shop(policies={"customers": policy}, routes=routes))
    assert await _statuses(world, "/open") == {200}
    assert await _statuses(world, "/closed/x") == {401}
    assert await _statuses(world, "/page") == {401}
    assert await _statuses(world, "/closed/x", **_bearer(_token())) == {200}
    assert await _statuses(world, "/closed/x", **_bearer(_token(OTHER_KEY))) == {401}
    for wrong in ({"iss": "https://else"}, {"aud": "blog"}, {"exp": time.time() - 90}):
        assert (await world.get("/closed/x", **_bearer(_token(**wrong)))).status_code in (401, 403), wrong
    assert (await world.get("/closed/x", **_bearer(_token(exp=time.time() - 20)))).status_code == 200  # clock skew
    assert (await world.get(f"/closed/x?access_token={_token()}")).status_code == 401


async def test_claims_must_have_one_of_the_values_and_are_forwarded_unforgeably(world: World) -> None:
    needed = {"role": ["admin", "editor"], "level": "3", "vip": "true"}
    base = {"issuer": "https://id", "jwks": "repo:keys/jwks.json", "header": "x-token"}
    policies = {"staff": {"jwt": {**base, "claims": needed, "forward": {"sub": "X-User"}}}}
    routes = [_on_every_host("staff", "/staff", "staff"), _on_every_host("open", "/open")]
    files = {"keys/jwks.json": json.dumps(_jwks(KEY))}
    await world.serve(world.shop(policies=policies, routes=routes, files=files))
    good = {"role": ["viewer", "editor"], "level": 3, "vip": True, "sub": "ann"}
    for host in HOSTS:
        answer = await world.get("/staff", host, x_token=_token(**good), x_user="root")
        assert (answer.status_code, answer.json()["headers"]["x-user"]) == (200, "ann")
        assert (await world.get("/staff", host, x_token=_token(**good | {"role": "viewer"}))).status_code == 403
        assert "x-user" not in (await world.get("/open", host, x_user="root")).json()["headers"]
    assert (await world.get("/staff", x_token=_token(**good | {"role": "admin"}))).status_code == 200
    for lacking in ("role", "level", "vip"):
        claims = {name: value for name, value in good.items() if name != lacking}
        assert (await world.get("/staff", x_token=_token(**claims))).status_code == 403, lacking
    assert "x-user" not in (await world.get("/staff", x_token=_token(**good | {"sub": None}), x_user="root")).text


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_api_keys_name_the_client_and_are_hidden(world: World, place: str) -> None:
    world.secrets = {"secret:acme_key": "sesame", "secret:bolt_key": "open"}
    policy = {place: "x-api-key", "clients": {"acme": "secret:acme_key", "bolt": "secret:bolt_key"}}
    await world.serve(
        world.shop(
            policies={"partners": {"api_key": policy}},
            routes=[_on_every_host("closed", "/closed", "partners"), _on_every_host("open", "/open")],
        )
    )

    def given(key: str) -> tuple[str, dict[str, str]]:
        if place == "query":
            return f"/closed?a=1&x-api-key={key}&b=2", {}
        return "/closed", {"x-api-key": key} if place == "header" else {"cookie": f"x-api-key={key}"}

    assert await _statuses(world, "/open") == {200}
    assert await _statuses(world, "/closed") == {401}
    path, headers = given("wrong")
    assert await _statuses(world, path, **headers) == {401}
    for key, client in (("sesame", "acme"), ("open", "bolt")):
        path, headers = given(key)
        answer = await world.get(path, HOSTS[4], **headers, x_lastgood_client="root")
        assert (answer.status_code, answer.json()["headers"]["x-lastgood-client"]) == (200, client)
        assert key not in json.dumps([answer.json()["headers"], answer.json()["path"]])
    assert "x-lastgood-client" not in (await world.get("/open", x_lastgood_client="root")).json()["headers"]


async def test_a_revoked_key_is_refused_on_an_open_connection(world: World) -> None:
    shop = world.shop(
        policies={"partners": {"api_key": {"header": "x-api-key", "clients": {"acme": "secret:k"}, "hide": False}}},
        routes=[_on_every_host("closed", "/closed", "partners")],
    )
    world.secrets = {"secret:k": "old"}
    await world.serve(shop)
    client = world.client()
    asked = {"host": "shop.example", "x-api-key": "old"}
    answer = await client.get("/closed", headers=asked)
    assert answer.json()["headers"]["x-api-key"] == "old"
    world.secrets = {"secret:k": "new"}
    await world.serve(shop)
    assert [names for _, names in world.ads.pushed] == [("lastgood.keys",)]
    assert (await client.get("/closed", headers=asked)).status_code == 401
    assert (await client.get("/closed", headers=asked | {"x-api-key": "new"})).status_code == 200


async def test_keys_without_a_value_or_twice_the_same_are_refused_and_not_shown(world: World) -> None:
    clients = {"acme": "secret:a", "bolt": "secret:b"}
    shop = world.shop(policies={"p": {"api_key": {"header": "k", "clients": clients}}})
    with pytest.raises(Unavailable, match="acme"):
        await world.serve(shop)
    world.secrets = {"secret:a": "hush", "secret:b": "hush"}
    with pytest.raises(Refused, match="acme and bolt") as caught:
        await world.serve(shop)
    assert "hush" not in str(caught.value)


async def test_addresses_denied_first_then_only_those_allowed(world: World) -> None:
    policies = {
        "loopback": {"ip": {"allow": ["127.0.0.0/8", "::1"]}},
        "elsewhere": {"ip": {"allow": ["10.0.0.0/8"]}},
        "not-us": {"ip": {"deny": ["127.0.0.1"]}},
        "both": {"ip": {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1/32"]}},
        "others": {"ip": {"deny": ["10.0.0.0/8"]}},
    }
    routes = [_on_every_host(name, f"/{name}", name) for name in policies]
    routes.append(_on_every_host("two", "/two", ["loopback", "not-us"]))
    await world.serve(world.shop(policies=policies, routes=routes))
    expected = {"loopback": 200, "elsewhere": 403, "not-us": 403, "both": 403, "others": 200, "two": 403}
    for name, status in expected.items():
        assert await _statuses(world, f"/{name}", x_forwarded_for="10.1.1.1") == {status}, name


async def test_cors_answers_preflights_before_security_and_marks_answers(world: World) -> None:
    site = {"origins": ["https://shop.example"], "credentials": True, "headers": ["x-a"], "methods": ["GET", "POST"]}
    policies = {
        "site": {"cors": site | {"expose": ["x-b"], "max_age": "1m"}},
        "all": {"cors": {"origins": ["*"]}},
        "office": {"ip": {"allow": ["10.0.0.0/8"]}},
    }
    await world.serve(
        world.shop(
            policies=policies,
            routes=[
                _on_every_host("api", "/api", ["site"], match={"methods": ["POST"]}),
                _on_every_host("shut", "/shut", ["site", "office"], match={"headers": {"x-a": "1"}}),
                _on_every_host("everybody", "/all", ["all"]),
            ],
        )
    )
    asks = {"origin": "https://shop.example", "access_control_request_method": "POST"}
    for host in HOSTS:
        for path in ("/api", "/shut"):
            answer = await world.get(path, host, "OPTIONS", **asks)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, asks["origin"])
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["access-control-max-age"] == "60"
    wrong = await world.get("/api", method="OPTIONS", **asks | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in wrong.headers
    other_method = await world.get("/api", method="OPTIONS", **asks | {"access_control_request_method": "PUT"})
    assert other_method.status_code == 404
    assert (await world.get("/shut", x_a="1", origin="https://shop.example")).status_code == 403
    answer = await world.get("/api", method="POST", origin="https://shop.example")
    assert (answer.status_code, answer.headers["access-control-expose-headers"]) == (200, "x-b")
    assert (await world.get("/all", origin="https://x")).headers["access-control-allow-origin"] in ("*", "https://x")


async def test_a_policy_that_closes_binds_the_next_request_of_an_open_connection(world: World) -> None:
    policies = {
        "office": {"ip": {"allow": ["10.0.0.0/8"]}},
        "customers": {"jwt": {"issuer": "https://id", "jwks": _jwks(KEY)}},
        "partners": {"api_key": {"header": "x-api-key", "clients": {"acme": "secret:k"}}},
    }
    world.secrets = {"secret:k": "sesame"}
    await world.serve(world.shop(routes=[_on_every_host("r", "/r")]))
    client = world.client()
    for host in ("shop.example", "SHOP.example"):
        assert (await client.get("/r", headers={"host": host})).status_code == 200
    for name, status in (("office", 403), ("customers", 401), ("partners", 401)):
        await world.serve(world.shop(policies={name: policies[name]}, routes=[_on_every_host("r", "/r", name)]))
        for host in ("shop.example", "SHOP.example"):
            assert (await client.get("/r", headers={"host": host})).status_code == status
        await world.serve(world.shop(routes=[_on_every_host("r", "/r")]))
        assert (await client.get("/r", headers={"host": "shop.example"})).status_code == 200
    assert (await world.counters("web.downstream_cx_total"))[
        "http.web.downstream_cx_total"
    ] == 2  # ours, and the one that waited


async def test_two_policies_that_one_route_cannot_have_are_refused(world: World) -> None:
    keys = {"api_key": {"header": "k", "clients": {"acme": "secret:k"}}}
    shop = configuration(
        listeners={"web": {"port": 80}},
        policies={"a": keys, "b": keys},
        routes=[{"name": "r", "to": "u", "use": ["a", "b"]}],
        upstreams={"u": {"endpoints": ["127.0.0.1:1"]}},
    )
    with pytest.raises(Refused, match="two api_key policies"):
        world.compile_only(shop)


async def test_the_listeners_policies_hold_where_a_route_names_none(world: World) -> None:
    listeners = {"web": {"port": world.port, "use": ["office"]}}
    policies = {"office": {"ip": {"allow": ["10.0.0.0/8"]}}, "us": {"ip": {"allow": ["127.0.0.1"]}}}
    routes = [{"name": "default", "to": "one", "match": {"path": "/d"}}, _on_every_host("own", "/own", "us")]
    await world.serve(world.shop(listeners=listeners, policies=policies, routes=routes))
    assert await _statuses(world, "/d") == {403}
    assert await _statuses(world, "/own") == {200}


async def test_filters_that_do_not_know_a_routes_policy_refuse(world: World) -> None:
    """What a wrong order of pushes, or a half of a snapshot, leads to: closed, never open."""
    world.secrets = {"secret:k": "sesame"}
    policies = {
        "customers": {"jwt": {"issuer": "https://id", "jwks": _jwks(KEY)}},
        "partners": {"api_key": {"header": "x-api-key", "clients": {"acme": "secret:k"}}},
    }
    routes = [_on_every_host("token", "/token", "customers"), _on_every_host("key", "/key", "partners")]
    whole = await world.serve(world.shop(policies=policies, routes=routes))
    bare = world.compile_only(world.shop()).resources[EXTENSION]
    await world.ads.push(replace(whole, resources={**whole.resources, EXTENSION: bare}))
    asked = {**_bearer(_token()), "x-api-key": "sesame"}
    assert await _statuses(world, "/token", **asked) <= {401, 403}
    assert await _statuses(world, "/key", **asked) == {403}
    await world.ads.push(whole)
    assert await _statuses(world, "/token", **asked) == {200}
    assert await _statuses(world, "/key", **asked) == {200}
