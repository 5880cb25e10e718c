"""What the database itself remembers of its migrations: scripts, progress, images of the schema, a log.

The same SQL serves SQLite and PostgreSQL. A migration's scripts are stored in full, so that a build that no longer has
(or not yet had) its files can go back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lastgood.database.fingerprint import Fingerprint
from lastgood.database.keeping import Thing
from lastgood.database.migration import NOTHING, History, Migration, migration_of, plain_version, record_of
from lastgood.database.standing import Applied, State
from lastgood.effects.databases.session import Session
from lastgood.errors import Damaged

Direction = Literal["up", "down"]
_TABLES = (
    "CREATE TABLE IF NOT EXISTS {p}migrations (seq integer PRIMARY KEY, version text NOT NULL UNIQUE,"
    " name text NOT NULL, record text NOT NULL, up_digest text NOT NULL, down_digest text, state text NOT NULL,"
    " before_image text, after_image text, release text, adopted_from text, at text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS {p}progress (version text NOT NULL, direction text NOT NULL,"
    " position integer NOT NULL, state text NOT NULL, PRIMARY KEY (version, direction, position))",
    "CREATE TABLE IF NOT EXISTS {p}images (digest text PRIMARY KEY, body text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS {p}log (seq integer PRIMARY KEY, version text NOT NULL, name text NOT NULL,"
    " what text NOT NULL, digest text, release text, took_ms integer, at text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS {p}aside (number integer PRIMARY KEY, version text NOT NULL, of_table text NOT NULL,"
    " of_column text NOT NULL, statements text NOT NULL, release text, at text NOT NULL)",
)


@dataclass(frozen=True)
class Kept:
    """A column or table that a migration dropped and that was put aside; how it comes back, or goes for good."""

    number: int
    version: str
    thing: Thing
    put_back: tuple[str, ...]
    drop: tuple[str, ...]
    release: str | None = None
    at: str = ""


class Books:
    """Our own tables in one database. Nothing here begins or ends a transaction but :meth:`open`."""

    def __init__(self, session: Session, proven: Mapping[str, str] | None = None) -> None:
        """``proven``: what the proof of a release said, by ``plain_version``; noted with what goes up."""
        self._session = session
        self._proven = proven or {}
        self._there = session.has_books()

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._session.query(sql.replace("{p}", self._session.prefix), *values)

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        self._session.write(*((sql.replace("{p}", self._session.prefix), values) for sql, values in statements))

    def open(self) -> None:
        """Create the tables where they are missing."""
        if self._there and self._session.has_books("aside"):
            return
        self._session.begin()
        self._session.prepare_books()
        for table in _TABLES:
            self._query(table)
        self._session.commit()
        self._there = True

    def applied(self) -> tuple[Applied, ...]:
        """Everything applied or half applied, in the order of applying."""
        if not self._there:
            return ()
        rows = self._query(
            "SELECT seq, version, record, up_digest, state, before_image, after_image, release, adopted_from"
            " FROM {p}migrations ORDER BY seq"
        )
        return tuple(self._applied(row) for row in rows)

    def versions(self) -> tuple[tuple[str, str], ...]:
        """``(version, state)`` of everything applied or half applied, in order: all that a look asks for."""
        if not self._there:
            return ()
        rows = self._query("SELECT version, state FROM {p}migrations ORDER BY seq")
        return tuple((version, state) for version, state in rows)

    def newest(self) -> str:
        """The newest applied version, ``"0"`` for none."""
        found = self.versions()
        return found[-1][0] if found else NOTHING

    def _applied(self, row: tuple[Any, ...]) -> Applied:
        seq, version, record, up_digest, state, before, after, release, adopted = row
        migration = migration_of(json.loads(record))
        if migration.up.digest != up_digest:
            raise Damaged(
                f"the stored script of migration {version} is not the one that was applied",
                where=self._session.place,
                next="somebody edited lastgood's own tables; restore them from a backup, nothing was changed",
            )
        return Applied(seq, migration, state, before, after, release, adopted)

    def begin_up(self, migration: Migration, before: str | None, release: str | None) -> None:
        """Enter a migration whose script no transaction holds: it is under way."""
        self._write(self._entry(migration, "applying", before, None, release))

    def enter_up(
        self, migration: Migration, before: str | None, after: str | None, release: str | None, took_ms: int
    ) -> None:
        """Enter a migration whose script the same transaction holds, and its line in the log, in one round trip."""
        entry = self._entry(migration, "applied", before, after, release)
        self._write(entry, *self._lines(migration, "up", took_ms, release))

    def _entry(
        self, migration: Migration, state: State, before: str | None, after: str | None, release: str | None
    ) -> tuple[str, tuple[Any, ...]]:
        (record,) = record_of(History(self._session.dialect, (migration,)))["migrations"]
        return (
            "INSERT INTO {p}migrations (seq, version, name, record, up_digest, down_digest, state, before_image,"
            " after_image, release, at) SELECT coalesce(max(seq), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
            " CAST(CURRENT_TIMESTAMP AS text) FROM {p}migrations",
            (
                migration.version,
                migration.name,
                json.dumps(record),
                migration.up.digest,
                migration.down.digest if migration.down else None,
                state,
                before,
                after,
                release,
            ),
        )

    def adopt(self, migration: Migration, tool: str, after: str | None) -> None:
        """Enter a migration that another tool applied."""
        self._write(
            self._entry(migration, "applied", None, after, None),
            ("UPDATE {p}migrations SET adopted_from = ? WHERE version = ?", (tool, migration.version)),
            _line(migration, "adopted", 0),
        )

    def set_state(self, migration: Migration, state: State) -> None:
        """Say that a migration is half way."""
        self._query("UPDATE {p}migrations SET state = ? WHERE version = ?", state, migration.version)

    def end_up(self, migration: Migration, after: str | None) -> None:
        """Say that a migration is applied, and what the schema looks like now."""
        version = migration.version
        self._write(
            ("UPDATE {p}migrations SET state = 'applied', after_image = ? WHERE version = ?", (after, version)),
            ("DELETE FROM {p}progress WHERE version = ?", (version,)),
        )

    def set_after(self, version: str, after: str) -> None:
        """Note what the schema looks like with this version as the newest."""
        self._query("UPDATE {p}migrations SET after_image = ? WHERE version = ?", after, version)

    def end_down(self, migration: Migration) -> None:
        """Forget a migration that was undone; the log keeps that it was there."""
        self._write(*_gone(migration))

    def leave_down(self, migration: Migration, took_ms: int, release: str | None) -> None:
        """Forget a migration that was undone, and add the line to the log, in one round trip."""
        self._write(*_gone(migration), _line(migration, "down", took_ms, release))

    def clear_progress(self, migration: Migration) -> None:
        """Forget how far a script got."""
        self._query("DELETE FROM {p}progress WHERE version = ?", migration.version)

    def progress(self, migration: Migration, direction: Direction) -> dict[int, str]:
        """``started`` or ``done`` by the statement's position, for a script without a transaction."""
        rows = self._query(
            "SELECT position, state FROM {p}progress WHERE version = ? AND direction = ?", migration.version, direction
        )
        return dict(rows)

    def mark(self, migration: Migration, direction: Direction, position: int, state: str) -> None:
        """Note how far a statement got."""
        key = (migration.version, direction, position)
        self._query("DELETE FROM {p}progress WHERE version = ? AND direction = ? AND position = ?", *key)
        self._query("INSERT INTO {p}progress (version, direction, position, state) VALUES (?, ?, ?, ?)", *key, state)

    def keep_image(self, image: Fingerprint) -> str:
        """Store an image of the schema once; returns its digest."""
        if not self._query("SELECT 1 FROM {p}images WHERE digest = ?", image.digest):
            self._query("INSERT INTO {p}images (digest, body) VALUES (?, ?)", image.digest, image.to_json())
        return image.digest

    def image(self, digest: str | None) -> Fingerprint | None:
        """An image of the schema, or None when none was taken."""
        rows = self._query("SELECT body FROM {p}images WHERE digest = ?", digest) if digest and self._there else []
        return Fingerprint.from_json(rows[0][0]) if rows else None

    def note(self, migration: Migration, what: str, took_ms: int, release: str | None = None) -> None:
        """Add a line to the log."""
        self._write(*self._lines(migration, what, took_ms, release))

    def _lines(
        self, migration: Migration, what: str, took_ms: int, release: str | None
    ) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        line = _line(migration, what, took_ms, release)
        said = self._proven.get(plain_version(migration.version)) if what in ("up", "resumed up") else None
        return (line, _line(migration, f"proven {said}", 0, release)) if said else (line,)

    def kept(self) -> tuple[Kept, ...]:
        """What is put aside, oldest first."""
        if not self._there or not self._session.has_books("aside"):
            return ()
        rows = self._query(
            "SELECT number, version, of_table, of_column, statements, release, at FROM {p}aside ORDER BY number"
        )
        return tuple(
            Kept(number, version, Thing(table, column), tuple(said["put_back"]), tuple(said["drop"]), release, at=at)
            for number, version, table, column, statements, release, at in rows
            for said in [json.loads(statements)]
        )

    def next_kept(self) -> int:
        """The number of the next thing that is put aside."""
        return max((kept.number for kept in self.kept()), default=0) + 1

    def keep(self, kept: Kept) -> None:
        """Enter what was put aside."""
        self._query(
            "INSERT INTO {p}aside (number, version, of_table, of_column, statements, release, at)"
            " VALUES (?, ?, ?, ?, ?, ?, CAST(CURRENT_TIMESTAMP AS text))",
            kept.number,
            kept.version,
            kept.thing.table,
            kept.thing.column,
            json.dumps({"put_back": kept.put_back, "drop": kept.drop}),
            kept.release,
        )

    def forget_kept(self, number: int) -> None:
        """It was put back, or dropped for good."""
        self._query("DELETE FROM {p}aside WHERE number = ?", number)

    def log(self) -> list[dict[str, Any]]:
        """Everything that was done, oldest first."""
        names = ("seq", "version", "name", "what", "digest", "release", "took_ms", "at")
        rows = self._query(f"SELECT {', '.join(names)} FROM {{p}}log ORDER BY seq") if self._there else []  # noqa: S608
        return [dict(zip(names, row, strict=True)) for row in rows]


def _line(migration: Migration, what: str, took_ms: int, release: str | None = None) -> tuple[str, tuple[Any, ...]]:
    return (
        "INSERT INTO {p}log (seq, version, name, what, digest, release, took_ms, at)"
        " SELECT coalesce(max(seq), 0) + 1, ?, ?, ?, ?, ?, ?, CAST(CURRENT_TIMESTAMP AS text) FROM {p}log",
        (migration.version, migration.name, what, migration.up.digest, release, took_ms),
    )


def _gone(migration: Migration) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    version = (migration.version,)
    return (
        ("DELETE FROM {p}migrations WHERE version = ?", version),
        ("DELETE FROM {p}progress WHERE version = ?", version),
    )
