"""A release made of two: one as it is, with one part of another (``r13 = r12 with catalog@r11``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from lastgood.config.configuration import Configuration
from lastgood.errors import Refused, UsageError
from lastgood.release.release import GATEWAY, Part, Release

T = TypeVar("T")
GATEWAY_KINDS = frozenset({"listener", "policy", "route", "upstream", "gateway", "file"})
"""Kinds of entries that are the gateway's."""
_RUN = ("service", "function")
_OWNERS = {"artifact": _RUN, "code": _RUN, "schema": ("database",), "migration": ("database",)}
"""Whose the things are that are kept with a release and are no entries of its configuration, by their kind."""


def part_named(text: str, release: Release) -> Part:
    """The part a person means: ``service:catalog``, or ``catalog`` where only one part is called so."""
    found = [part for part in sorted(release.parts) if text in (part, part.partition(":")[2])]
    if len(found) != 1:
        what = f"{text!r} could be {' or '.join(found)}" if found else f"{release.name} has no part {text!r}"
        raise UsageError(what, next=f"its parts: {', '.join(sorted(release.parts))}")
    return found[0]


def belongs(key: str, part: Part) -> bool:
    """Whether an entry, or what is kept beside the entries, belongs to a part."""
    kind, _, rest = key.partition(":")
    if part == GATEWAY:
        return kind in GATEWAY_KINDS
    if key == part:
        return True
    owner, _, name = part.partition(":")
    return owner in _OWNERS.get(kind, ()) and rest.partition("/")[0] == name


def with_part(mine: Mapping[str, T], theirs: Mapping[str, T], part: Part) -> dict[str, T]:
    """Entries of a release with those of one part taken from another."""
    kept = {key: value for key, value in mine.items() if not belongs(key, part)}
    return kept | {key: value for key, value in theirs.items() if belongs(key, part)}


class HasParts(Protocol):
    """A release, or a draft of one."""

    @property
    def parts(self) -> Mapping[Part, str]:
        """Content digests."""
        ...

    @property
    def schemas(self) -> Mapping[str, str]:
        """Versions of databases."""
        ...

    @property
    def instances(self) -> Mapping[str, int]:
        """How many instances of each service are enough."""
        ...

    @property
    def breaks(self) -> Mapping[str, Mapping[str, str]]:
        """Versions of databases that older releases cannot live with."""
        ...

    @property
    def moves(self) -> Mapping[str, Mapping[str, Any]]:
        """How each service moves."""
        ...


def settings_with(mine: HasParts, theirs: HasParts, part: Part) -> dict[str, Any]:
    """``parts``, ``schemas``, ``breaks``, ``instances``, ``moves`` of one, with those of a part from another."""
    kind, _, name = part.partition(":")

    def taken(here: Mapping[str, Any], there: Mapping[str, Any], *owners: str) -> dict[str, Any]:
        return {**here, name: there[name]} if kind in owners and name in there else dict(here)

    return {
        "parts": {**mine.parts, part: theirs.parts[part]},
        "schemas": taken(mine.schemas, theirs.schemas, "database"),
        "breaks": taken(mine.breaks, theirs.breaks, "database"),
        "instances": taken(mine.instances, theirs.instances, "service", "function"),
        "moves": taken(mine.moves, theirs.moves, "service", "function"),
    }


def derived(base: Release, other: Release, part: Part, number: int) -> Release:
    """``base`` with one part of ``other``; it comes from no revision."""
    if part not in other.parts:
        raise Refused(f"{other.name} has no part {part}", next="lastgood history")
    subject = f"{base.name} with {part.partition(':')[2] or part}@{other.name}"
    settings = settings_with(base, other, part)
    return Release(number, base.project, None, subject=subject, derived_from=base.number, **settings)


def refuse_loose_ends(configuration: Configuration) -> None:
    """Routes whose target the other release does not have: the two do not fit together."""
    targets = {key.partition(":")[2] for key in configuration.entries if key.startswith(("upstream:", "service:"))}
    targets |= {key.partition(":")[2] for key in configuration.entries if key.startswith("function:")}
    for name, route in configuration.routes.items():
        for target, _ in route.targets:
            if target not in targets:
                raise Refused(
                    f"route {name} leads to {target}, which is not there in that mix",
                    next="go back to a whole release: lastgood rollback",
                )
