"""Files together: merging, and doing only once what did not change."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest

from lastgood.config.configuration import changed_keys, make_entry, read_entry
from lastgood.config.load import Cache, load
from lastgood.config.parse import is_source
from lastgood.errors import ConfigError, Refused


def _route(number: int, **extra: str) -> str:
    lines = {"match": f"{{ host: h{number}.example, path: /a/* }}", "to": "legacy", "public": "true", **extra}
    return f"gateway:\n  routes:\n    - name: r{number}\n" + "".join(f"      {k}: {v}\n" for k, v in lines.items())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lastgood.yaml", True),
        ("lastgood.d/a.yaml", True),
        ("lastgood.d/a.yml", True),
        ("lastgood.d/sub/a.yaml", False),
        ("sub/lastgood.yaml", False),
        ("lastgood.d/a.txt", False),
        ("a.yaml", False),
    ],
)
def test_which_files_belong_to_the_configuration(path, expected):
    assert is_source(path) is expected


def test_files_are_read_as_if_they_were_one(read, good):
    plug = "gateway:\n  routes:\n    - { name: b, match: { path: /b }, to: second, use: office }\n"
    plug += "upstreams: { second: { endpoints: ['a:1'] } }\nbake: { for: 1h }\n"
    loaded = read({"lastgood.yaml": good, "lastgood.d/b.yaml": plug})
    joined = good.replace("upstreams:", plug.split("routes:\n")[1].split("upstreams")[0] + "upstreams:")
    joined += "  second: { endpoints: ['a:1'] }\nbake: { for: 1h }\n"
    assert loaded.configuration == read(joined).configuration
    assert loaded.configuration.entries["route:b"].file == "lastgood.d/b.yaml"
    assert loaded.configuration.entries["route:b"].line == 3


@pytest.mark.parametrize(
    ("plug", "what"),
    [
        (
            "upstreams: { legacy: { endpoints: ['a:1'] } }",
            "upstream legacy is defined twice, first in lastgood.yaml:14",
        ),
        ("upstreams: { legacy: wrong }", "upstream legacy is defined twice, first in lastgood.yaml:14"),
        ("services: { legacy: { source: s, command: [x] } }", "legacy is the name of a service and of an upstream"),
        ("gateway: { policies: { office: { ip: { allow: ['::1'] } } } }", "policy office is defined twice"),
        ("gateway: { listeners: { web: { port: 1 } } }", "listener web is defined twice"),
        ("gateway: { routes: [{ name: catalog, to: legacy, use: office }] }", "route catalog is defined twice"),
        ("project: shop", "project is stated twice, first in lastgood.yaml:1"),
        ("bake: { for: 1h }", "bake is stated twice, first in lastgood.yaml:15"),
        ("gateway: { release_header: true }", "gateway.release_header is stated twice"),
    ],
)
def test_a_name_in_two_files_is_refused_with_both_places(plug, what, problems, good):
    main = good + "bake: { for: 2h }\n"
    main = main.replace("gateway:\n", "gateway:\n  release_header: false\n") if "release_header" in plug else main
    found = problems({"lastgood.yaml": main, "lastgood.d/b.yaml": plug}, {"s": None})
    assert [problem.file for problem in found if what in problem.what] == ["lastgood.d/b.yaml"]


def test_the_same_route_twice_in_one_file(problems, good):
    text = good.replace("upstreams:", "    - { name: catalog, to: legacy, use: office }\nupstreams:")
    assert [p.what for p in problems(text)] == ["there are two routes catalog, the first in line 9"]


def test_layout_and_comments_do_not_count(read, good):
    other = "# a comment\n" + good.replace("{ port: 8080 }", "\n      port: 8080").replace(
        "shop.example", "Shop.Example"
    )
    assert read(other).configuration == read(good).configuration
    assert read(good.replace("8080", "8081")).configuration != read(good).configuration


def test_what_is_said_as_the_default_is_no_entry(read, good):
    text = good.replace("gateway:\n", "gateway:\n  release_header: false\n") + "bake: { for: 10m }\n"
    assert read(text).configuration == read(good).configuration


def test_every_entry_comes_back_from_its_bytes(read, good):
    for entry in read(good).configuration.entries.values():
        again = read_entry(entry.key, entry.content)
        assert again == entry
        assert make_entry(entry.key, again.value) == entry


def test_only_files_that_changed_are_read_and_entries_are_kept(source_file, good):
    reads: list[str] = []
    cache = Cache()

    def run(texts):
        files = [source_file(path, text.encode(), reads) for path, text in texts.items()]
        return load(files, lambda _: None, resolves=lambda _: True, cache=cache).configuration

    texts = {"lastgood.yaml": good, "lastgood.d/1.yaml": _route(1), "lastgood.d/2.yaml": _route(2)}
    first = run(texts)
    assert sorted(reads) == sorted(texts)
    reads.clear()
    second = run({**texts, "lastgood.d/2.yaml": _route(2, timeout="3s")})
    assert reads == ["lastgood.d/2.yaml"]
    assert second.entries["route:r1"] is first.entries["route:r1"]
    assert second.entries["route:r2"] != first.entries["route:r2"]


def test_a_file_that_cannot_be_read_is_a_problem_beside_the_others(source_file, good):
    def too_large():
        raise Refused("this file has 20,000,000 bytes; the limit is 16,777,216", next="split the file")

    large = replace(source_file("lastgood.d/large.yaml", b""), read=too_large)
    wrong = source_file("lastgood.d/wrong.yaml", b"gatewya: {}\n")
    with pytest.raises(ConfigError) as refused:
        load([source_file("lastgood.yaml", good.encode()), large, wrong], lambda _: None, resolves=lambda _: True)
    told = [str(problem) for problem in refused.value.problems]
    assert "lastgood.d/large.yaml: this file has 20,000,000 bytes; the limit is 16,777,216 (split the file)" in told
    assert any(one.startswith("lastgood.d/wrong.yaml:1") for one in told)


def test_what_differs_from_the_last_revision_is_known_and_right(source_file, good):
    cache = Cache()

    def run(texts):
        files = [source_file(path, text.encode()) for path, text in texts.items()]
        return load(files, lambda _: None, resolves=lambda _: True, cache=cache).configuration

    one = {"lastgood.yaml": good, "lastgood.d/1.yaml": _route(1), "lastgood.d/2.yaml": _route(2)}
    moved = {"lastgood.yaml": good, "lastgood.d/2.yaml": _route(2, timeout="3s"), "lastgood.d/3.yaml": _route(1)}
    history = [run(texts) for texts in (one, moved, {"lastgood.yaml": good}, one, one)]
    told = [(old, new) for old, new in pairwise(history) if new.since.configuration() is old]
    assert len(told) == 4
    for old, new in told:
        alone = [replace(configuration, since=None) for configuration in (old, new)]
        assert changed_keys(old, new) == changed_keys(*alone) == changed_keys(new, old)
    assert changed_keys(history[0], history[1]) == {"route:r2"}
    assert changed_keys(history[0], history[3]) == set()


def test_a_cache_never_changes_the_answer(source_file, good, problems):
    """A cached file is judged anew when what it refers to changes, and its lines move with it."""
    cache = Cache()
    plug = _route(1, public="false", use="[office]").replace("h1.example", "shop.example")
    versions = [
        {"lastgood.yaml": good, "lastgood.d/a.yaml": plug},
        {
            "lastgood.yaml": good.replace(
                "office: { ip: { allow: [10.0.0.0/8] } }", "office: { cors: { origins: '*' } }"
            )
        },
        {"lastgood.yaml": good.replace("office", "bureau"), "lastgood.d/a.yaml": plug},
        {"lastgood.yaml": good, "lastgood.d/a.yaml": plug.replace("/a/*", "/catalog/*")},
        {"lastgood.yaml": good, "lastgood.d/a.yaml": "\n\n" + plug.replace("/a/*", "/catalog/*")},
        {"lastgood.yaml": good.replace("legacy:", "modern:"), "lastgood.d/a.yaml": plug},
        {"lastgood.yaml": good, "lastgood.d/a.yaml": plug, "lastgood.d/b.yaml": "a: b: c"},
        {"lastgood.yaml": good, "lastgood.d/a.yaml": plug, "lastgood.d/b.yaml": plug},
    ]
    versions[1]["lastgood.d/a.yaml"] = plug
    for texts in [*versions, *reversed(versions), versions[2], versions[1]]:
        assert problems(texts, cache=cache) == problems(texts)


def test_a_cache_forgets_other_revisions(read, good):
    cache = Cache()
    for number in range(1100):
        read(good.replace("8080", str(1000 + number)), cache=cache)
    assert len(cache.fragments) < 1100


def test_one_more_of_a_thousand_files_costs_a_fraction_of_all(source_file, good):
    files = [source_file("lastgood.yaml", good.encode())]
    files += [source_file(f"lastgood.d/{n:04}.yaml", _route(n).encode()) for n in range(1001)]
    cache = Cache()

    def timed(some):
        start = time.perf_counter()
        load(some, lambda _: None, resolves=lambda _: True, cache=cache)
        return time.perf_counter() - start

    cold = timed(files[:-1])
    warm = min(timed(files), *(timed(files) for _ in range(4)))
    assert warm < cold / 8


def test_warnings_do_not_refuse_and_errors_count_alone(read, good):
    text = good.replace("use: [office, fair]", "use: [office]")
    assert [problem.severity for problem in read(text).warnings] == ["warning"]
    with pytest.raises(ConfigError) as caught:
        read(text + "x: 1\n")
    assert len(caught.value.problems) == 2
    assert "this problem" in caught.value.next
    assert "lastgood.yaml:7: warning: " in str(caught.value)
