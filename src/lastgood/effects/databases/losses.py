"""Rows that a script takes away, seen in the catalog before and after it inside its transaction, however it did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from lastgood.database.hazards import hazards, renames
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.effects.databases.session import Column, Session
from lastgood.errors import Refused


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that would be, or were, lost with a table or in a column."""

    table: str
    column: str
    rows: int

    def __str__(self) -> str:
        """``3 rows of users`` or ``3 values of users.email``."""
        return (
            f"{self.rows} values of {self.table}.{self.column}" if self.column else f"{self.rows} rows of {self.table}"
        )


@dataclass(frozen=True)
class Before:
    """What there was: every column, and the rows of the tables that the scripts say they drop or delete from."""

    columns: Sequence[Column]
    rows: Mapping[str, int]
    empty: Set[str]
    """Tables of those, lower case as columns have them, in which nothing stood."""


def look_before(session: Session, scripts: Sequence[Script]) -> Before:
    """Taken at the beginning of the transaction."""
    named = {
        hazard.table
        for script in scripts
        for hazard in hazards(script, session.dialect)
        if hazard.kind in ("drops table", "drops rows")
    }
    found = session.counts(sorted(named)) if named else {}
    empty = {name.lower() for name, rows in found.values() if not rows}
    return Before(session.columns(), {asked: rows for asked, (_, rows) in found.items()}, empty)


@dataclass(frozen=True)
class Taken:
    """What is there no more at the end of the transaction: columns still to be counted, and rows already counted."""

    columns: Sequence[Column]
    rows: tuple[Loss, ...]

    def __bool__(self) -> bool:
        return bool(self.columns or self.rows)


def look_after(session: Session, before: Before, executed: Sequence[Statement]) -> Taken:
    """Columns gone by identity and by name, and tables that are still there with fewer rows.

    ``executed``: what really ran, the renamings of managed mode with it, by which SQLite's tables are followed. Nothing
    is lost with a table that was empty.
    """
    after = session.columns()
    followed = Followed(session.dialect, executed)
    left = {column.identity for column in after} | {(c.table.lower(), c.name.lower()) for c in after}
    gone = [
        column
        for column in before.columns
        if column.table.lower() not in before.empty and column.identity not in left
        if not {(column.table.lower(), column.name.lower()), followed.column(column.table, column.name)} & left
    ]
    fewer = (
        Loss(table, "", rows - session.count(now))
        for table, rows in before.rows.items()
        if rows and (now := _stands(table, before.columns, after, followed)) is not None
    )
    return Taken(gone, tuple(loss for loss in fewer if loss.rows > 0))


def _stands(table: str, before: Sequence[Column], after: Sequence[Column], followed: Followed) -> str | None:
    """What a table is called now; None: it is gone, as its columns tell."""
    names = {column.table.lower(): column.table for column in after}
    own = {c.identity for c in before if _is(c.table, table)}
    if (same := next((c.table for c in after if c.identity in own), None)) is not None and followed.by_identity:
        return same
    wanted = followed.column(table, "")[0]
    return next((name for lower, name in names.items() if _is(lower, wanted)), None)


def _is(full: str, asked: str) -> bool:
    full, asked = full.lower(), asked.lower()
    return full == asked or (full.rpartition(".")[2] == asked.rpartition(".")[2] and "." not in asked)


class Followed:
    """SQLite knows its columns by name only: where the statements that ran have renamed them to."""

    def __init__(self, dialect: Dialect, executed: Sequence[Statement]) -> None:
        self.by_identity = dialect == "postgresql"
        self._renames = () if self.by_identity else renames(executed, dialect)

    def column(self, table: str, name: str) -> tuple[str, str]:
        """Table and column as they are called now, lower case."""
        table, name = table.lower(), name.lower()
        for of, old, new in self._renames:
            if not of and old.lower() == table:
                table = new.lower()
            elif of.lower() == table and old.lower() == name:
                name = new.lower()
        return table, name


def counted(session: Session, taken: Taken) -> tuple[Loss, ...]:
    """The rows in what was taken; call it after the rollback. A table that went whole is counted once."""
    widths: dict[str, int] = {}
    for column in session.columns():
        widths[column.table] = widths.get(column.table, 0) + 1
    by_table: dict[str, list[Column]] = {}
    for column in taken.columns:
        by_table.setdefault(column.table, []).append(column)
    losses = list(taken.rows)
    for table, members in by_table.items():
        if len(members) == widths.get(table):
            losses.append(Loss(table, "", session.count(table)))
        else:
            losses.extend(Loss(table, column.name, session.count(table, column)) for column in members)
    return tuple(loss for loss in dict.fromkeys(losses) if loss.rows)


def foreseen(session: Session, scripts: Sequence[Script]) -> tuple[Loss, ...]:
    """What scripts without a transaction would lose, by reading them: they cannot be tried."""
    losses: list[Loss] = []
    for hazard in (hazard for script in scripts for hazard in hazards(script, session.dialect)):
        if hazard.kind in ("drops table", "drops rows"):
            losses.append(Loss(hazard.table, "", session.count(hazard.table)))
        elif hazard.kind == "drops column":
            table = hazard.table.rpartition(".")[2].lower()
            losses.extend(
                Loss(hazard.table, hazard.column, session.count(hazard.table, column))
                for column in session.columns()
                if column.table.rpartition(".")[2].lower() == table and column.name.lower() == hazard.column.lower()
            )
    return tuple(loss for loss in losses if loss.rows)


def refuse_loss(losses: Sequence[Loss], place: str) -> None:
    """Raise ``Refused`` with what would be lost."""
    raise Refused(
        f"this would lose {', '.join(map(str, losses))}; nothing was changed",
        where=place,
        next="save what is needed, then say --accept-loss",
    )
