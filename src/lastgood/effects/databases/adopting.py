"""Taking over a database that another tool migrated: its state table says what is applied, the checkout how.

The other tool's table stays as it is, and is not kept up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lastgood.database.migration import History, Migration, version_key
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import Refused

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over, and from whose table."""

    tool: str
    versions: tuple[str, ...]


def adopt(session: Session, history: History, *, to: str | None = None) -> Adopted:
    """Enter into our books what a state table says, or, with ``to`` and no such table, everything up to that version.

    Raises ``Refused``: nothing to adopt, already adopted, a dirty state, versions that the checkout does not have.
    """
    try:
        with session.lock():
            books = Books(session)
            books.open()
            if books.applied():
                raise Refused(
                    "lastgood already looks after this database", where=session.place, next="lastgood db status"
                )
            tool, applied = _by_hand(history, to) if to else _found(session, history)
            image = books.keep_image(session.fingerprint())
            session.begin()
            for position, migration in enumerate(applied):
                books.adopt(migration, tool, image if position == len(applied) - 1 else None)
            session.commit()
            return Adopted(tool, tuple(migration.version for migration in applied))
    except SqlFailure as failure:
        session.rollback()
        raise explain(failure, session.place) from None


def _by_hand(history: History, to: str) -> tuple[str, list[Migration]]:
    return "a person", _up_to(history, to)


def _found(session: Session, history: History) -> tuple[str, list[Migration]]:
    for tool, sql, read in _TABLES:
        try:
            rows = session.query(sql)
        except SqlFailure:
            continue
        return tool, read(history, rows)
    raise Refused(
        "no state table of a tool we know was found"
        " (dbmate, golang-migrate, goose, Alembic, Diesel, Sqitch, sql-migrate)",
        where=session.place,
        next="say which version the schema has: lastgood db adopt --to VERSION",
    )


def _up_to(history: History, version: str) -> list[Migration]:
    target = history.find(version)
    if target is None:
        raise _unknown([version])
    return list(history.migrations[: history.migrations.index(target) + 1])


def _unknown(versions: Sequence[str]) -> Refused:
    return Refused(
        f"the checkout has no migration {', '.join(versions)}, which the database has",
        next="check out the revision that is deployed, and adopt from there",
    )


def _listed(history: History, versions: Sequence[str]) -> list[Migration]:
    missing = [version for version in versions if history.find(version) is None]
    if missing:
        raise _unknown(missing)
    wanted = {version_key(version) for version in versions}
    return [migration for migration in history.migrations if version_key(migration.version) in wanted]


def _every_row(history: History, rows: Rows) -> list[Migration]:
    return _listed(history, [str(row[0]) for row in rows])


def _golang_migrate(history: History, rows: Rows) -> list[Migration]:
    if not rows:
        return []
    version, dirty = rows[0]
    if dirty:
        raise Refused(
            f"golang-migrate left version {version} dirty: nobody knows how much of it was applied",
            next="look at the schema, finish or undo that migration by hand, set dirty to false, adopt then",
        )
    return _up_to(history, str(version))


def _goose(history: History, rows: Rows) -> list[Migration]:
    """The last row of a version counts: goose adds one for each up and down."""
    latest = {str(version): bool(applied) for version, applied in rows}
    return _listed(history, [version for version, applied in latest.items() if applied and version != "0"])


def _alembic(history: History, rows: Rows) -> list[Migration]:
    if not rows:
        return []
    if len(rows) > 1:
        heads = ", ".join(str(row[0]) for row in rows)
        raise Refused(f"Alembic has several heads ({heads})", next="merge them with Alembic, and adopt then")
    return _up_to(history, str(rows[0][0]))


def _file_names(history: History, rows: Rows) -> list[Migration]:
    return _listed(history, [re.split(r"[_\-.]", str(row[0]), maxsplit=1)[0] for row in rows])


def _sqitch(history: History, rows: Rows) -> list[Migration]:
    """What is deployed must be the beginning of the plan; the registry knows changes by name."""
    names = [str(row[0]) for row in rows]
    first = list(history.migrations[: len(names)])
    unknown = sorted(set(names) - {migration.name for migration in first})
    if unknown or len(first) < len(names):
        raise _unknown(unknown or names)
    return first


_TABLES: tuple[tuple[str, str, Callable[[History, Rows], list[Migration]]], ...] = (
    ("golang-migrate", "SELECT version, dirty FROM schema_migrations", _golang_migrate),
    ("dbmate", "SELECT version FROM schema_migrations", _every_row),
    ("goose", "SELECT version_id, is_applied FROM goose_db_version ORDER BY id", _goose),
    ("Alembic", "SELECT version_num FROM alembic_version", _alembic),
    ("Diesel", "SELECT version FROM __diesel_schema_migrations", _every_row),
    ("Sqitch", "SELECT change FROM sqitch.changes ORDER BY committed_at", _sqitch),
    ("sql-migrate", "SELECT id FROM gorp_migrations", _file_names),
)
