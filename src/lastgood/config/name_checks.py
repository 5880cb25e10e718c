"""Names that two files give, and what the main file has to say."""

from __future__ import annotations

from collections.abc import Iterable

from lastgood.config.parse import MAIN_FILE, Fragment
from lastgood.errors import Problem


def check_names(fragments: Iterable[Fragment]) -> list[Problem]:
    """Names given twice, upstreams, services and functions named alike, and a main file or project that is missing."""
    fragments = list(fragments)
    problems = []
    total, names = 0, set[str]()
    for fragment in fragments:
        total += len(fragment.lines)
        names.update(fragment.lines)
    if total != len(names):
        problems += _named_twice(fragments)
    problems += _two_kinds([fragment for fragment in fragments if not fragment.plain])
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
    """Upstreams, services and functions have one name space: a route's ``to`` could mean either."""
    if not any(fragment.services or fragment.functions for fragment in fragments):
        return []
    taken = {name: ("an upstream", f) for f in fragments for name in f.upstreams}
    problems = []
    for kind in ("service", "function"):
        mine = [(f, name) for f in fragments for name in sorted(f.services if kind == "service" else f.functions)]
        for fragment, name in mine:
            if name in taken:
                other_kind, other = taken[name]
                where = f"{other.file}:{other.lines[f'{other_kind.split()[1]}:{name}']}"
                what = f"{name} is the name of a {kind} and of {other_kind} ({where})"
                line = fragment.lines[f"{kind}:{name}"]
                problems.append(Problem(fragment.file, line, what, "routes could mean either; rename one"))
        taken |= {name: (f"a {kind}", fragment) for fragment, name in mine}
    return problems
