"""Names that two files give, and what the main file has to say."""

from __future__ import annotations

from lastgood.config.parse import MAIN_FILE, Fragment
from lastgood.errors import Problem


def check_names(fragments: list[Fragment]) -> list[Problem]:
    """Names given twice, upstreams named like services, and a main file or project that is missing."""
    problems = []
    total, names = 0, set[str]()
    for fragment in fragments:
        total += len(fragment.lines)
        names.update(fragment.lines)
    if total != len(names):
        problems += _named_twice(fragments)
    problems += _two_kinds(fragments)
    main = next((fragment for fragment in fragments if fragment.file == MAIN_FILE), None)
    if main is None:
        hint = "lastgood init writes one; is it committed?"
        problems.append(Problem(MAIN_FILE, 0, "there is no such file at the root of this revision", hint))
    elif main.readable and (main.lines or not main.problems) and "project" not in names:
        problems.append(Problem(MAIN_FILE, 1, "`project` is missing", "name the project, such as project: shop"))
    return problems


def _named_twice(fragments: list[Fragment]) -> list[Problem]:
    first: dict[str, str] = {}
    problems = []
    for fragment in fragments:
        for key, line in fragment.lines.items():
            kind, _, name = key.partition(":")
            here = f"{fragment.file}:{line}"
            if key in first:
                what = f"{kind} {name} is defined twice" if name and kind != name else f"{kind} is stated twice"
                problems.append(Problem(fragment.file, line, f"{what}, first in {first[key]}", "keep one of them"))
            first.setdefault(key, here)
    return problems


def _two_kinds(fragments: list[Fragment]) -> list[Problem]:
    """Upstreams and services have one name space: a route's ``to`` could mean either."""
    with_services = [fragment for fragment in fragments if fragment.services]
    if not with_services:
        return []
    upstreams = {name: fragment for fragment in fragments for name in fragment.upstreams}
    problems = []
    for fragment in with_services:
        for name in sorted(fragment.services & upstreams.keys()):
            other = upstreams[name]
            where = f"{other.file}:{other.lines[f'upstream:{name}']}"
            what = f"{name} is the name of a service and of an upstream ({where})"
            line = fragment.lines[f"service:{name}"]
            problems.append(Problem(fragment.file, line, what, "routes could mean either; rename one"))
    return problems
