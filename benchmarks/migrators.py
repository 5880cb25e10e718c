"""One history of a SQLite database, applied and reverted by Lastgood and by others, as their users run them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import Size, Table

COLUMNS = ("tool", "apply ms", "beside the fastest", "revert ms", "beside the fastest")
MIGRATIONS, SMOKE_MIGRATIONS = 50, 3


@dataclass(frozen=True)
class Tool:
    """How one tool is written for and run; ``down`` may be several commands."""

    name: str
    program: Sequence[str] | None
    write: Callable[[Path, int], None]
    up: Callable[[Path], Sequence[str]]
    down: Callable[[Path], Sequence[str]]
    one_by_one: bool = False


def _up(n: int) -> str:
    table = f"CREATE TABLE t{n} (id integer PRIMARY KEY, name text NOT NULL, price integer);\n"
    return f"{table}CREATE INDEX i{n} ON t{n} (name);\n"


def _down(n: int) -> str:
    return f"DROP TABLE t{n};\n"


def _pairs(folder: Path, count: int) -> None:
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.up.sql").write_text(_up(n))
        (folder / f"{n:04}_t.down.sql").write_text(_down(n))


def _dbmate(folder: Path, count: int) -> None:
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.sql").write_text(f"-- migrate:up\n{_up(n)}\n-- migrate:down\n{_down(n)}")


def _yoyo(folder: Path, count: int) -> None:
    for n in range(1, count + 1):
        (folder / f"{n:04}_t.sql").write_text(_up(n))
        (folder / f"{n:04}_t.rollback.sql").write_text(_down(n))


def _alembic(folder: Path, count: int) -> None:
    (folder / "versions").mkdir()
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\npath_separator = os\n")
    (folder / "env.py").write_text(
        "from alembic import context\nfrom sqlalchemy import create_engine\n"
        f"with create_engine('sqlite:///{folder}/t.db').connect() as connection:\n"
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


def _sqitch(folder: Path, count: int) -> None:
    (folder / "sqitch.conf").write_text("[core]\n\tengine = sqlite\n[user]\n\tname = b\n\temail = b@example.org\n")
    lines = ["%syntax-version=1.0.0", "%project=bench", ""]
    for kind in ("deploy", "revert"):
        (folder / kind).mkdir()
    for n in range(1, count + 1):
        lines.append(f"t{n} 2026-01-01T00:00:{n % 60:02}Z b <b@example.org> # t{n}")
        (folder / "deploy" / f"t{n}.sql").write_text(f"BEGIN;\n{_up(n)}COMMIT;\n")
        (folder / "revert" / f"t{n}.sql").write_text(f"BEGIN;\n{_down(n)}COMMIT;\n")
    (folder / "sqitch.plan").write_text("\n".join(lines) + "\n")


def _tools(bench: Path) -> list[Tool]:
    """Those that are there: ``LASTGOOD_PEERS`` holds ``dbmate`` and ``yoyo``, Sqitch is the system's."""
    here, python = str(Path(sys.executable).parent), sys.executable
    url = "sqlite:///{}/t.db"
    dbmate, yoyo = _found("dbmate", bench), _found("yoyo", bench)

    def lastgood(verb: str, *more: str) -> Callable[[Path], Sequence[str]]:
        return lambda f: [f"{here}/lastgood", "db", verb, "--url", url.format(f), "--migrations", str(f), *more]

    def with_dbmate(verb: str) -> Callable[[Path], Sequence[str]]:
        return lambda f: [dbmate, "--url", f"sqlite:{f}/t.db", "-d", str(f), "--no-dump-schema", verb]

    def with_yoyo(*verb: str) -> Callable[[Path], Sequence[str]]:
        return lambda f: [yoyo, *verb, "--batch", "--no-config-file", "--database", url.format(f), str(f)]

    def with_alembic(*verb: str) -> Callable[[Path], Sequence[str]]:
        return lambda f: [python, "-m", "alembic", "-c", f"{f}/alembic.ini", *verb]

    def with_sqitch(*verb: str) -> Callable[[Path], Sequence[str]]:
        return lambda f: ["sqitch", "-C", str(f), *verb, f"db:sqlite:{f}/t.db"]

    tools = [
        Tool("Lastgood", [f"{here}/lastgood"], _pairs, lastgood("up", "--create"), lastgood("down", "--to", "0")),
        Tool("dbmate", [dbmate] if dbmate else None, _dbmate, with_dbmate("up"), with_dbmate("rollback"), True),
        Tool("Alembic", [python], _alembic, with_alembic("upgrade", "head"), with_alembic("downgrade", "base")),
        Tool("yoyo", [yoyo] if yoyo else None, _yoyo, with_yoyo("apply"), with_yoyo("rollback", "--all")),
        Tool(
            "Sqitch",
            ["sqitch"] if shutil.which("sqitch") else None,
            _sqitch,
            with_sqitch("deploy", "--no-verify"),
            with_sqitch("revert", "-y"),
        ),
    ]
    return [tool for tool in tools if tool.program]


def _found(name: str, folder: Path) -> str:
    return next(
        (str(path) for path in sorted(folder.glob(f"**/*bin/{name}")) if path.exists()), shutil.which(name) or ""
    )


def run(size: Size) -> Table:
    """All tools in turns, so that each meets the same machine."""
    count = SMOKE_MIGRATIONS if size.name == "smoke" else MIGRATIONS
    peers = Path(os.environ.get("LASTGOOD_PEERS", "/nowhere"))
    tools = _tools(peers)
    found: dict[str, tuple[list[float], list[float]]] = {tool.name: ([], []) for tool in tools}
    for _ in range(size.repeats):
        for tool in tools:
            away, back = _once(tool, count)
            found[tool.name][0].append(away)
            found[tool.name][1].append(back)
    ups = {name: statistics.median(times[0]) for name, times in found.items()}
    downs = {name: statistics.median(times[1]) for name, times in found.items()}
    return Table(
        "migrators",
        f"{count} migrations of a SQLite file, applied and reverted",
        COLUMNS,
        [(name, f"{ups[name]:.0f}", _beside(name, ups), f"{downs[name]:.0f}", _beside(name, downs)) for name in found],
        [
            "The whole command, from its start to its end; medians. Each migration makes a table and an index. dbmate "
            "reverts one migration with each command, so that its way back is that many commands. Lastgood also keeps "
            "the scripts and an image of the schema in the database, and compares the two when it is back; Sqitch "
            "does not verify."
        ],
        {name: [list(times) for times in pair] for name, pair in found.items()},
    )


def _beside(name: str, times: dict[str, float]) -> str:
    return f"{times[name] / min(times.values()):.2f}"


def _once(tool: Tool, count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="lg-mig-", dir="/tmp") as name:
        folder = Path(name)
        tool.write(folder, count)
        up_ms = _timed(tool.up(folder), folder)
        assert _tables(folder) == count, tool.name
        down_ms = sum(_timed(tool.down(folder), folder) for _ in range(count if tool.one_by_one else 1))
        assert _tables(folder) == 0, tool.name
        return up_ms, down_ms


def _timed(command: Sequence[str], folder: Path) -> float:
    began_s = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took_ms = (time.perf_counter() - began_s) * 1e3
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return took_ms


def _tables(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "t.db")) as raw:
        row = raw.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 't[0-9]*'").fetchone()
    return int(row[0])
