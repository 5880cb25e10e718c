"""SQLite by the standard library. One file is one database; a lock file beside it holds other runners off.

The lock is flock(2) on a file of its own: the kernel drops it when the holder dies, and closing it does not drop
SQLite's own locks (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from lastgood.database.fingerprint import STATE_TABLES, Fingerprint
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.effects.databases.session import Column, Limits, SqlFailure, Trouble
from lastgood.effects.databases.sqlite_schema import quote, read_schema
from lastgood.errors import Conflict, Unavailable

_CONSTANT = re.compile(r"(?is)\s*(?:'(?:[^']|'')*'|[+-]?\d+(?:\.\d+)?|null|true|false|x'[0-9a-f]*')\s*")
_COLUMNS = (
    "SELECT t.name, c.name, c.dflt_value FROM sqlite_schema t, pragma_table_xinfo(t.name) c"
    " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND c.hidden <> 1"
    " AND (t.name NOT LIKE 'lastgood!_%' ESCAPE '!' OR t.name LIKE 'lastgood!_kept!_%' ESCAPE '!')"
)
_NO_SHADOWS = (
    " AND t.name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow')"
    if sqlite3.sqlite_version_info >= (3, 37)
    else ""
)
_TROUBLES: tuple[tuple[str, Trouble], ...] = (
    ("locked", "busy"),
    ("interrupted", "timeout"),
    ("readonly", "denied"),
    ("full", "full"),
    ("unable to open", "gone"),
    ("disk i/o", "gone"),
    ("not a database", "gone"),
)


class SqliteSession:
    """A SQLite file. Foreign keys are not enforced unless a script says so, as in the sqlite3 shell."""

    dialect: Dialect = "sqlite"
    prefix = "lastgood_"

    def __init__(self, path: Path, limits: Limits | None = None, *, create: bool = False) -> None:
        self.limits = limits or Limits()
        self.place = str(path)
        self.url = f"sqlite:///{path}"
        self._path = path
        self._deadline = 0.0
        self._cancelled = False
        if not create and not path.exists():
            raise Unavailable(
                "the database does not exist",
                where=str(path),
                next="check the URL; lastgood db up --create makes a new one",
            )
        try:
            self._connection = sqlite3.connect(
                path, timeout=self.limits.lock_timeout_s, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise Unavailable(
                    f"cannot open the database: {error}", where=str(path), next="check the file"
                ) from None
        self._connection.set_progress_handler(self._overdue, 10_000)

    def _overdue(self) -> bool:
        return bool(self._deadline) and time.monotonic() > self._deadline

    def _run(self, sql: str, values: Sequence[Any] = (), *, timed: bool = False) -> list[tuple[Any, ...]]:
        self._deadline = time.monotonic() + self.limits.statement_timeout_s if timed else 0.0
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            text = str(error)
            trouble: Trouble = next((kind for mark, kind in _TROUBLES if mark in text.lower()), "wrong")
            raise SqlFailure(trouble, text) from None
        finally:
            self._deadline = 0.0

    def execute(self, sql: str) -> None:
        """Run one statement of a script."""
        self._go_on()
        self._run(sql, timed=True)

    def execute_all(self, statements: Sequence[str]) -> None:
        """Run statements of a script, one after another."""
        for sql in statements:
            self.execute(sql)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement of our own; ``?`` stands for a value."""
        return self._run(sql, values)

    def write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Run statements of our own that answer nothing."""
        for sql, values in statements:
            self._run(sql, values)

    def begin(self) -> None:
        """Take the write lock at once: a later upgrade could fail half way."""
        self._go_on()
        self._run("BEGIN IMMEDIATE")

    def _go_on(self) -> None:
        if self._cancelled:
            raise SqlFailure("timeout", "cancelled")

    def commit(self) -> None:
        """Make it last."""
        self._run("COMMIT")

    def rollback(self) -> None:
        """Harmless when nothing has begun."""
        if self._connection.in_transaction:
            self._run("ROLLBACK")

    def reset(self) -> None:
        """Settings that scripts change back to SQLite's defaults; inside a transaction SQLite ignores most of it."""
        if not self._connection.in_transaction:
            for setting in ("foreign_keys", "legacy_alter_table", "ignore_check_constraints", "writable_schema"):
                self._run(f"PRAGMA {setting} = OFF")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock file ``NAME.lastgood-lock``."""
        path = self._path.with_name(self._path.name + ".lastgood-lock")
        give_up = time.monotonic() + self.limits.runner_wait_s
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._mode())
        except OSError as error:
            raise Unavailable(
                f"cannot make the lock file: {error}", where=str(path), next="make the folder writable"
            ) from None
        with os.fdopen(descriptor) as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= give_up:
                        raise Conflict(
                            f"another runner is migrating this database; waited {self.limits.runner_wait_s:g} s",
                            where=self.place,
                            next="wait for it to end and try again",
                        ) from None
                    time.sleep(0.02)
            with self._one_journal_file():
                yield

    @contextmanager
    def _one_journal_file(self) -> Iterator[None]:
        """Let the file of the rollback journal stay between commits: to overwrite its head is as safe as to delete it
        (https://sqlite.org/pragma.html#pragma_journal_mode) and a quarter of a commit cheaper. WAL stays WAL.
        """
        stays = False
        with suppress(SqlFailure):  # locked: then as it is
            if self._run("PRAGMA journal_mode") == [("delete",)]:
                stays = self._run("PRAGMA journal_mode = PERSIST") == [("persist",)]
        try:
            yield
        finally:
            with suppress(SqlFailure):  # a file that stays is empty of meaning, and the next one uses it
                if stays and self._run("PRAGMA journal_mode") == [("persist",)]:
                    self._run("PRAGMA journal_mode = DELETE")

    def _mode(self) -> int:
        """Who may open the database may take its lock, and nobody else."""
        return self._path.stat().st_mode & 0o666 if self._path.exists() else 0o600

    def has_books(self, table: str = "log") -> bool:
        """Whether our own tables, or this one of them, are there."""
        return bool(self._run("SELECT 1 FROM sqlite_schema WHERE name = ?", (self.prefix + table,)))

    def prepare_books(self) -> None:
        """Nothing: our tables stand beside the others."""

    def fingerprint(self) -> Fingerprint:
        """The schema as it is now, our own tables left out."""
        try:
            return read_schema(self._connection, self.prefix).without(STATE_TABLES)
        except sqlite3.Error as error:
            raise SqlFailure("busy" if "locked" in str(error) else "wrong", str(error)) from None

    def columns(self) -> Sequence[Column]:
        """Every column of every table; SQLite knows them by name only. Of a virtual table neither the columns that
        it hides, whose values mean nothing, nor the tables that it stores its rows in.
        """
        rows = self._run(_COLUMNS + _NO_SHADOWS)
        return [
            Column(
                table,
                name,
                (table.lower(), name.lower()),
                default if default and _CONSTANT.fullmatch(default) else None,
            )
            for table, name, default in rows
        ]

    def counts(self, tables: Sequence[str]) -> Mapping[str, tuple[str, int]]:
        """By the name that was asked: the table's name as columns have it, and its rows."""
        known = {name.lower(): name for (name,) in self._run("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        there = {table: found for table in tables if (found := known.get(table.rpartition(".")[2].lower()))}
        return {asked: (name, self.count(name)) for asked, name in there.items()}

    def count(self, table: str, column: Column | None = None) -> int:
        """Rows of a table, or rows in which a column says something else than its default."""
        plain = table.rpartition(".")[2]
        if not self._run("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", (plain,)):
            return 0
        where = ""
        if column is not None:
            known = {c.name.lower() for c in self.columns() if c.table.lower() == plain.lower()}
            if column.name.lower() not in known:
                return 0
            where = f" WHERE {quote(column.name)} IS NOT ({column.default or 'NULL'})"
        return int(self._run(f"SELECT count(*) FROM {quote(plain)}{where}")[0][0])  # noqa: S608

    def rows(self, table: str, names: Sequence[str], limit: int, *, ordered: bool = False) -> list[tuple[Any, ...]]:
        """These columns of at most ``limit`` rows of a table, by their keys, which no update moves."""
        listed = ", ".join(map(quote, names))
        return self._run(f"SELECT {listed} FROM {quote(table)} LIMIT ?", (limit,))  # noqa: S608

    def settle(self, statement: Statement) -> Literal["done", "again", "unknown"]:
        """VACUUM and settings: the same again is harmless."""
        return "again" if statement.alone or statement.setting else "unknown"

    def invalid_indexes(self) -> Sequence[str]:
        """None: SQLite builds an index whole or not at all."""
        return ()

    @contextmanager
    def scratch(
        self, *, with_rows: bool, scripts: Sequence[Script] = (), empty: bool = False
    ) -> Iterator[SqliteSession]:
        """A copy of the whole file by the backup API, which takes no lock that a writer would notice for long."""
        folder = Path(tempfile.mkdtemp(prefix="lg-scratch-"))
        copy = SqliteSession(folder / "scratch.db", self.limits, create=True)
        copy._run("PRAGMA synchronous = OFF")  # nobody asks for it after a power failure
        try:
            if empty:
                copy._run_scripts(scripts)
            elif with_rows:
                self._connection.backup(copy._connection)
            else:
                self._copy_schema(copy)
            yield copy
        finally:
            copy.close()
            shutil.rmtree(folder)

    def _run_scripts(self, scripts: Sequence[Script]) -> None:
        for script in scripts:
            for statement in script.statements:
                self.execute(statement.sql)
            self.reset()

    def _copy_schema(self, copy: SqliteSession) -> None:
        order = "CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid"
        rows = self._run(f"SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY {order}")  # noqa: S608
        for name, sql in rows:
            if not name.startswith(("sqlite_", "lastgood_")):
                copy.execute(sql)

    def cancel(self) -> None:
        """Stop what is running; it ends as a timeout."""
        self._cancelled = True
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
