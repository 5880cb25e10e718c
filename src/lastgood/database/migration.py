"""One migration, whatever tool its files were written for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

Dialect = Literal["sqlite", "postgresql"]
NOTHING = "0"
"""The version of a schema on which no migration is applied."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without its semicolon; ``line`` counts from 1 in its file.

    ``alone``: it cannot run inside a transaction. ``setting``: it only changes the connection (``PRAGMA ... = ...``).
    """

    sql: str
    line: int
    alone: bool = False
    setting: bool = False


@dataclass(frozen=True)
class Script:
    """One direction of a migration. ``text`` is what its author wrote (LF, no BOM) and what ``digest`` is taken of."""

    text: str = field(repr=False)
    statements: tuple[Statement, ...] = field(repr=False)
    source: str
    transactional: bool = True
    empty_because: str | None = None

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the text; line ends and a byte order mark do not count."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def does_nothing(self) -> bool:
        """Whether no statement changes anything: comments, ``SELECT 1``, or no text at all."""
        done = (statement.sql for statement in self.statements if not ASKED.match(statement.sql))
        return all(_NOTHING_DONE.fullmatch(sql) for sql in done)


UNWRITTEN = re.compile(r"(?m)^-- lastgood:unwritten (.+)$")
"""What stands in place of a downgrade that cannot be written down as SQL: why."""
BREAKS = re.compile(r"(?im)^[ \t]*--[ \t]*lastgood:breaks\b[ \t]*(.*)$")
"""What an author writes where releases made before the migration cannot live with it: why."""
ASKED_MARK = "-- lastgood:asked "
ASKED = re.compile(rf"\s*{ASKED_MARK}[ \t]*(rows|schema)[ \t]+([0-9a-f]{{64}})\b[^\n]*\n")
"""How a statement begins that only asks, and goes on when the answer has this digest (see ``questions``)."""
_NOTHING_DONE = re.compile(r"(?is)\s*(?:select\s+(?:\d+|null|true|false|'[^']*')(?:\s+as\s+\w+)?)?\s*;?\s*")


@dataclass(frozen=True)
class Migration:
    """A step of a schema. ``down`` is None when nobody wrote one; ``irreversible`` is the reason why there is none."""

    version: str
    name: str
    up: Script
    down: Script | None
    irreversible: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The files it was read from."""
        return tuple(dict.fromkeys(script.source for script in (self.up, self.down) if script is not None))

    @property
    def transactional(self) -> bool:
        """Whether both directions run inside one transaction each."""
        return self.up.transactional and (self.down is None or self.down.transactional)

    @property
    def label(self) -> str:
        """How people call it: version and name."""
        return f"{self.version} {self.name}".strip()

    @cached_property
    def breaks(self) -> str | None:
        """Why no release made before it can live with it (``-- lastgood:breaks WHY`` in its scripts), else None."""
        found = BREAKS.search(self.up.text) or (BREAKS.search(self.down.text) if self.down is not None else None)
        return (found[1].strip() or "it says so") if found else None

    @property
    def no_way_back(self) -> str | None:
        """Why it cannot be undone, or None when it can (a down that is empty on purpose says so in its file)."""
        if self.irreversible is not None:
            return f"it is marked irreversible: {self.irreversible}"
        if self.down is None:
            return None if self.up.does_nothing else "it has no down script"
        if unwritten := UNWRITTEN.search(self.down.text):
            return unwritten[1]
        if self.down.does_nothing and not self.up.does_nothing and self.down.empty_because is None:
            return f"its down script does nothing ({self.down.source})"
        return None


VersionKey = tuple[int, int, str]


@lru_cache(4096)
def version_key(version: str) -> VersionKey:
    """Order and identity of versions: ``001`` and ``1`` are one, diesel's dashes do not count, numbers come first."""
    plain = re.sub(r"[-_.]", "", version)
    return (0, int(plain), "") if plain.isdigit() else (1, 0, version)


def plain_version(version: str) -> str:
    """One way to write a version, for comparing by equality: ``001`` and ``1`` are ``1``, nothing is ``""``."""
    kind, number, text = version_key(version)
    return (str(number) if number else "") if kind == 0 else text


@dataclass(frozen=True)
class History:
    """The migrations of one database, in the order they are applied. ``notes``: odd, but no reason to refuse."""

    dialect: Dialect
    migrations: tuple[Migration, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def by_key(self) -> Mapping[VersionKey, Migration]:
        """Migrations by :func:`version_key`."""
        return {version_key(migration.version): migration for migration in self.migrations}

    @cached_property
    def places(self) -> Mapping[VersionKey, int]:
        """Where each stands in the order, by :func:`version_key`."""
        return {version_key(migration.version): place for place, migration in enumerate(self.migrations)}

    def find(self, version: str) -> Migration | None:
        """The migration of a version, however its number is written."""
        return self.by_key.get(version_key(version))

    @property
    def newest(self) -> str:
        """The last version, ``"0"`` when there is none."""
        return self.migrations[-1].version if self.migrations else NOTHING

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over versions and the digests of all scripts: what a proof is pinned to."""
        lines = (f"{m.version} {m.up.digest} {m.down.digest if m.down else '-'}" for m in self.migrations)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def record_of(history: History) -> dict[str, Any]:
    """What a release keeps, so that any build can go back: plain JSON values, every script in full."""
    return {
        "dialect": history.dialect,
        "migrations": [
            {
                "version": m.version,
                "name": m.name,
                "up": _script_record(m.up),
                "down": _script_record(m.down) if m.down else None,
                "irreversible": m.irreversible,
            }
            for m in history.migrations
        ],
    }


def _script_record(script: Script) -> dict[str, Any]:
    return {
        "text": script.text,
        "source": script.source,
        "transactional": script.transactional,
        "empty_because": script.empty_because,
        "statements": [[s.sql, s.line, s.alone, s.setting] for s in script.statements],
    }


def _script_of(record: Mapping[str, Any] | None) -> Script | None:
    if record is None:
        return None
    statements = tuple(Statement(*row) for row in record["statements"])
    return Script(record["text"], statements, record["source"], record["transactional"], record["empty_because"])


def history_of(record: Mapping[str, Any]) -> History:
    """The inverse of :func:`record_of`."""
    return History(record["dialect"], tuple(map(migration_of, record["migrations"])))


def migration_of(record: Mapping[str, Any]) -> Migration:
    """One migration out of a record."""
    up = _script_of(record["up"])
    if up is None:
        raise ValueError(f"the record of migration {record['version']} has no up script")
    return Migration(record["version"], record["name"], up, _script_of(record["down"]), record["irreversible"])
