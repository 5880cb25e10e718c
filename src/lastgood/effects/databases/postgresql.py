"""PostgreSQL by psycopg 3. A session-level advisory lock holds other runners off; it ends with the connection.

The lock is only ever tried, never waited for in a transaction: that would hold up CREATE INDEX CONCURRENTLY for ever.
Behind a pooler that shares connections by transaction, session locks do not hold: connect past it.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg import conninfo

from lastgood.database.fingerprint import STATE_TABLES, Fingerprint
from lastgood.database.hazards import unquoted
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments
from lastgood.effects.databases.postgresql_schema import read_schema
from lastgood.effects.databases.postgresql_tables import count_rows, count_tables, read_columns, read_rows
from lastgood.effects.databases.session import Column, Limits, SqlFailure, Trouble
from lastgood.errors import Conflict, Failed, Unavailable

_LOCK = 0x6C617374676F6F64 >> 1
_BUSY = {"55P03", "40P01", "40001"}
_TROUBLES: dict[str, Trouble] = {
    **dict.fromkeys(_BUSY, "busy"),
    "57014": "timeout",
    "42501": "denied",
    "25006": "denied",
    "53100": "full",
}
_INDEX = re.compile(
    r"(?is)create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(\"[^\"]+\"|\w+)\s+on\s+(?:only\s+)?(\S+)"
)
_DROPPED = re.compile(r"(?is)drop\s+index\s+concurrently\s+(?:if\s+exists\s+)?([^\s;,]+)\s*$")
_REPEATABLE = re.compile(r"(?is)(?:vacuum|reindex|cluster|alter\s+system|refresh)")


_WATCH = "SET client_connection_check_interval = 1000"
"""Milliseconds. Without it a statement goes on, and holds its locks, long after its runner was killed."""


class PostgresqlSession:
    """One database of a server, over one connection in autocommit mode."""

    dialect: Dialect = "postgresql"
    prefix = "lastgood."

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._cancelled = False
        self._url = _unmistakable("postgresql" + url[url.index("://") :] if "://" in url else url)
        self.place = _place(self._url)
        self.url = self._url
        try:
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=10, application_name="lastgood", prepare_threshold=None
            )
        except psycopg.Error as error:
            words = " ".join(str(error).split())  # the first line says what, the others where to look
            raise Unavailable(
                f"cannot connect: {words}", where=self.place, next="check server, role and password"
            ) from None
        self._waiting: list[bytes] = []
        self._clean = self._reset_due = False
        try:
            self._watches = self._can_watch()
            self.reset()
        except SqlFailure as failure:
            self._connection.close()
            what, then = f"cannot begin: {failure.message}", "run the same command again"
            raise Unavailable(what, where=self.place, next=then) from None

    def _guard(self, call: Any) -> Any:
        try:
            return call()
        except psycopg.Error as error:
            code = error.sqlstate or ""
            trouble = _TROUBLES.get(code, "wrong")
            if self._connection.closed or self._connection.broken or code.startswith(("08", "57P")):
                trouble = "gone"
            raise SqlFailure(trouble, _words(error)) from None

    def execute(self, sql: str) -> None:
        """Run one statement of a script."""
        self._go_on()
        self._send()  # by itself: an error is the statement's own
        self._clean = False
        self._guard(lambda: self._connection.execute(sql.encode()))

    def execute_all(self, statements: Sequence[str]) -> None:
        """Run statements of a script, in one round trip."""
        self._go_on()
        self._clean = False
        self._send("\n;".join((*statements, "")).encode())

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement of our own; ``?`` stands for a value."""

        def call() -> list[tuple[Any, ...]]:
            text = sql.replace("%", "%%").replace("?", "%s") if values else sql
            cursor = self._connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        self._send()
        found: list[tuple[Any, ...]] = self._guard(call)
        return found

    def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Run statements of our own that answer nothing; in a transaction they wait for what is sent next.

        Their values are written into the text, so that one round trip does for all, and for the commit as well.
        """
        self._waiting += self._guard(lambda: [self._written(sql, values) for sql, values in statements])
        if not self._in_transaction():
            self._send()

    def _written(self, sql: str, values: Sequence[Any]) -> bytes:
        if not values:
            return sql.encode()
        cursor = psycopg.ClientCursor(self._connection)
        return cursor.mogrify(sql.replace("%", "%%").replace("?", "%s").encode(), values).encode()

    def _in_transaction(self) -> bool:
        return bool(self._connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS)

    def _send(self, last: bytes = b"") -> None:
        """What waits, and ``last`` behind it, in one round trip. A reset that is due comes with the next BEGIN."""
        due = self._reset() if self._reset_due else []
        texts = [b"BEGIN", *due] if last == b"BEGIN" else [*due, *self._waiting, *([last] if last else [])]
        self._waiting, self._reset_due = [], False
        if texts:
            self._guard(lambda: self._connection.execute(b";".join(texts)))

    def begin(self) -> None:
        """Begin a transaction."""
        self._go_on()
        self._send(b"BEGIN")

    def _go_on(self) -> None:
        if self._cancelled:
            raise SqlFailure("timeout", "cancelled")

    def commit(self) -> None:
        """Make it last."""
        self._send(b"COMMIT")

    def rollback(self) -> None:
        """Harmless when nothing has begun."""
        self._waiting, self._clean = [], False
        if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.query("ROLLBACK")

    def reset(self) -> None:
        """Role, search path and all settings back to what the role has, then our time limits.

        Once more after a commit that only had it and our own lines behind it: that waits for the next transaction.
        """
        if self._clean and not self._in_transaction():
            self._reset_due = True
            return
        self._waiting += self._reset()
        self._clean = True
        if not self._in_transaction():
            self._send()

    def _reset(self) -> list[bytes]:
        lock_ms, statement_ms = int(self.limits.lock_timeout_s * 1000), int(self.limits.statement_timeout_s * 1000)
        said = ["RESET SESSION AUTHORIZATION", "RESET ALL", f"SET lock_timeout = {lock_ms}"]
        said += [f"SET statement_timeout = {statement_ms}", "SET idle_in_transaction_session_timeout = 0"]
        return [text.encode() for text in (*said, *((_WATCH,) if self._watches else ()))]

    def _can_watch(self) -> bool:
        """Whether the server can look, while a statement runs, if its client still lives (from 14 on, on Linux)."""
        try:
            self.write((_WATCH, ()))
        except SqlFailure as failure:
            if failure.trouble == "gone":
                raise
            return False
        return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the advisory lock of this database."""
        give_up = time.monotonic() + self.limits.runner_wait_s
        while not self.query("SELECT pg_try_advisory_lock(?)", _LOCK)[0][0]:
            if time.monotonic() >= give_up:
                raise Conflict(
                    f"another runner ({self._holder()}) is migrating this database;"
                    f" waited {self.limits.runner_wait_s:g} s",
                    where=self.place,
                    next="wait for it to end and try again",
                )
            time.sleep(0.05)
        try:
            yield
        finally:
            if not self._connection.closed and not self._connection.broken:
                self.rollback()
                self.query("SELECT pg_advisory_unlock(?)", _LOCK)

    def _holder(self) -> str:
        rows = self.query(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = ?", _LOCK & 0xFFFFFFFF
        )
        return f"server process {rows[0][0]}" if rows else "unknown"

    def has_books(self, table: str = "log") -> bool:
        """Whether our own tables, or this one of them, are there."""
        return bool(self.query("SELECT 1 WHERE to_regclass(?) IS NOT NULL", self.prefix + table))

    def prepare_books(self) -> None:
        """Make the schema ``lastgood``."""
        self.query("CREATE SCHEMA IF NOT EXISTS lastgood")

    def fingerprint(self) -> Fingerprint:
        """The schema as it is now, our own left out; names are written with their schemas."""
        (before,) = self.query("SELECT current_setting('search_path')")
        self.query("SELECT set_config('search_path', '', false)")
        found = read_schema(self.query).without(STATE_TABLES)  # on failure the caller resets
        self.query("SELECT set_config('search_path', ?, false)", before[0])
        return found

    def columns(self) -> Sequence[Column]:
        """Every column of every ordinary table; its identity is table oid and attribute number."""
        return read_columns(self.query)

    def counts(self, tables: Sequence[str]) -> Mapping[str, tuple[str, int]]:
        """By the name that was asked: the table's name as columns have it, and its rows; in two round trips."""
        return count_tables(self.query, tables)

    def count(self, table: str, column: Column | None = None) -> int:
        """Rows of a table, or rows in which a column says something else than its default."""
        return count_rows(self.query, table, column)

    def rows(self, table: str, names: Sequence[str], limit: int, *, ordered: bool = False) -> list[tuple[Any, ...]]:
        """These columns of at most ``limit`` rows of a table, every value as text."""
        return read_rows(self.query, table, names, limit, ordered=ordered)

    def settle(self, statement: Statement) -> Literal["done", "again", "unknown"]:
        """Look into the catalog for what the statement makes; an invalid index is dropped."""
        sql = without_comments(statement.sql, self.dialect)
        if match := _INDEX.match(sql):
            return self._settle_index(unquoted(match[1]))
        if match := _DROPPED.match(sql):
            return "again" if self._index(unquoted(match[1])) else "done"
        return "again" if _REPEATABLE.match(sql) else "unknown"

    def _index(self, name: str) -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT c.oid::regclass::text, x.indisvalid FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname IN (?, lower(?))"
            " OR n.nspname || '.' || c.relname IN (?, lower(?))",
            *([name] * 4),
        )

    def _settle_index(self, name: str) -> Literal["done", "again"]:
        rows = self._index(name)
        if rows and rows[0][1]:
            return "done"
        if rows:
            self.query(f"DROP INDEX CONCURRENTLY {rows[0][0]}")
        return "again"

    def invalid_indexes(self) -> Sequence[str]:
        """Indexes that a failed CREATE INDEX CONCURRENTLY left behind, which IF NOT EXISTS would hide."""
        return [
            row[0]
            for row in self.query("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1")
        ]

    @contextmanager
    def scratch(
        self, *, with_rows: bool, scripts: Sequence[Script] = (), empty: bool = False
    ) -> Iterator[PostgresqlSession]:
        """A database of its own on the same server, made by running ``scripts``; rows are not copied here.

        Not a template copy of the live one: that would shut its users out.
        """
        name = f"lastgood_scratch_{uuid.uuid4().hex[:12]}"
        try:
            self.query(f'CREATE DATABASE "{name}" TEMPLATE template0')
        except SqlFailure as failure:
            then = "give the role CREATEDB: a proof needs a database of its own"
            raise Unavailable(failure.message, where=self.place, next=then) from None
        copy = None
        try:
            copy = PostgresqlSession(conninfo.make_conninfo(self._url, dbname=name), self.limits)
            copy.url = _with_database(self._url, name)
            for script in scripts:
                for statement in script.statements:
                    copy.execute(statement.sql)
                copy.reset()
            yield copy
        finally:
            if copy is not None:
                copy.close()
            self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def cancel(self) -> None:
        """Stop what is running; it ends as a timeout."""
        self._cancelled = True
        self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _unmistakable(url: str) -> str:
    """The same; refused where a part of an unescaped password would be taken for a host or a database, and shown."""
    authority, _, path = url.partition("://")[2].partition("/")  # as libpq reads it
    if authority.count("@") > 1 or "@" in path.partition("?")[0]:
        raise Failed(
            "the URL of the database cannot be read: an @ stands where none can be",
            next="write what is special in a password as %40 (@), %2F (/), %3A (:), %3F (?), %23 (#), %25 (%)",
        )
    return url


def _with_database(url: str, name: str) -> str:
    """The same URL with another database; drivers of other languages read URLs, not libpq's words."""
    scheme, there, rest = url.partition("://")
    if not there:
        return conninfo.make_conninfo(url, dbname=name)
    authority, _, path = rest.partition("/") if "/" in rest else rest.partition("?")
    options = path.partition("?")[2] if "/" in rest else path
    kept = "&".join(option for option in options.split("&") if option and not option.startswith("dbname="))
    return f"{scheme}://{authority}/{name}{'?' if kept else ''}{kept}"


def _place(url: str) -> str:
    try:
        known = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise Failed("the URL of the database cannot be read", next="write postgresql://USER@HOST:PORT/NAME") from None
    return f"postgresql://{known.get('host') or 'localhost'}/{known.get('dbname') or ''}"


def _words(error: psycopg.Error) -> str:
    diagnosed = error.diag
    text = diagnosed.message_primary or str(error).strip()
    detail = f" ({diagnosed.message_detail})" if diagnosed.message_detail else ""
    return text + detail
