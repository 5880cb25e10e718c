"""Two generations of a host's routes in one table, so that one runtime key moves requests between them.

A fenced route lets through only the candidate's share of the requests; an unfenced one lets all through. So with the
fence open a request must find its route before it comes to one that only the base has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lastgood.gateway.labels import Door, Label
from lastgood.gateway.tables import Rule, Table


@dataclass(frozen=True, slots=True)
class Line:
    """A route in a table. Without ``rule`` it is the catch-all; without ``label`` it belongs to both generations.

    With ``door`` it takes only requests that ask for its release. ``counted`` is the release whose statistics it has
    where nothing stands beside it.
    """

    rule: Rule | None
    label: Label | None = None
    fenced: bool = False
    door: Door | None = None
    counted: int | None = None


def settled(table: Table) -> tuple[Line, ...]:
    """The table of a host whose routes are the same in both generations, or of which there is one."""
    return (*(Line(rule) for rule in table.rules), Line(None))


def counted(table: Table, before: Table, release: int) -> tuple[Line, ...]:
    """The same, with what differs from the release before counted as the release's own."""
    same = {(rule.route.name, rule.digest) for rule in before.rules}
    lines = (Line(rule, counted=None if (rule.route.name, rule.digest) in same else release) for rule in table.rules)
    return (*lines, Line(None))


def both(base: Table, candidate: Table, labels: tuple[Label, Label]) -> tuple[Line, ...]:
    """The candidate's routes fenced, the base's behind them; ``labels`` are the base's and the candidate's."""
    asked = tuple(_asked_for((candidate, labels[1]), (base, labels[0])))
    if _is_sound(base, candidate):
        return (*asked, *_merged(base, candidate, labels))
    return (*asked, *_stacked(base, candidate, labels))


def _asked_for(*sides: tuple[Table, Label]) -> Iterator[Line]:
    """The whole table of a release for requests that come to it by a door, before all others.

    Who asks by name is heard first, and a version key before a cookie.
    """
    doors = [(door, table, label) for table, label in sides for door in label.doors]
    for door, table, label in sorted(doors, key=lambda each: (each[0].drawn, each[0].header == "cookie")):
        yield from (Line(rule, label, door=door) for rule in table.rules)
        yield Line(None, label, door=door)


def _is_sound(base: Table, candidate: Table) -> bool:
    """Whether the merged table routes as the candidate alone when the fence is open.

    It does if every route of the base has a successor of the same name that takes the same requests, and the
    successors stand in the same order: then each of the base's is hidden by the one right before it. A route that is
    gone or takes other requests would shine through.
    """
    mine = {rule.route.name: rule for rule in base.rules}
    shared = [rule for rule in candidate.rules if rule.route.name in mine]
    in_order = [rule.route.name for rule in shared] == [rule.route.name for rule in base.rules]
    return in_order and all(_takes_the_same(mine[rule.route.name], rule) for rule in shared)


def _takes_the_same(one: Rule, other: Rule) -> bool:
    mine, theirs = one.route.match, other.route.match
    return (mine.path, set(mine.methods), mine.headers, mine.query) == (
        theirs.path,
        set(theirs.methods),
        theirs.headers,
        theirs.query,
    ) and _has_preflight(one) == _has_preflight(other)


def _has_preflight(rule: Rule) -> bool:
    """A CORS policy takes requests of its own, the preflights, in a route beside its route's."""
    return any(used.policy.cors for used in rule.used)


def _merged(base: Table, candidate: Table, labels: tuple[Label, Label]) -> Iterator[Line]:
    old, new = labels
    mine = {rule.route.name: rule for rule in base.rules}
    for rule in candidate.rules:
        was = mine.get(rule.route.name)
        if was is not None and was.digest == rule.digest:
            yield Line(rule)
            continue
        yield Line(rule, new, fenced=True)
        if was is not None:
            yield Line(was, old)
    yield Line(None)


def _stacked(base: Table, candidate: Table, labels: tuple[Label, Label]) -> Iterator[Line]:
    old, new = labels
    yield from (Line(rule, new, fenced=True) for rule in candidate.rules)
    yield Line(None, new, fenced=True)
    yield from (Line(rule, old) for rule in base.rules)
    yield Line(None, old)
