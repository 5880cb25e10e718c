"""The code's own rules, as tests: what no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE, LONGEST_FUNCTION = 350, 60
VAGUE = {"utils", "helpers", "common", "base", "manager", "misc"}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT, capture_output=True, text=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


ROOM = {".gitignore", ".ci", "Makefile", "pyproject.toml", "requirements.lock", "LICENSE"}
ROOM |= {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
ROOM |= {"src", "tests", "docs", "examples", "benchmarks", "tools"}
"""All that may lie at the root: what a newcomer reads first."""
SOURCES = tracked("src/*.py")
TESTS = tracked("tests/*.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short_and_finished(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE, "split it by what changes together"
    assert path.stem not in VAGUE, "name it after what it is"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, f"{node.name} does more than one thing"
    unfinished = re.findall(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b", text)
    assert not unfinished, "finish it, or write an issue"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_use_fakes_and_patch_nothing(path: Path) -> None:
    if path == Path(__file__):
        return
    assert not re.search(r"mock\.patch|monkeypatch\.setattr|unittest\.mock", path.read_text())


def test_nothing_lies_about_at_the_root() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= ROOM


def test_every_package_folder_is_used() -> None:
    folders = {path.parent for path in SOURCES}
    for folder in folders:
        assert any(path.parent == folder and path.name != "__init__.py" for path in SOURCES), f"{folder} is empty"


def test_every_line_of_the_acceptance_map_names_something_that_exists() -> None:
    text = (ROOT / "docs/acceptance.md").read_text()
    named = re.findall(r"`((?:tests|benchmarks|docs|tools|src|examples)/[\w./\[\]-]+?)(?:::([\w\[\]-]+))?`", text)
    assert len(named) > 20
    for path, function in named:
        assert (ROOT / path).exists(), path
        if function:
            assert f"def {function}(" in (ROOT / path).read_text(), f"{path}::{function}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in tracked("*.md"):
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} -> {target}"


def test_the_architecture_page_stays_short() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") <= 200


def test_every_mutation_finds_its_line() -> None:
    """``make bite`` takes a quarter of an hour; that a mutation has lost its line is seen here."""
    bites = [raw for path in tracked("tools/bites/*.toml") for raw in tomllib.loads(path.read_text())["bite"]]
    assert len(bites) > 40
    for bite in bites:
        assert (ROOT / bite["file"]).read_text().count(bite["old"]) == 1, bite["name"]
        for test in bite["tests"]:
            path, _, function = test.partition("::")
            assert not function or f"def {function.partition('[')[0]}(" in (ROOT / path).read_text(), test
