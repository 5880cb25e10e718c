"""A release: what can run. Immutable and numbered; everything a way back needs is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Part = str
"""What moves on its own: ``gateway``, ``service:NAME``, ``function:NAME``, ``database:NAME``."""

GATEWAY: Part = "gateway"


@dataclass(frozen=True)
class Release:
    """What can run.

    ``parts`` holds a content digest per part; ``entries`` the digest of every configuration entry by key (their bytes
    lie in the journal's store, so that Git is not needed to go back); ``revision`` is the Git commit it was made of.
    """

    number: int
    project: str
    revision: str | None
    parts: Mapping[Part, str]
    entries: Mapping[str, str] = field(repr=False)
    subject: str = ""
    branch: str | None = None
    derived_from: int | None = None

    @property
    def name(self) -> str:
        """``r12``: how people and plans call it."""
        return f"r{self.number}"


def changed_parts(old: Release | None, new: Release) -> frozenset[Part]:
    """The parts whose content differs, those that one side lacks included."""
    before = old.parts if old else {}
    return frozenset(part for part in {*before, *new.parts} if before.get(part) != new.parts.get(part))
