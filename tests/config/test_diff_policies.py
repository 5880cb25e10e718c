"""What changed inside of policies, in the user's words, and what of it lets more requests through."""

from __future__ import annotations

import json

import pytest

JWT = {"issuer": "i", "audiences": ["shop", "web"], "jwks": "repo:k.json", "claims": {"scope": ["read"]}}
KEY = {"kty": "OKP", "crv": "Ed25519", "x": "abc", "kid": "one"}
OTHER = {"kty": "OKP", "crv": "Ed25519", "x": "xyz", "kid": "two"}


def _keys(*keys) -> dict[str, bytes]:
    return {"k.json": json.dumps({"keys": list(keys)}).encode()}


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
            {"ip": {"allow": ["10.0.0.0/8"]}},
            {"ip": {"allow": ["10.0.0.0/8", "11.0.0.0/8"]}},
            [("policy p: allowed network 11.0.0.0/8 added", "loosens")],
        ),
        (
            {"ip": {"deny": ["10.0.0.0/8", "11.0.0.0/8"]}},
            {"ip": {"deny": ["10.0.0.0/8"]}},
            [("policy p: denied network 11.0.0.0/8 removed", "loosens")],
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
def test_a_policy_that_changed(old, new, expected, shop, mirrored):
    routes = [{"name": "r", "use": ["p", "guard"]}]
    guard = {"ip": {"deny": ["1.2.3.4"]}}
    before, after = (shop(routes, {"p": policy, "guard": guard}, repository=_keys(KEY)) for policy in (old, new))
    assert mirrored(before, after) == expected


def test_a_key_set_in_a_file_that_changed_though_no_policy_did(shop, mirrored):
    routes, policies = [{"name": "r", "use": "p"}], {"p": {"jwt": JWT}}
    old, new, swapped = (
        shop(routes, policies, repository=_keys(*keys)) for keys in ([KEY], [KEY, OTHER], [{**KEY, "x": "abd"}])
    )
    first, second = mirrored(old, new)
    assert first[0].startswith("policy p: key two (OKP")
    assert (first[1], second[0]) == ("loosens", "file k.json has another content")
    assert {effect for _, effect in mirrored(old, swapped)} == {"loosens", "tightens", None}


def test_a_policy_that_nobody_uses_changes_nothing(shop, mirrored):
    unused = {"p": {"ip": {"allow": ["10.0.0.0/8"]}}}
    assert mirrored(shop([], unused), shop()) == [("policy p is gone", None)]
