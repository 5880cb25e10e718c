"""What changed about routes, listeners and the rest, and what of it lets more requests through."""

from __future__ import annotations

import time

import pytest

from lastgood.config.change import Change
from lastgood.config.diff import diff, loosens

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
        (ADMIN, {**ADMIN, "websocket": True}, [("route admin: websocket default -> true", None)]),
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
def test_a_route_that_changed(old, new, expected, shop, mirrored):
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "guests", "fair", "page"]}
    assert mirrored(shop([old, keep], GUARDS), shop([new, keep], GUARDS)) == expected


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
def test_a_route_that_is_new_may_hide_a_protected_one(route, expected, shop, mirrored):
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "guests", "fair", "page"]}
    assert mirrored(shop([ADMIN, keep], GUARDS), shop([ADMIN, keep, route], GUARDS)) == expected


def test_a_protected_route_that_goes_uncovers_a_public_one(shop, mirrored):
    wild = _public("open", "/*", "*.example")
    expected = [
        ("route admin no longer takes requests from route open, which does not need office", "loosens"),
        ("route admin (a.example/admin/*) is gone", None),
    ]
    policies = {name: GUARDS[name] for name in ("office", "fair")}
    keep = {"name": "keep", "match": {"host": "keep.example"}, "use": ["office", "fair"]}
    assert mirrored(shop([ADMIN, wild, keep], policies), shop([wild, keep], policies)) == expected


def test_a_match_that_moves(shop, mirrored):
    def with_paths(**paths):
        routes = [ADMIN, _public("open", paths["open"])]
        return shop(routes, {name: GUARDS[name] for name in ("office", "fair")})

    assert mirrored(with_paths(open="/*"), with_paths(open="/admin/a/*")) == [
        ("route open takes requests from route admin, which needs office", "loosens"),
        ("route open is no longer public for requests it matched before", "tightens"),
        ("route open matches a.example/admin/a/* instead of a.example/*", None),
    ]
    assert mirrored(with_paths(open="/x"), with_paths(open="/x/*"))[0] == (
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
def test_a_listener_that_changed(old, new, expected, shop, mirrored):
    assert mirrored(shop(listeners={"web": old}), shop(listeners={"web": new})) == expected


def test_a_default_that_changed_is_told_of_every_route_it_protected(shop, mirrored):
    policies = {name: GUARDS[name] for name in ("office", "guests")}
    routes = [{"name": "plain"}, {"name": "own", "use": ["office"], "match": {"path": "/own"}}]
    old = shop(routes, policies, {"web": {"port": 1, "use": ["office", "guests"]}})
    new = shop(routes, policies, {"web": {"port": 1, "use": ["guests"]}})
    assert mirrored(old, new) == [
        ("route plain no longer has the policy office", "loosens"),
        ("listener web: default policies office, guests -> guests", None),
    ]


def test_a_listener_that_is_new_opens_every_route_without_listeners(shop, mirrored):
    old = shop([_public("r", "/")])
    new = shop([_public("r", "/")], listeners={"web": {"port": 8080}, "two": {"port": 2}})
    assert mirrored(old, new) == [("listener two is new", "loosens")]


def test_a_route_on_one_more_listener(shop, mirrored):
    listeners = {"web": {"port": 1}, "two": {"port": 2}}
    routes = [_public("r", "/") | {"listeners": ["web"]}], [_public("r", "/")]
    old, new = (shop(some, listeners=listeners) for some in routes)
    assert mirrored(old, new) == [("route r is now served on listener two", "loosens")]


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


def test_settings_are_told_one_by_one_as_they_are_written(shop):
    hook = {"command": ["./say", "hunter2"], "timeout": "5s"}
    service = {"source": "s", "command": ["x"], "health": {"path": "/up", "interval": "2s"}, "hooks": {"before": hook}}
    changed = {
        **service,
        "health": {"path": "/well", "interval": "2s", "timeout": "500ms"},
        "drain": "90s",
        "hooks": {"before": {**hook, "command": ["./say", "hunter3"]}},
        "strategy": {"canary": {}},
        "smoke": [{"path": "/", "timeout": "1s"}],
    }
    old, new = (shop(services={"s": one}, repository={"s": None}) for one in (service, changed))
    assert [change.text.removeprefix("service s: ") for change in diff(old, new)] == [
        "drain default -> 1m30s",
        "health.path /up -> /well",
        "health.timeout default -> 500ms",
        "hooks.before.command is different",
        "smoke default -> {path: /, timeout: 1s}",
        "strategy.canary default -> as by default",
    ]


def test_the_settings_of_a_route_are_told_one_by_one(shop, mirrored):
    route = {"name": "r", "match": {"path": "/a/*"}, "public": True}
    old, new = (
        shop([{**route, **more}])
        for more in ({}, {"retries": {"attempts": 2, "on": ["5xx", "reset"]}, "rewrite": {"prefix": "/"}})
    )
    assert mirrored(old, new) == [
        ("route r: retries.attempts default -> 2", None),
        ("route r: retries.on default -> 5xx, reset", None),
        ("route r: rewrite.prefix default -> /", None),
    ]


def test_the_first_release_loosens_nothing(shop):
    configuration = shop([_public("r", "/")])
    changes = diff(None, configuration)
    assert len(changes) == len(configuration.entries)
    assert not loosens(changes)


def test_loosening_is_shouted():
    assert str(Change("gateway", "changed", "route r", "route r is now public", "loosens")).endswith(": LOOSENS")
    assert str(Change("gateway", "changed", "route r", "route r: timeout", None)) == "route r: timeout"


def test_a_diff_of_many_routes_is_quick(shop):
    routes = [_public(f"r{n}", f"/p{n}/*") for n in range(1000)]
    old, new = shop(routes), shop([{**route, "to": "cat"} for route in routes])
    start = time.perf_counter()
    assert len(diff(old, new)) == 1000
    assert time.perf_counter() - start < 5
