"""Revisions that ask the database while they run: run on a scratch database, and written down as what they did.

What they read is written down with them: the schema as a whole, and the answer of each query on rows. The runner asks
again where the script runs (``lastgood.database.questions``), so that a script for other answers changes nothing.
"""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import unquote

from lastgood.database.migration import Dialect
from lastgood.database.questions import Question, asks_catalog_only, digest_of_rows, digest_of_schema, written
from lastgood.database.splitter import split, tokens
from lastgood.effects.databases.session import Session, SqlFailure

_READS = re.compile(r"(?is)\s*(?:--[^\n]*\n\s*)*(?:select|values|table|show|explain|with|pragma)\b")
_WRITES = re.compile(r"(?i)\b(?:insert|update|delete|merge)\b")
_SETTING = re.compile(r"(?is)\s*pragma\s+(?:\w+\.)?\w+\s*(?:=|\(\s*(?:on|off|\d)\b)")
_NESTED = re.compile(r"(?i)\s*(?:savepoint|release)\b")
_TABLES = {
    "sqlite": "SELECT lower(name) FROM sqlite_schema WHERE type IN ('table', 'view')",
    "postgresql": "SELECT lower(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg!_%' ESCAPE '!'"
    " AND n.nspname <> 'information_schema'",
}
KEYS_READ = re.compile(r"\.(?:lastrowid|inserted_primary_key\w*|returning|returned_defaults)\b")
"""What a revision can only learn where it runs, and no query of ours can ask again."""


_COUNTS = re.compile(r"\.rowcount\b")
_CAST_TEXT = re.compile(r"(%\(\w+\)s)::VARCHAR(?:\(\d+\))?")
_CONCURRENTLY = re.compile(r"(?i)^(\s*(?:create\s+(?:unique\s+)?index|drop\s+index))\s+concurrently\b")
_IDLE = re.compile(r"(?is)BEGIN$|\s*pragma\s+foreign_keys\s*=")
"""What does nothing inside a transaction of SQLite."""
_DEFINES = re.compile(r"(?i)\s*(?:create|alter|drop)\b")
_CHANGES = re.compile(r"(?is)\s*(?:with\b.*)?\b(?:insert|update|delete)\b")


class CannotRecord(Exception):
    """What it did cannot be written down so that it is right on another database."""


