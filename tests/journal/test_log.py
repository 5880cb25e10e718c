"""The log that SQLite writes ahead has its size before anything is written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from lastgood.effects.journal.log import LOG_BYTES
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.ports import Stamp
from lastgood.release import events as ev

AT = Stamp(1_700_000_000.0, "boot", 10.0)
DIES = """
import os, sys
from pathlib import Path
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.ports import Stamp
from lastgood.release import events as ev
journal = SqliteJournal(Path(sys.argv[1]))
journal.take_over("me", Stamp(1.0, "boot", 1.0), is_alive=False)
journal.append(Stamp(1.0, "boot", 1.0), [(None, ev.Released(7, "digest"))])
os.kill(os.getpid(), 9)
"""


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_commits_do_not_make_the_log_longer(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(SqliteJournal(path)) as journal:
        size = log_of(path).stat().st_size
        assert size >= LOG_BYTES
        assert log_of(path).stat().st_blocks * 512 >= LOG_BYTES, "blocks, not a hole"
        journal.take_over("me", AT, is_alive=False)
        for number in range(200):
            journal.append(AT, [(None, ev.Released(number, "digest" * 200))])
        assert log_of(path).stat().st_size == size
        assert len(list(journal.read())) == 200
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'filling'").fetchall()
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_was_committed_before_a_kill_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    done = subprocess.run([sys.executable, "-c", DIES, str(path)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert log_of(path).exists()
    with closing(SqliteJournal(path)) as journal:
        assert [event.body for event in journal.read()] == [ev.Released(7, "digest")]


def test_while_another_writes_the_journal_opens_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # somebody writes: the log cannot be filled now
        with closing(SqliteJournal(path)) as journal:
            assert list(journal.read()) == []
        other.execute("ROLLBACK")
