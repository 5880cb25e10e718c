"""What a schema is: a set of items that two databases can be compared by, whatever server they live on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lastgood.database.keeping import KEPT

Likeness = Literal["exact", "cosmetic", "different"]


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing in a schema.

    ``owner`` is the table of a column, constraint, index or trigger. ``definition`` is all that matters about it in a
    normal form. ``position`` (of a column) and the name of a constraint matter for ``exact`` only.
    """

    kind: str
    owner: str
    name: str
    definition: str
    position: int = 0

    @property
    def label(self) -> str:
        """How people call it: ``column users.email``."""
        return f"{self.kind} {self.owner}.{self.name}" if self.owner else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that is not the same. ``cosmetic``: only its place or the name of a constraint."""

    what: Literal["missing", "left over", "changed"]
    label: str
    cosmetic: bool
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        """``column users.email is missing``."""
        if self.what == "changed":
            return f"{self.label} changed from {self.before!r} to {self.after!r}"
        return f"{self.label} is {self.what}"


STATE_TABLES = (
    "schema_migrations",
    "goose_db_version",
    "alembic_version",
    "__diesel_schema_migrations",
    "gorp_migrations",
)
"""Where other tools keep what they applied: no migration makes them, so they are no part of a schema."""
_OF_TABLES = ("table", "column", "constraint", "index", "sequence")


def _table(name: str) -> str:
    """``schema.table`` and ``schema.table_id_seq`` without schema and ending."""
    return name.rpartition(".")[2].strip('"').removesuffix("_id_seq")


@dataclass(frozen=True)
class Fingerprint:
    """All items of a schema, sorted."""

    items: tuple[Item, ...]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Fingerprint:
        """From items in any order."""
        return cls(tuple(sorted(items)))

    def without(self, tables: Iterable[str]) -> Fingerprint:
        """The same without these tables (by their names without a schema) and what belongs to them.

        What is put aside (see ``keeping``) is left out as well: it is no part of the schema any more.
        """
        names = set(tables)
        return Fingerprint(
            tuple(
                i
                for i in self.items
                if (not ({_table(i.owner), _table(i.name)} & names) or i.kind not in _OF_TABLES)
                and not any(KEPT in text for text in (i.name, i.owner, i.definition))
            )
        )

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of :meth:`to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """A JSON array of ``[kind, owner, name, definition, position]``."""
        rows = [[i.kind, i.owner, i.name, i.definition, i.position] for i in self.items]
        return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Fingerprint:
        """The inverse of :meth:`to_json`."""
        return cls(tuple(Item(*row) for row in json.loads(text)))


@dataclass(frozen=True)
class Comparison:
    """How alike two schemas are, and every item in which they differ."""

    likeness: Likeness
    differences: tuple[Difference, ...] = ()

    def names(self, limit: int = 8) -> str:
        """The differences that are not cosmetic (or else those that are), as one line."""
        shown = [d for d in self.differences if not d.cosmetic] or list(self.differences)
        more = f", and {len(shown) - limit} more" if len(shown) > limit else ""
        return ", ".join(str(difference) for difference in shown[:limit]) + more


def compare(before: Fingerprint, after: Fingerprint) -> Comparison:
    """``exact``, ``cosmetic`` (order of columns, names of constraints) or ``different``, as seen from ``before``."""
    if before.items == after.items:
        return Comparison("exact")
    olds = {(i.kind, i.owner, i.name): i for i in before.items}
    news = {(i.kind, i.owner, i.name): i for i in after.items}
    unnamed = _constraints(before), _constraints(after)
    differences = []
    for key in sorted(olds.keys() | news.keys()):
        old, new = olds.get(key), news.get(key)
        if old == new:
            continue
        differences.append(_difference(old, new, unnamed))
    likeness: Likeness = "cosmetic" if all(d.cosmetic for d in differences) else "different"
    return Comparison(likeness, tuple(differences))


def _constraints(schema: Fingerprint) -> Counter[tuple[str, str]]:
    return Counter((i.owner, i.definition) for i in schema.items if i.kind == "constraint")


def _difference(
    old: Item | None, new: Item | None, unnamed: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]
) -> Difference:
    item = old or new
    assert item is not None
    if old and new and old.definition == new.definition:
        return Difference("changed", f"place of {item.label}", True, str(old.position), str(new.position))
    same = [unnamed[0][i.owner, i.definition] == unnamed[1][i.owner, i.definition] for i in (old, new) if i is not None]
    cosmetic = item.kind == "constraint" and all(same)
    if old and new:
        return Difference("changed", item.label, cosmetic, old.definition, new.definition)
    return Difference("missing" if old else "left over", item.label, cosmetic)
