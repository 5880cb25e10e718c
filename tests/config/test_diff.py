"""What changed, in the user's words, and what of it lets more requests through."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.config.change import Change
from lastgood.config.diff import diff, loosens

JWT = {"issuer": "i", "audiences": ["shop", "web"], "jwks": "repo:k.json", "claims": {"scope": ["read"]}}
KEY = {"kty": "OKP", "crv": "Ed25519", "x": "abc", "kid": "one"}
OTHER = {"kty": "OKP", "crv": "Ed25519", "x": "xyz", "kid": "two"}
FLIP = {"loosens": "tightens", "tightens": "loosens", None: None}


def _keys(*keys) -> dict[str, bytes]:
    return {"k.json": json.dumps({"keys": list(keys)}).encode()}


def _effects(changes: tuple[Change, ...]) -> list[tuple[str, str | None]]:
    return [(change.text, change.effect) for change in changes]


def _mirrored(old, new) -> list[tuple[str, str | None]]:
    """The difference; and the difference back has the opposite effects on the same subjects."""
    forth, back = diff(old, new), diff(new, old)
    assert Counter((c.subject, c.effect) for c in forth if c.effect) == Counter(
        (c.subject, FLIP[c.effect]) for c in back if c.effect
    )
    assert bool(forth) == bool(back) == (old != new)
    assert loosens(forth) == any(change.effect == "loosens" for change in forth)
    return _effects(forth)


# --- policies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            {"rate_limit": {"requests": 100, "per": "minute"}},
            {"rate_limit": {"requests": 1000, "per": "minute"}},
            [("limit p raised from 100 to 1000 per minute", "loosens")],
        ),
        (
            {"rate_limit": {"requests": 100, "per": "minute", "burst": 5}},
            {"rate_limit": {"requests": 100, "per": "hour", "burst": 5}},
            [("limit p lowered from 100 per minute to 100 per hour", "tightens")],
        ),
        (
            {"rate_limit": {"requests": 1, "per": "second"}},
            {"rate_limit": {"requests": 60, "per": "minute"}},
            [
                ("limit p: burst raised from 1 to 60 requests", "loosens"),
                ("limit p is now 60 per minute instead of 1 per second, which is the same rate", None),
            ],
        ),
        (
            {"rate_limit": {"requests": 1, "per": "second"}},
            {"rate_limit": {"requests": 1, "per": "second", "key": "client_ip"}},
            [("limit p is now counted by client_ip, no longer by all", "loosens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "audiences": ["shop"]}},
            [("policy p: audience web removed", "tightens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "audiences": []}},
            [("policy p: audience is no longer required", "loosens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "issuer": "j"}},
            [
                ("policy p: tokens of issuer j are accepted", "loosens"),
                ("policy p: tokens of issuer i are no longer accepted", "tightens"),
            ],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "claims": {"scope": ["read", "all"]}}},
            [("policy p: claim scope all added", "loosens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "claims": {}}},
            [("policy p: claim scope is no longer required", "loosens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "clock_skew": "2m"}},
            [("policy p: tokens count as valid 2m beyond their time instead of 1m", "loosens")],
        ),
        (
            {"jwt": JWT},
            {"jwt": {**JWT, "header": "x-token"}},
            [("policy p: the token is read from x-token instead of Authorization", None)],
        ),
        (
            {"api_key": {"header": "x", "clients": {"a": "secret:a"}}},
            {"api_key": {"header": "x", "clients": {"a": "secret:a", "b": "secret:b"}}},
            [("policy p: client b added", "loosens")],
        ),
        (
            {"api_key": {"header": "x", "clients": {"a": "secret:a"}}},
            {"api_key": {"header": "x", "clients": {"a": "secret:b"}}},
            [
                ("policy p: client a may come with secret:b", "loosens"),
                ("policy p: client a may no longer come with secret:a", "tightens"),
            ],
        ),
        (
            {"ip": {"allow": ["10.0.0.0/8"]}},
            {"ip": {"allow": ["10.0.0.0/8", "192.168.0.0/16", "10.1.0.0/16"]}},
            [("policy p: allowed network 192.168.0.0/16 added", "loosens")],
        ),
        (
            {"ip": {"allow": ["10.0.0.0/9", "10.128.0.0/9"]}},
            {"ip": {"allow": ["10.0.0.0/8"]}},
            [("policy p is written differently and means the same", None)],
        ),
        (
            {"ip": {"allow": ["10.0.0.0/8"], "deny": ["10.1.0.0/16"]}},
            {"ip": {"allow": ["10.0.0.0/8"]}},
            [("policy p: denied network 10.1.0.0/16 removed", "loosens")],
        ),
        (
            {"ip": {"allow": ["10.0.0.0/8"]}},
            {"ip": {"deny": ["1.1.1.1"]}},
            [
                ("policy p: every address is allowed, no longer only 10.0.0.0/8", "loosens"),
                ("policy p: denied network 1.1.1.1/32 added", "tightens"),
            ],
        ),
        (
            {"ip": {"allow": ["10.0.0.0/8"]}},
            {"rate_limit": {"requests": 1, "per": "second"}},
            [("policy p is no longer a check of addresses", "loosens"), ("policy p is now a limit", "tightens")],
        ),
        (
            {"cors": {"origins": ["https://a"]}},
            {"cors": {"origins": ["https://a", "https://b"], "credentials": True}},
            [("policy p: origin https://b added", "loosens"), ("policy p: pages may send credentials", "loosens")],
        ),
    ],
)
def test_a_policy_that_changed(old, new, expected, shop):
    routes = [{"name": "r", "use": ["p", "guard"]}]
    guard = {"ip": {"deny": ["1.2.3.4"]}}
    before, after = (shop(routes, {"p": policy, "guard": guard}, repository=_keys(KEY)) for policy in (old, new))
    assert _mirrored(before, after) == expected


def test_a_key_set_in_a_file_that_changed_though_no_policy_did(shop):
    routes, policies = [{"name": "r", "use": "p"}], {"p": {"jwt": JWT}}
    old, new, swapped = (
        shop(routes, policies, repository=_keys(*keys)) for keys in ([KEY], [KEY, OTHER], [{**KEY, "x": "abd"}])
    )
    first, second = _mirrored(old, new)
    assert first[0].startswith("policy p: key two (OKP")
    assert (first[1], second[0]) == ("loosens", "file k.json has another content")
    assert {effect for _, effect in _mirrored(old, swapped)} == {"loosens", "tightens", None}


def test_a_policy_that_nobody_uses_changes_nothing(shop):
    unused = {"p": {"ip": {"allow": ["10.0.0.0/8"]}}}
    assert _mirrored(shop([], unused), shop()) == [("policy p is gone", None)]


# --- routes ----------------------------------------------------------------------------------------------------------

GUARDS = {
    "office": {"ip": {"allow": ["10.0.0.0/8"]}},
    "guests": {"ip": {"deny": ["1.2.3.4"]}},
    "fair": {"rate_limit": {"requests": 1, "per": "second"}},
    "page": {"cors": {"origins": ["*"]}},
}
ADMIN = {"name": "admin", "match": {"host": "a.example", "path": "/admin/*"}, "use": ["office", "fair"]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ADMIN, {**ADMIN, "to": "cat"}, [("route admin: target legacy -> cat", None)]),
        (
            ADMIN,
            {**ADMIN, "to": [{"to": "legacy", "weight": 9}, {"to": "cat", "weight": 1}]},
            [("route admin: target legacy -> legacy (9), cat (1)", None)],
        ),
        (
            ADMIN,
            {**ADMIN, "public": True, "use": ["fair"]},
            [("route admin is now public", "loosens"), ("route admin no longer has the policy office", "loosens")],
        ),
        (ADMIN, {**ADMIN, "use": "office"}, [("route admin no longer has the policy fair", "loosens")]),
        (ADMIN, {**ADMIN, "use": ["office", "fair", "page"]}, [("route admin now has the policy page", "loosens")]),
        (
            ADMIN,
            {**ADMIN, "use": ["guests", "fair"]},
            [
                ("route admin no longer has the policy office", "loosens"),
                ("route admin now has the policy guests", "tightens"),
            ],
        ),
        (ADMIN, {**ADMIN, "timeout": "5s"}, [("route admin: timeout 15s -> 5s", None)]),
        (ADMIN, {**ADMIN, "idle_timeout": "5s"}, [("route admin: idle_timeout default -> 5s", None)]),
        (ADMIN, {**ADMIN, "websocket": True}, [("route admin: websocket none -> true", None)]),
        (
            ADMIN,
            {**ADMIN, "headers": {"request": {"set": {"authorization": "hunter2"}}}},
            [("route admin: header changes are different", None)],
        ),
        (
            ADMIN,
            {**ADMIN, "use": ["fair", "office"]},
            [("route admin is written differently and means the same", None)],
        ),
    ],
)
def test_a_route_that_changed(old, new, expected, shop):
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "guests", "fair", "page"]}
    assert _mirrored(shop([old, keep], GUARDS), shop([new, keep], GUARDS)) == expected


def _public(name: str, path: str, host: str = "a.example") -> dict:
    return {"name": name, "match": {"host": host, "path": path}, "public": True, "use": []}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (
            _public("new", "/admin/help"),
            [
                ("route new (a.example/admin/help) is new and public", "loosens"),
                ("route new takes requests from route admin, which needs office", "loosens"),
            ],
        ),
        (
            {**ADMIN, "name": "new", "match": {"host": "a.example", "path": "/{any}/*"}, "use": "guests"},
            [("route new (a.example/{any}/*) is new", None)],
        ),
        (
            {**ADMIN, "name": "new", "match": {"host": "a.example", "path": "/admin/x"}, "use": "guests"},
            [
                ("route new takes requests from route admin, which needs office", "loosens"),
                ("route new takes requests from route admin, which does not need guests", "tightens"),
                ("route new (a.example/admin/x) is new", None),
            ],
        ),
        (
            {**ADMIN, "name": "new", "match": {"host": "a.example", "path": "/admin/x"}},
            [("route new (a.example/admin/x) is new", None)],
        ),
        (
            {**ADMIN, "name": "new", "match": {"host": "a.example", "path": "/admin/x", "methods": ["GET"]}, "use": []}
            | {"public": True},
            [
                ("route new (GET a.example/admin/x) is new and public", "loosens"),
                ("route new takes requests from route admin, which needs office", "loosens"),
            ],
        ),
    ],
)
def test_a_route_that_is_new_may_hide_a_protected_one(route, expected, shop):
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "guests", "fair", "page"]}
    assert _mirrored(shop([ADMIN, keep], GUARDS), shop([ADMIN, keep, route], GUARDS)) == expected


def test_a_protected_route_that_goes_uncovers_a_public_one(shop):
    wild = _public("open", "/*", "*.example")
    expected = [
        ("route admin no longer takes requests from route open, which does not need office", "loosens"),
        ("route admin (a.example/admin/*) is gone", None),
    ]
    policies = {name: GUARDS[name] for name in ("office", "fair")}
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "fair"]}
    assert _mirrored(shop([ADMIN, wild, keep], policies), shop([wild, keep], policies)) == expected


def test_a_match_that_moves(shop):
    def with_paths(**paths):
        routes = [ADMIN, _public("open", paths["open"])]
        return shop(routes, {name: GUARDS[name] for name in ("office", "fair")})

    assert _mirrored(with_paths(open="/*"), with_paths(open="/admin/a/*")) == [
        ("route open takes requests from route admin, which needs office", "loosens"),
        ("route open is no longer public for requests it matched before", "tightens"),
        ("route open matches a.example/admin/a/* instead of a.example/*", None),
    ]
    assert _mirrored(with_paths(open="/x"), with_paths(open="/x/*"))[0] == (
        "route open is public for requests it did not match before",
        "loosens",
    )


# --- listeners and the rest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"port": 1}, {"port": 2}, [("listener web: port 1 -> 2", None)]),
        (
            {"port": 1, "tls": {"cert": "/c", "key": "file:/k"}},
            {"port": 1},
            [("listener web no longer speaks TLS", "loosens")],
        ),
        (
            {"port": 1},
            {"port": 1, "address": "0.0.0.0"},
            [
                ("listener web is reachable from farther away", "loosens"),
                ("listener web: address default -> 0.0.0.0", None),
            ],
        ),
    ],
)
def test_a_listener_that_changed(old, new, expected, shop):
    assert _mirrored(shop(listeners={"web": old}), shop(listeners={"web": new})) == expected


def test_a_default_that_changed_is_told_of_every_route_it_protected(shop):
    policies = {name: GUARDS[name] for name in ("office", "guests")}
    routes = [{"name": "plain"}, {"name": "own", "use": ["office"], "match": {"path": "/own"}}]
    old = shop(routes, policies, {"web": {"port": 1, "use": ["office", "guests"]}})
    new = shop(routes, policies, {"web": {"port": 1, "use": ["guests"]}})
    assert _mirrored(old, new) == [
        ("route plain no longer has the policy office", "loosens"),
        ("listener web: default policies office, guests -> guests", None),
    ]


def test_a_listener_that_is_new_opens_every_route_without_listeners(shop):
    old = shop([_public("r", "/")])
    new = shop([_public("r", "/")], listeners={"web": {"port": 8080}, "two": {"port": 2}})
    assert _mirrored(old, new) == [("listener two is new", "loosens")]


def test_a_route_on_one_more_listener(shop):
    listeners = {"web": {"port": 1}, "two": {"port": 2}}
    routes = [_public("r", "/") | {"listeners": ["web"]}], [_public("r", "/")]
    old, new = (shop(some, listeners=listeners) for some in routes)
    assert _mirrored(old, new) == [("route r is now served on listener two", "loosens")]


def test_services_and_the_rest_are_told_without_their_environment(shop):
    service = {"source": "s", "command": ["x"], "instances": 1}
    old = shop(services={"s": service}, repository={"s": None})
    changed = {**service, "instances": 3, "environment": {"A": "hunter2"}}
    new = shop(services={"s": changed}, repository={"s": None}, bake={"for": "1h"}, project="till")
    changes = diff(old, new)
    assert [(change.part, change.text) for change in changes] == [
        ("bake", "bake is new"),
        ("project", "project shop is now called till"),
        ("service:s", "service s: environment is different"),
        ("service:s", "service s: instances default -> 3"),
    ]
    assert "hunter2" not in str(changes)


def test_the_first_release_loosens_nothing(shop):
    configuration = shop([_public("r", "/")])
    changes = diff(None, configuration)
    assert len(changes) == len(configuration.entries)
    assert not loosens(changes)


def test_loosening_is_shouted():
    assert str(Change("gateway", "changed", "route r", "route r is now public", "loosens")).endswith(": LOOSENS")
    assert str(Change("gateway", "changed", "route r", "route r: timeout", None)) == "route r: timeout"


# --- properties ------------------------------------------------------------------------------------------------------

_POLICIES = st.fixed_dictionaries(
    {
        "a": st.sampled_from([{"ip": {"allow": [n]}} for n in ("10.0.0.0/8", "10.0.0.0/9", "0.0.0.0/0")]),
        "b": st.builds(
            lambda clients, where: {
                "api_key": {where: "x", "clients": {c: f"secret:{c}{n}" for c, n in clients.items()}}
            },
            st.dictionaries(st.sampled_from("pqr"), st.sampled_from("12"), min_size=1),
            st.sampled_from(["header", "query"]),
        ),
        "l": st.builds(
            lambda requests, per, burst, key: {
                "rate_limit": {"requests": requests, "per": per, "burst": burst, "key": key}
            },
            st.integers(1, 5),
            st.sampled_from(["second", "minute", "60s", "1h"]),
            st.none() | st.integers(1, 5),
            st.sampled_from(["all", "client_ip", "header:x"]),
        ),
        "c": st.builds(
            lambda origins, credentials: {"cors": {"origins": sorted(origins), "credentials": credentials}},
            st.sets(st.sampled_from(["https://a", "https://b"]), min_size=1),
            st.booleans(),
        ),
        "j": st.builds(
            lambda audiences, claims, skew: {
                "jwt": {"issuer": "i", "audiences": sorted(audiences), "jwks": {"keys": [KEY]}, "claims": claims}
                | {"clock_skew": skew}
            },
            st.sets(st.sampled_from("xy")),
            st.dictionaries(st.sampled_from("st"), st.sampled_from([["1"], ["1", "2"]])),
            st.sampled_from(["0s", "1m"]),
        ),
    }
)
_USE = st.lists(st.sampled_from("abcjl"), unique=True, max_size=3)
_ROUTE = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["r1", "r2", "r3", "r4"]),
        "match": st.fixed_dictionaries(
            {
                "host": st.sampled_from(["a.x", "*.x", "*"]),
                "path": st.sampled_from(["/", "/*", "/a/*", "/a/b", "/a/{i}", "/{i}/b", "/{i}/*"]),
                "methods": st.sampled_from([[], ["GET"], ["GET", "POST"]]),
            }
        ),
        "use": _USE | st.none(),
        "public": st.booleans(),
        "listeners": st.sampled_from([[], ["web"], ["two"]]),
        "to": st.sampled_from(["legacy", "cat"]),
    }
)
_LISTENERS = st.fixed_dictionaries(
    {"web": st.builds(lambda port, use: {"port": port, "use": use}, st.integers(1, 2), _USE)},
    optional={"two": st.builds(lambda use: {"port": 9, "use": use}, _USE)},
)
_DATA = st.tuples(st.lists(_ROUTE, max_size=4, unique_by=lambda route: route["name"]), _POLICIES, _LISTENERS)


def _tamed(routes, policies, listeners):
    """The drawn data without what the checks would refuse, so that most of it loads."""
    taken, kept = set(), []
    for route in routes:
        served = [name for name in listeners if not route["listeners"] or name in route["listeners"]]
        guarded = [
            any(p in "abj" for p in (listeners[n]["use"] if route["use"] is None else route["use"])) for n in served
        ]
        path = route["match"]["path"].replace("{i}", "{}")
        place = (route["match"]["host"], path, len(route["match"]["methods"]))
        if place in taken or not served or len(set(guarded)) > 1:
            continue
        taken.add(place)
        kept.append({**route, "public": not guarded[0], "listeners": [n for n in route["listeners"] if n in listeners]})
    return kept, policies, listeners


@given(one=_DATA, two=_DATA, same_policies=st.booleans())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_way_back_mirrors_the_way_forth(one, two, same_policies, shop):
    if same_policies:
        two = (two[0], one[1], one[2])
    before, after = shop(*_tamed(*one)), shop(*_tamed(*two))
    assert diff(before, before) == ()
    _mirrored(before, after)


def test_a_diff_of_many_routes_is_quick(shop):
    routes = [_public(f"r{n}", f"/p{n}/*") for n in range(1000)]
    old, new = shop(routes), shop([{**route, "to": "cat"} for route in routes])
    start = time.perf_counter()
    assert len(diff(old, new)) == 1000
    assert time.perf_counter() - start < 5
