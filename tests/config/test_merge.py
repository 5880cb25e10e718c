"""From one revision to the next only what changed is gone through: the answer is the one that all files give."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.config.configuration import changed_keys
from lastgood.config.load import Cache, load
from lastgood.errors import ConfigError

_MAIN = """\
project: shop
gateway:
  listeners:
    web: { port: 8080 }
  policies:
    office: { ip: { allow: [10.0.0.0/8] } }
    fair: { rate_limit: { requests: 100, per: minute } }
upstreams:
  legacy: { endpoints: ["127.0.0.1:9001"] }
"""
_MAINS = [
    _MAIN,
    "\n" + _MAIN,
    _MAIN.replace("legacy:", "modern:"),
    _MAIN.replace("    web: { port: 8080 }", "    {}"),
    _MAIN.replace("    fair: { rate_limit: { requests: 100, per: minute } }\n", ""),
    None,
]


def _routes(*routes: tuple[str, str, str]) -> str:
    lines = [
        f"    - {{ name: {name}, match: {{ host: {host}, path: /{name[0]}/* }}, {how} }}" for name, host, how in routes
    ]
    return "gateway:\n  routes:\n" + "\n".join(lines) + "\n"


_OPEN, _USED = "to: legacy, public: true", "to: legacy, use: [office, fair]"
_GOOD = [
    None,
    _routes(("x", "x.example", _OPEN)),
    "\n\n" + _routes(("x", "x.example", _OPEN)),
    _routes(("x", "x.example", _USED), ("y", "[x.example, y.example]", _OPEN)),
    _routes(("z", "y.example", _OPEN), ("w", "w.example", _USED)),
    _routes(("v", "[y.example, x.example]", _OPEN)),
    _routes(("u", "x.example", _OPEN)),
]
_OTHERS = [
    _routes(("yet", "[y.example, x.example]", _OPEN)),
    _routes(("z", "y.example", "to: nowhere, public: true")),
    _routes(("v", "v.example", "to: legacy, use: [gone]")),
    "upstreams: { modern: { endpoints: ['127.0.0.1:9002'] } }\n",
    _routes(("u", "u.example", _OPEN)) + "bake: { for: 1h }\n",
    "gateway: [",
    "",
]
_PATHS = ("lastgood.yaml", "lastgood.d/1.yaml", "lastgood.d/2.yaml", "lastgood.d/3.yaml")
_REVISIONS = st.lists(
    st.tuples(
        st.sampled_from([*[_MAIN] * 18, *_MAINS]),
        *(st.sampled_from([*_GOOD * 6, *_OTHERS]) for _ in range(3)),
    ),
    min_size=2,
    max_size=8,
)


def _outcome(files, cache):
    try:
        loaded = load(files, lambda _: None, resolves=lambda _: True, cache=cache)
    except ConfigError as error:
        return error.problems
    made = loaded.configuration
    orders = {host: [entry.key for entry in entries] for host, entries in made.on_host.items()}
    return made.project, made.entries, orders, loaded.warnings


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_REVISIONS)
def test_whatever_came_before_the_answer_is_the_same(source_file, revisions):
    cache = Cache()
    kept = {}
    for texts in revisions:
        named = dict(zip(_PATHS, texts, strict=True))
        files = [
            kept.setdefault((path, text), source_file(path, text.encode()))
            for path, text in named.items()
            if text is not None
        ]
        before = cache.newest.configuration if cache.newest else None
        assert _outcome(files, cache) == _outcome(files, Cache())
        after = cache.newest.configuration if cache.newest else None
        if before is not None and after is not before:
            alone = [replace(configuration, since=None) for configuration in (before, after)]
            assert after.since.configuration() is before
            assert changed_keys(before, after) == changed_keys(*alone)


def test_a_change_of_routes_goes_through_no_other_file(source_file):
    """Files that did not change are not even looked into: what nobody may ask would raise."""

    class Untouchable(dict):
        def _no(self, *args):
            raise AssertionError("this file did not change")

        items = keys = values = __iter__ = _no

    cache = Cache()
    files = [source_file("lastgood.yaml", _MAIN.encode())]
    files += [source_file(f"lastgood.d/{n}.yaml", _routes((f"r{n}", f"h{n}.example", _USED)).encode()) for n in "1234"]
    load(files, lambda _: None, resolves=lambda _: True, cache=cache)
    for path, fragment in cache.newest.merge.fragments.items():
        if path in ("lastgood.d/1.yaml", "lastgood.d/2.yaml"):
            object.__setattr__(fragment, "hosts", Untouchable(fragment.hosts))
            object.__setattr__(fragment, "entries", Untouchable(fragment.entries))
    changed = source_file("lastgood.d/3.yaml", _routes(("r3", "other.example", _OPEN)).encode())
    loaded = load([*files[:3], changed], lambda _: None, resolves=lambda _: True, cache=cache)
    assert loaded.configuration.since.changed == {"route:r3", "route:r4"}
    assert sorted(loaded.configuration.on_host) == ["h1.example", "h2.example", "other.example"]
