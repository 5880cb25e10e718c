"""Which route wins."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.config.model import Match, Route
from lastgood.config.order import covers, host_covers, overlaps, parse_path, precedence

SEGMENTS = st.sampled_from(["a", "b", "{x}", "{y}"])
PATHS = st.builds(
    lambda segments, tail: (
        "/" + "/".join(dict.fromkeys(segments)) + ("/*" if tail and segments else "*" if tail else "")
    ),
    st.lists(SEGMENTS, max_size=4),
    st.booleans(),
)
REQUESTS = [
    "/" + "/".join(parts) for parts in [[], ["a"], ["b"], ["a", "b"], ["a", "a"], ["c"], ["a", ""], ["b", "c", "d"]]
]
REQUESTS += ["/a/b/c", "/c/a/b/b", "/a/b/a/b", "/b/a", "/a/c/b", "//"]


def _route(name: str, path: str = "/*", **match) -> Route:
    return Route(name=name, to="x", public=True, match=Match(path=path, **match))


def _matches(path: str, request: str) -> bool:
    return re.fullmatch(parse_path(path).regex, request) is not None


@pytest.mark.parametrize(
    ("path", "kind", "fixed"),
    [
        ("/", "exact", "/"),
        ("/a/b", "exact", "/a/b"),
        ("/a/", "exact", "/a/"),
        ("/*", "prefix", "/"),
        ("/a/*", "prefix", "/a"),
        ("/users/{id}", "template", "/users"),
        ("/users/{id}/posts/*", "template", "/users"),
    ],
)
def test_shapes(path, kind, fixed):
    shape = parse_path(path)
    assert (shape.kind, shape.fixed) == (kind, fixed)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/a*", "only at the end"),
        ("/*/a", "only at the end"),
        ("/a/{id}x", "whole segment"),
        ("/a/{}", "whole segment"),
        ("/{a}/{a}", "twice"),
        ("/a//b", "empty"),
        ("//*", "empty"),
        ("/a/../b", "never arrives"),
        ("/a?b=1", "match.query"),
        ("/a b", "%XX"),
        ("/ä", "%XX"),
        ("/%zz", "%XX"),
    ],
)
def test_paths_that_are_none(path, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_path(path)


@pytest.mark.parametrize(
    ("path", "yes", "no"),
    [
        ("/a", ["/a"], ["/a/", "/ab", "/"]),
        ("/a/*", ["/a", "/a/", "/a/b/c"], ["/ab", "/"]),
        ("/*", ["/", "/a/b"], []),
        ("/u/{id}", ["/u/1"], ["/u", "/u/", "/u/1/2"]),
        ("/u/{id}/*", ["/u/1", "/u/1/2/3"], ["/u", "/u/"]),
    ],
)
def test_what_paths_match(path, yes, no):
    assert all(_matches(path, request) for request in yes)
    assert not any(_matches(path, request) for request in no)


@given(PATHS, PATHS)
def test_covers_and_overlaps_agree_with_what_matches(one, two):
    mine, theirs = parse_path(one), parse_path(two)
    both = [request for request in REQUESTS if _matches(one, request) and _matches(two, request)]
    if both:
        assert mine.overlaps(theirs)
        assert theirs.overlaps(mine)
    if mine.covers(theirs):
        assert all(_matches(one, request) for request in REQUESTS if _matches(two, request))
        assert mine == theirs or theirs.rank < mine.rank


def test_the_order_of_one_host():
    routes = [
        _route("exact", "/a/b/c"),
        _route("two-literals", "/a/b/{x}"),
        _route("left-literal", "/a/{x}/{y}"),
        _route("right-literal", "/{x}/b/{y}"),
        _route("tail-template", "/a/{x}/{y}/*"),
        _route("long", "/a/b/*"),
        _route("long-template", "/a/{x}/*"),
        _route("two", "/a/*", headers={"x": "1"}, methods=["GET"]),
        _route("exact-header", "/a/*", headers={"x": "1"}),
        _route("longer-prefix-header", "/a/*", headers={"x": {"prefix": "12"}}),
        _route("prefix-header", "/a/*", headers={"x": {"prefix": "1"}}),
        _route("has-header", "/a/*", headers={"x": {"present": True}}),
        _route("one-method", "/a/*", methods=["GET"]),
        _route("two-methods", "/a/*", methods=["GET", "HEAD"]),
        _route("plain", "/a/*"),
        _route("zero", "/*"),
    ]
    shuffled = random.Random(1).sample(routes, len(routes))
    names = [route.name for route in sorted(shuffled, key=lambda route: precedence(route, "h"))]
    assert names == [route.name for route in routes]


def test_the_more_specific_host_wins_over_any_path():
    hosts = ["shop.example", "*.a.example", "*.example", "*"]
    keys = [precedence(_route("r", "/*"), host) for host in hosts]
    assert keys == sorted(keys)
    assert precedence(_route("r", "/*"), "shop.example") < precedence(_route("r", "/exact"), "*")


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("*", "a.b", True),
        ("*.b", "a.b", True),
        ("*.b", "x.a.b", True),
        ("*.b", "b", False),
        ("*.b", "ab", False),
        ("*.b", "*.a.b", True),
        ("*.a.b", "*.b", False),
        ("a.b", "a.b", True),
        ("a.b", "*", False),
    ],
)
def test_hosts_inside_of_others(wide, narrow, expected):
    assert host_covers(wide, narrow) is expected


def test_conditions_that_imply_others():
    wide = Match(headers={"X": {"prefix": "a"}}, methods=["GET", "HEAD"])
    assert covers(wide, Match(headers={"x": "abc"}, methods=["GET"]))
    assert not covers(wide, Match(headers={"x": "bc"}, methods=["GET"]))
    assert not covers(wide, Match(headers={"x": "abc"}))
    assert not overlaps(wide, Match(methods=["POST"]))
    assert covers(Match(query={"q": {"present": True}}), Match(query={"q": {"regex": "a+"}}))
    assert not covers(Match(query={"q": {"present": True}}), Match(query={"q": {"present": False}}))
