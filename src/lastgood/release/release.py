"""A release: what can run. Immutable and numbered; everything a way back needs is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Part = str
"""What moves on its own: ``gateway``, ``service:NAME``, ``function:NAME``, ``database:NAME``."""

GATEWAY: Part = "gateway"
RUNNING = ("service:", "function:")
"""How parts begin whose versions run as processes of ours."""


@dataclass(frozen=True)
class Release:
    """What can run.

    ``parts`` holds a content digest per part; ``revision`` is the Git commit it was made of. The entries of
    its configuration lie in the journal's store under its number, so that Git is not needed to go back.
    """

    number: int
    project: str
    revision: str | None
    parts: Mapping[Part, str]
    subject: str = ""
    branch: str | None = None
    derived_from: int | None = None
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Version each database's schema must at least have."""
    instances: Mapping[str, int] = field(default_factory=dict)
    """How many instances of each service are enough capacity."""
    moves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """How each service moves, as JSON values; :func:`lastgood.release.moves.move_of` reads them."""
    breaks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Versions of each database that no release made before them can live with, and why."""

    @property
    def name(self) -> str:
        """``r12``: how people and plans call it."""
        return f"r{self.number}"


def changed_parts(old: Release | None, new: Release) -> frozenset[Part]:
    """The parts whose content differs, those that one side lacks included."""
    before = old.parts if old else {}
    return frozenset(part for part in {*before, *new.parts} if before.get(part) != new.parts.get(part))


def services_of(release: Release) -> dict[str, str]:
    """``{name: digest}`` of the release's services and functions: one name space, versions that move alike."""
    return {part.partition(":")[2]: made for part, made in release.parts.items() if part.startswith(RUNNING)}


def same_traffic(one: Release | None, other: Release | None) -> bool:
    """Whether both serve requests alike: the same gateway content and the same code behind it."""
    if one is None or other is None:
        return one is other
    serving = [{part: made for part, made in r.parts.items() if not part.startswith("database:")} for r in (one, other)]
    return serving[0] == serving[1]


def only_schema(one: Release, other: Release) -> bool:
    """Whether nothing but schemas lies between them: then going back is going back with the schema."""
    return same_traffic(one, other) and dict(one.schemas) != dict(other.schemas)


def same_content(one: Release, other: Release) -> bool:
    """Whether every part is the same, in the same number of instances."""
    return one.parts == other.parts and one.instances == other.instances