class Recorder:
    """A scratch database that stands where the revision that is written down begins.

    ``session`` and the recording take turns; what is recorded is rolled back.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine = _engine(session)

    def advance(self, text: str, label: str) -> None:
        """Run the script of a revision for good; raises ``CannotRecord``."""
        try:
            for statement in split(text, self._session.dialect):
                self._session.execute(statement.sql)
        except SqlFailure as failure:
            raise CannotRecord(f"{label}, which comes before it, fails: {failure.message}") from None

    def record(self, work: Callable[[], None], within: Callable[[Any], Any], source: str) -> str:
        """The script of what ``work`` does; ``within`` makes Alembic's context of a connection.

        ``source``: the text of the revision. Raises ``CannotRecord``, and whatever ``work`` raises.
        """
        if match := KEYS_READ.search(source):
            raise CannotRecord(f"it reads {match[0][1:]} of what it wrote, which is known only where it runs")
        before = digest_of_schema(self._session.fingerprint())
        with self._engine.connect() as connection:
            transaction = connection.begin()
            taking = _Taking(connection, self._session.dialect, counts=bool(_COUNTS.search(source)))
            try:
                with taking.listening(), within(connection) as context, taking.blind(context.impl):
                    context.autocommit_block = nullcontext  # here and where it runs: all of it or nothing
                    work()
                    if not transaction.is_active:
                        raise CannotRecord("it ends the transaction that it runs in")
            finally:
                transaction.rollback()
        return taking.script(before)

    def close(self) -> None:
        """Let go of the scratch database."""
        self._engine.dispose()


def _engine(session: Session) -> Any:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    if session.dialect == "postgresql":
        import psycopg

        def connect() -> Any:
            return psycopg.connect(session.url, cursor_factory=psycopg.ClientCursor)

        return create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    path = unquote(session.url.removeprefix("sqlite:///"))
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


class _Taking:
    """Takes down each statement of one run, with its values in it."""

    def __init__(self, connection: Any, dialect: Dialect, *, counts: bool) -> None:
        """``counts``: the revision looks at how many rows a statement changed."""
        self._connection, self._dialect, self._counts = connection, dialect, counts
        self._statements: list[str] = []
        self._blind = self._asked_schema = False
        self._before = 0
        self._failed_on: str | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of every statement of this connection, and of new rows of the ORM."""
        from sqlalchemy import event
        from sqlalchemy.orm import Session as Orm

        event.listen(self._connection, "before_cursor_execute", self._heard, retval=True)
        event.listen(self._connection, "after_cursor_execute", self._ended)
        event.listen(Orm, "before_flush", _refuse_new_rows)
        event.listen(self._connection.engine, "handle_error", self._failed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            event.remove(self._connection.engine, "handle_error", self._failed)
            event.remove(Orm, "before_flush", _refuse_new_rows)
            event.remove(self._connection, "after_cursor_execute", self._ended)
            event.remove(self._connection, "before_cursor_execute", self._heard)

    @contextmanager
    def blind(self, impl: Any) -> Iterator[None]:
        """``op.execute`` gives no answer: a query by it is run for its effect."""
        plain = impl.execute

        def execute(*args: Any, **kwargs: Any) -> Any:
            self._blind = True
            try:
                return plain(*args, **kwargs)
            finally:
                self._blind = False

        impl.execute = execute
        yield

    def _heard(self, _: Any, cursor: Any, sql: str, values: Any, context: Any, many: bool) -> tuple[str, Any]:
        """Before a statement runs. A text as a value has no type, as in Alembic's offline mode.

        An index is built with its lock: what asks and what is built have to be one transaction.
        """
        raw = cursor.connection
        self._before = len(self._statements)
        if self._dialect == "postgresql":
            sql = _CONCURRENTLY.sub(r"\1", _CAST_TEXT.sub(r"\1", sql))
            if not values and not _for_psycopg(raw, sql):
                sql = sql.replace("%", "%%")  # written for a driver that knows no placeholders of this kind
        rows: Sequence[Any] = values if many and isinstance(values, list) else [values]
        for row in rows:
            plain = context is not None and context.execution_options.get("no_parameters")
            text = sql if plain else _literal(raw, sql, row, self._dialect)
            self._take(raw, text.strip().rstrip(";").rstrip())
        return sql, values

    def _ended(self, _: Any, cursor: Any, sql: str, _values: Any, _context: Any, many: bool) -> None:
        """After it: how many rows it changed is a question, where the revision looks at that."""
        if not self._counts or self._blind or not _CHANGES.match(sql) or cursor.description is not None:
            return
        if many:
            raise CannotRecord("it counts the rows of many statements at once, which cannot be asked again")
        asked = Question("rows", digest_of_rows([[1]] * cursor.rowcount))
        self._statements.append(written(asked, f"{self._statements.pop()}\nRETURNING 1"))

    def _failed(self, _: Any) -> None:
        """A statement failed. Where the revision goes on, it took no effect: what changes the schema fails by that."""
        for sql in self._statements[self._before :]:
            if not _DEFINES.match(sql):
                self._failed_on = sql
        del self._statements[self._before :]
        self._asked_schema = True

    def _take(self, raw: Any, sql: str) -> None:
        if _NESTED.match(sql) or (self._dialect == "sqlite" and _IDLE.match(sql)):
            return
        reads = _READS.match(sql) and not _SETTING.match(sql)
        if reads and sql[:4].lower() == "with" and _WRITES.search(sql):
            reads = None
        if not reads or self._blind:
            self._statements.append(sql)
        elif asks_catalog_only(sql, self._dialect, self._tables(raw)):
            self._asked_schema = True
        else:
            found = raw.cursor().execute(sql).fetchall()
            self._statements.append(written(Question("rows", digest_of_rows(found)), sql))

    def _tables(self, raw: Any) -> set[str]:
        return {row[0] for row in raw.cursor().execute(_TABLES[self._dialect]).fetchall()}

    def script(self, schema_before: str) -> str:
        """What was taken down; the question for the schema stands after settings of the connection.

        Raises ``CannotRecord`` where it went on after a statement that may fail here and not elsewhere.
        """
        if self._failed_on is not None:
            words = " ".join(self._failed_on.split())[:60]
            raise CannotRecord(f"it goes on after a statement that fails, which may depend on rows: {words}")
        found = list(self._statements)
        if self._asked_schema and found:
            place = next((n for n, sql in enumerate(found) if not _SETTING.match(sql)), len(found))
            found.insert(place, written(Question("schema", schema_before), "SELECT 1"))
        return "".join(f"{sql}\n;\n\n" for sql in found)


def _for_psycopg(raw: Any, sql: str) -> bool:
    import psycopg

    try:
        psycopg.ClientCursor(raw).mogrify(sql, ())
    except psycopg.ProgrammingError:
        return False
    return True


def _refuse_new_rows(session: Any, _context: Any, _instances: Any) -> None:
    if session.new:
        raise CannotRecord("it adds rows through the ORM, whose keys are known only where it runs")


def _literal(raw: Any, sql: str, values: Any, dialect: Dialect) -> str:
    """The statement with its values written into it, by the database's own rules for writing them."""
    if dialect == "postgresql":
        import psycopg

        return str(psycopg.ClientCursor(raw).mogrify(sql, values))
    if not values:
        return sql
    rest = iter(values)
    asking = raw.cursor()

    def one(value: Any) -> str:
        return str(asking.execute("SELECT quote(?)", (value,)).fetchone()[0])

    pieces = tokens(sql, dialect)
    return "".join(one(next(rest)) if token.text == "?" else token.text for token in pieces)
