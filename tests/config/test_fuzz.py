"""Whatever is in the files: a configuration or problems, soon, and nothing else."""

from __future__ import annotations

import time

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.config.configuration import Configuration, canonical, read_entry
from lastgood.config.diff import diff
from lastgood.config.load import load
from lastgood.config.model import Root
from lastgood.errors import ConfigError

SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = [
    "project",
    "gateway",
    "listeners",
    "policies",
    "routes",
    "upstreams",
    "services",
    "functions",
    "databases",
    "bake",
    "for",
]
KEYS += [
    "name",
    "match",
    "host",
    "path",
    "to",
    "use",
    "public",
    "jwt",
    "jwks",
    "keys",
    "kty",
    "api_key",
    "clients",
    "ip",
]
KEYS += [
    "allow",
    "cors",
    "origins",
    "rate_limit",
    "per",
    "requests",
    "weight",
    "headers",
    "query",
    "regex",
    "retries",
    "on",
]
KEYS += [
    "web",
    "port",
    "address",
    "endpoints",
    "health",
    "source",
    "command",
    "environment",
    "tls",
    "key",
    "<<",
    "[key]",
]
WORDS = [
    "shop",
    "legacy",
    "/*",
    "/{a}",
    "*",
    "*.a",
    "10.0.0.0/8",
    "2s",
    "0s",
    "5%",
    "secret:x",
    "repo:x",
    "repo:../x",
    "((",
]
LEAVES = st.none() | st.booleans() | st.integers(-5, 99999) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)


def _load(source_file, content: bytes) -> Configuration | None:
    """The configuration, or None where there were problems: each with a file, a line of it, and words."""
    start = time.perf_counter()
    found, problems = None, ()
    try:
        found = load([source_file("lastgood.yaml", content)], lambda _: None, resolves=lambda _: False).configuration
    except ConfigError as error:
        problems = error.problems
    assert time.perf_counter() - start < 10
    assert found or problems
    for problem in problems:
        assert problem.file == "lastgood.yaml"
        assert 0 <= problem.line <= content.count(b"\n") + content.count(b"\r") + content.count(b"\xe2\x80") + 2
        assert problem.what
        assert len(str(problem)) < 2000
    return found


@given(content=st.binary(max_size=300))
@SETTINGS
def test_any_bytes(content, source_file):
    _load(source_file, content)


@given(content=st.text(max_size=200))
@SETTINGS
def test_any_text(content, source_file):
    _load(source_file, content.encode("utf-8", "surrogatepass"))


@given(tree=st.dictionaries(st.sampled_from(KEYS), TREES, max_size=6))
@SETTINGS
def test_any_structure(tree, source_file):
    _load(source_file, yaml.safe_dump(tree).encode("utf-8", "replace"))


@given(
    tree=st.dictionaries(st.sampled_from(["listeners", "policies", "routes"]), TREES, max_size=3),
    name=st.sampled_from(KEYS),
)
@SETTINGS
def test_any_structure_below_a_known_heading(tree, name, source_file):
    nested = {
        "project": "p",
        "gateway": {**tree, "policies": {"p": tree, "q": {name: tree}}, "routes": [tree, {name: tree}]},
    }
    _load(source_file, yaml.safe_dump(nested).encode("utf-8", "replace"))


@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, 600),
            st.integers(0, 12),
            st.sampled_from([*WORDS, *KEYS, "", "\n", ": ", "- ", "{", "]", "&a ", "*a"]),
        ),
        max_size=4,
    )
)
@SETTINGS
def test_a_good_file_with_mistakes(cuts, good, source_file):
    text = good
    for start, length, word in cuts:
        text = text[:start] + word + text[start + length :]
    configuration = _load(source_file, text.encode())
    if configuration is not None:
        for entry in configuration.entries.values():
            assert read_entry(entry.key, entry.content) == entry
            canonical(entry.content.decode())
        assert diff(configuration, configuration) == ()


@given(data=st.data())
@SETTINGS
def test_one_value_of_a_good_file_is_another(data, good, source_file):
    tree = yaml.safe_load(good)
    at = tree
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(TREES)
        break
    _load(source_file, yaml.safe_dump(tree).encode("utf-8", "replace"))


def test_the_keys_above_are_keys_of_the_model():
    assert set(Root.model_fields) <= set(KEYS)
