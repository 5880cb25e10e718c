"""A database as the runner sees it: one connection that the runner alone uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lastgood.database.fingerprint import Fingerprint
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.questions import digest_of_rows, digest_of_schema, question_in
from lastgood.errors import Refused

Trouble = Literal["busy", "timeout", "denied", "gone", "full", "wrong"]


class SqlFailure(Exception):
    """The database refused a statement, in its own words. ``busy``: the same again may work."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait: for a row or table lock, in all for locks, for one statement, for another runner to end."""

    lock_timeout_s: float = 0.5
    retry_for_s: float = 60.0
    statement_timeout_s: float = 900.0
    runner_wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an ordinary table.

    ``identity`` stays when it is renamed, where the database has such a thing; ``default`` is SQL, constants only.
    """

    table: str
    name: str
    identity: Any
    default: str | None = None


class Session(Protocol):
    """One database. Every method that talks to it raises :class:`SqlFailure`."""

    dialect: Dialect
    place: str
    """What to call it in messages: never with a password."""
    url: str
    """Its URL, password and all: for a program that is tried on a scratch copy, and nobody to print."""
    prefix: str
    """What the names of our own tables begin with."""
    limits: Limits

    def execute(self, sql: str) -> None:
        """Run one statement of a script."""
        ...

    def execute_all(self, statements: Sequence[str]) -> None:
        """The same for several of which nobody needs to know which one failed: in one round trip, if there are such."""
        ...

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement of our own; ``?`` stands for a value."""
        ...

    def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Run statements of our own that answer nothing, ``?`` for each value; in a transaction at the latest with
        what comes next, which then fails in their place."""
        ...

    def begin(self) -> None:
        """Begin a transaction that may write."""
        ...

    def commit(self) -> None:
        """Make it last."""
        ...

    def rollback(self) -> None:
        """Harmless when nothing has begun."""
        ...

    def reset(self) -> None:
        """Undo what a script may have changed about the connection: role, search path, time limits, checks."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Hold off every other runner of this database; a killed one lets go. Raises ``Conflict`` after the wait."""
        ...

    def has_books(self, table: str = "log") -> bool:
        """Whether our own tables, or this one of them, are there."""
        ...

    def prepare_books(self) -> None:
        """Make room for our own tables (a schema)."""
        ...

    def fingerprint(self) -> Fingerprint:
        """The schema as it is now, our own tables left out."""
        ...

    def columns(self) -> Sequence[Column]:
        """Every column of every ordinary table, our own left out."""
        ...

    def counts(self, tables: Sequence[str]) -> Mapping[str, tuple[str, int]]:
        """By the name that was asked, for each table that is there: its name as columns have it, and its rows."""
        ...

    def count(self, table: str, column: Column | None = None) -> int:
        """Rows of a table, or rows in which a column says something else than its default; 0 when there is no such."""
        ...

    def rows(self, table: str, names: Sequence[str], limit: int, *, ordered: bool = False) -> list[tuple[Any, ...]]:
        """These columns of at most ``limit`` rows of a table; PostgreSQL gives every value as text.

        ``ordered``: of more rows the same ones each time, whatever moved them: PostgreSQL has to sort them for it.
        """
        ...

    def settle(self, statement: Statement) -> Literal["done", "again", "unknown"]:
        """What became of a statement that ran alone when the runner was killed.

        Repairs what it left: an invalid index is dropped.
        """
        ...

    def invalid_indexes(self) -> Sequence[str]:
        """Indexes that a failed CREATE INDEX CONCURRENTLY left behind."""
        ...

    def scratch(
        self, *, with_rows: bool, scripts: Sequence[Script] = (), empty: bool = False
    ) -> AbstractContextManager[Session]:
        """A copy to try things on, gone afterwards; the live tables are only read.

        ``scripts`` rebuild the schema where it cannot be copied; ``empty``: nothing is copied, only they are run.
        """
        ...

    def cancel(self) -> None:
        """Stop what is running; may be called from another thread."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def own_tables(prefix: str) -> Mapping[str, str]:
    """Names of our own tables by what they hold."""
    return {name: prefix + name for name in ("migrations", "progress", "images", "log")}


def perform(session: Session, statement: Statement) -> None:
    """Run a statement of a script. A question is asked again; ``Refused`` when its answer is another one now."""
    asked = question_in(statement.sql)
    if asked is None:
        session.execute(statement.sql)
        return
    if asked.kind == "schema":
        same = digest_of_schema(session.fingerprint()) == asked.digest
        what = "it was written down for another schema than the one that is there"
        then = "db verify shows what was changed by hand; or write this migration as SQL that does not ask"
    else:
        same = digest_of_rows(session.query(statement.sql)) == asked.digest
        what = "it depends on rows that it reads, and they are not those that it was written down with"
        then = "write this migration as SQL that finds its rows where it runs (UPDATE ... FROM, INSERT ... SELECT)"
    if not same:
        raise Refused(what, where=f"line {statement.line}", next=then)
