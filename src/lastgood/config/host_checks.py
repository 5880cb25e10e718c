"""Routes of one host against each other: ties, and routes that never get a request."""

from __future__ import annotations

from collections.abc import Sequence

from lastgood.config.configuration import Entry
from lastgood.config.model import Route
from lastgood.config.order import covers, parse_path, precedence
from lastgood.errors import Problem

_NEIGHBOURS = 200
"""How many routes of the same path are compared with each: more differ in headers or query only."""


def check_host(host: str, entries: Sequence[Entry]) -> tuple[Problem, ...]:
    """Problems between the routes of one host pattern."""
    if len(entries) < 2:
        return ()
    by_path: dict[object, list[Entry]] = {}
    for entry in entries:
        by_path.setdefault(parse_path(entry.value.match.path), []).append(entry)
    found: list[Problem] = []
    for group in by_path.values():
        if len(group) > 1:
            group.sort(key=lambda entry: precedence(entry.value, host))
            found += _check_path(host, group)
    return tuple(found)


def _check_path(host: str, group: list[Entry]) -> list[Problem]:
    found = []
    for position, later in enumerate(group):
        for earlier in group[max(0, position - _NEIGHBOURS) : position]:
            if not _common_listener(earlier.value, later.value):
                continue
            said, other = sorted((later, earlier), key=lambda entry: (entry.file, entry.line), reverse=True)
            if _tied(earlier.value, later.value):
                what = f"route {said.name}: it ties with route {other.name} ({other.file}:{other.line}) on {host}"
                hint = "give one of them a longer path, or another method, header or query"
                found.append(Problem(said.file, said.line, what, hint))
                break
            if _every_listener(earlier.value, later.value) and covers(earlier.value.match, later.value.match):
                what = f"route {later.name}: it never gets a request on {host}, route {earlier.name} takes them all"
                hint = f"that route is in {earlier.file}:{earlier.line}"
                found.append(Problem(later.file, later.line, what, hint))
                break
    return found


def _tied(one: Route, two: Route) -> bool:
    """Whether only the name would decide between two routes of the same path."""
    mine_by_name, theirs_by_name = ({k.lower(): v for k, v in route.match.headers.items()} for route in (one, two))
    if mine_by_name != theirs_by_name or one.match.query != two.match.query:
        return False
    mine, theirs = set(one.match.methods), set(two.match.methods)
    return mine == theirs or (len(mine) == len(theirs) and bool(mine & theirs))


def _common_listener(one: Route, two: Route) -> bool:
    return not one.listeners or not two.listeners or bool(set(one.listeners) & set(two.listeners))


def _every_listener(wide: Route, narrow: Route) -> bool:
    return not wide.listeners or (bool(narrow.listeners) and set(narrow.listeners) <= set(wide.listeners))
