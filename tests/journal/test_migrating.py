"""The journal's own schema is moved by the engine for everybody's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.proving import prove_history
from lastgood.effects.databases.runner import down, status
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.effects.journal.migrating import NEWEST, migrate, shipped
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.errors import Unavailable


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_journal_has_this_builds_schema_and_the_scripts_in_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    assert version(path) == NEWEST == len(shipped().migrations)
    session = SqliteSession(path)
    standing = status(session, shipped())
    assert (standing.healthy, {entry.state for entry in standing.entries}) == (True, {"applied"})
    session.close()
    SqliteJournal(path).close()


def test_every_migration_of_the_journal_can_be_taken_back(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", create=True)
    assert [proof.verdict for proof in prove_history(session, shipped())] == ["exact"] * NEWEST
    session.close()


def test_a_journal_from_before_there_were_migrations_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_schema WHERE name LIKE 'lastgood!_%' ESCAPE '!'"
        ).fetchall():
            raw.execute(f"DROP TABLE {name}")
        raw.execute("PRAGMA user_version = 0")
        raw.execute("INSERT INTO content VALUES ('d', x'01')")
        raw.commit()
    SqliteJournal(path).close()
    assert version(path) == NEWEST
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT digest FROM content").fetchall() == [("d",)]


def test_an_older_build_says_how_to_go_back_and_can(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {NEWEST + 1}")
    with pytest.raises(Unavailable, match="this build knows") as refused:
        SqliteJournal(path)
    assert "lastgood db down --url sqlite:///" in (refused.value.next or "")
    session = SqliteSession(path)
    assert down(session, None, to="0", consent=Consent(loss=True)).came_back
    session.close()
    migrate(path)
    assert version(path) == NEWEST
