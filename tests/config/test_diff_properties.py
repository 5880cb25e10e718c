"""The way back mirrors the way forth, for any two configurations."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.config.diff import diff

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "abc", "kid": "one"}
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
def test_the_way_back_mirrors_the_way_forth(one, two, same_policies, shop, mirrored):
    if same_policies:
        two = (two[0], one[1], one[2])
    before, after = shop(*_tamed(*one)), shop(*_tamed(*two))
    assert diff(before, before) == ()
    mirrored(before, after)
