"""What we show to people works, and the reference says what the model says."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from lastgood.config.load import load
from lastgood.config.parse import is_source
from lastgood.config.reference import reference
from lastgood.config.repository_files import RepositoryItem
from lastgood.config.schema import json_schema
from lastgood.config.template import starting_point
from lastgood.config.yaml_tree import read_tree

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(path.parent for path in (ROOT / "examples").glob("*/lastgood.yaml"))


def _look(folder: Path):
    def look(path: str) -> RepositoryItem | None:
        there = folder / path
        if there.is_dir():
            return RepositoryItem("folder")
        return RepositoryItem("file", there.stat().st_size, there.read_bytes) if there.is_file() else None

    return look


def _files(folder: Path, source_file):
    paths = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.yaml"))]
    return [source_file(path, (folder / path).read_bytes()) for path in paths if is_source(path)]


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_every_example_is_valid_without_a_warning(folder, source_file):
    loaded = load(_files(folder, source_file), _look(folder), resolves=lambda _: True)
    assert loaded.warnings == ()
    assert loaded.configuration.routes


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_the_schema_accepts_every_example(folder):
    for path in folder.rglob("*.yaml"):
        plug = path.parent != folder
        jsonschema.validate(read_tree("f", path.read_bytes())[0].data, json_schema(plug=plug))


def test_the_shop_shows_every_section():
    text = (ROOT / "examples/shop/lastgood.yaml").read_text()
    for section in json_schema()["properties"]:
        assert f"\n{section}:" in text


def test_the_template_is_valid_and_says_what_was_asked(read):
    configuration = read(starting_point("till", port=8181, upstream="127.0.0.1:9100")).configuration
    assert configuration.project == "till"
    assert configuration.listeners["web"].port == 8181
    assert configuration.upstreams["app"].endpoints == ("127.0.0.1:9100",)
    assert configuration.routes["everything"].public


def test_the_template_is_valid_with_everything_it_suggests(read):
    lines = starting_point("till").splitlines()
    commented = [
        line.replace("# ", "", 1) if line.strip().startswith("# ") and ":" in line else line for line in lines[3:]
    ]
    text = "project: till\n" + "\n".join(line for line in commented if not line.strip().startswith("Security"))
    text = text.replace("use: [fair]", "use: [fair, customers, office]").replace("public: true", "public: false")
    keys = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "abc"}]}'
    loaded = read(text, {"keys/jwks.json": keys, "services/api": None, "migrations/main": None})
    assert set(loaded.configuration.policies) == {"fair", "customers", "office"}
    assert set(loaded.configuration.services) == {"api"}


def test_the_reference_is_up_to_date():
    assert (ROOT / "docs/reference/configuration.md").read_text() == reference()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("gateway", "listeners", "web", "port"), "8080"),
        (("gateway", "routes", 0, "timeout"), 5),
        (("gateway", "routes", 0, "name"), "No Name"),
        (("gateway", "routes", 0, "match", "query"), {"x": {"exat": "1"}}),
        (("upstreams",), {"Not A Name": {"endpoints": ["a:1"]}}),
        (("project",), None),
        (("extra",), 1),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(path, value, good, problems):
    data = yaml.safe_load(good)
    at = data
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    assert [problem for problem in problems(yaml.safe_dump(data)) if problem.severity == "error"]


def test_a_heading_without_anything_below_it_is_valid_for_both(good, read):
    text = good + "services:\ndatabases:\n"
    jsonschema.validate(yaml.safe_load(text), json_schema())
    assert read(text).configuration.services == {}
