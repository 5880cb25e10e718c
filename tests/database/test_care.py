"""Repair, adoption of a Sqitch registry, locks and lint shown."""

from __future__ import annotations

import pytest

from lastgood.database.locks import locks_of
from lastgood.database.migration import History, Script
from lastgood.database.reader import read_history
from lastgood.database.script import make_script
from lastgood.effects.databases.adopting import adopt
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.lint import remarks
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.repairing import repair
from lastgood.effects.databases.runner import status, up
from lastgood.effects.databases.session import SqlFailure
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Failed, Refused


def read(files: dict[str, str]) -> History:
    return read_history({name: text.encode() for name, text in files.items()}, "postgresql")


def script(sql: str) -> Script:
    made = make_script([(1, sql)], "postgresql", "a.sql")
    assert isinstance(made, Script)
    return made


@pytest.fixture
def session(postgresql_url: str):  # type: ignore[no-untyped-def]
    made = PostgresqlSession(postgresql_url)
    yield made
    made.close()


def test_an_invalid_index_is_built_again_once_its_rows_allow_it(session: PostgresqlSession) -> None:
    session.query("CREATE TABLE goods (name text)")
    session.query("INSERT INTO goods VALUES ('a'), ('a')")
    with pytest.raises(SqlFailure):
        session.execute("CREATE UNIQUE INDEX CONCURRENTLY names ON goods (name)")
    assert status(session, None).invalid_indexes == ("names",)
    with pytest.raises(Failed, match=r"index names cannot be built: .*duplicate|could not create unique index"):
        repair(session)
    assert status(session, None).invalid_indexes == ("names",), "nothing more was left behind"
    session.query("DELETE FROM goods WHERE ctid = (SELECT min(ctid) FROM goods)")
    assert repair(session).rebuilt == ("names",)
    assert status(session, None).healthy
    assert repair(session).nothing


def test_what_a_killed_run_left_is_finished(session: PostgresqlSession) -> None:
    history = read(
        {
            "1_a.up.sql": "CREATE TABLE a (x int); CREATE INDEX CONCURRENTLY ax ON a (x);",
            "1_a.down.sql": "DROP TABLE a;",
        }
    )
    books = Books(session)
    books.open()
    (migration,) = history.migrations
    books.begin_up(migration, None, None)
    session.execute("CREATE TABLE a (x int)")
    books.mark(migration, "up", 0, "done")
    books.mark(migration, "up", 1, "started")
    done = repair(session)
    assert done.resumed is not None
    assert "with 1 statements done" in done.resumed
    assert status(session, history).healthy
    assert session.query("SELECT to_regclass('ax') IS NOT NULL") == [(True,)]


def test_repair_of_sqlite_has_no_indexes_to_look_at(tmp_path) -> None:  # type: ignore[no-untyped-def]
    session = SqliteSession(tmp_path / "t.db", create=True)
    assert repair(session).nothing
    session.close()


SQITCH = {
    "sqitch.plan": "%syntax-version=1.0.0\n%project=shop\n\nusers 2026-01-01T00:00:00Z A <a@b> # u\n"
    "mails 2026-01-02T00:00:00Z A <a@b> # m\n",
    "deploy/users.sql": "CREATE TABLE users (x int);",
    "revert/users.sql": "DROP TABLE users;",
    "deploy/mails.sql": "CREATE TABLE mails (x int);",
    "revert/mails.sql": "DROP TABLE mails;",
}


def test_a_sqitch_registry_is_adopted(session: PostgresqlSession) -> None:
    session.query("CREATE SCHEMA sqitch")
    session.query("CREATE TABLE sqitch.changes (change_id text, change text, project text, committed_at timestamptz)")
    session.query("INSERT INTO sqitch.changes VALUES ('1', 'users', 'shop', now())")
    session.query("CREATE TABLE users (x int)")
    found = adopt(session, read(SQITCH))
    assert (found.tool, found.versions) == ("Sqitch", ("0001",))
    assert up(session, read(SQITCH)).after == "0002"


def test_a_sqitch_registry_with_changes_that_the_plan_lacks_is_refused(session: PostgresqlSession) -> None:
    session.query("CREATE SCHEMA sqitch")
    session.query("CREATE TABLE sqitch.changes (change_id text, change text, project text, committed_at timestamptz)")
    session.query("INSERT INTO sqitch.changes VALUES ('1', 'mails', 'shop', now())")
    with pytest.raises(Refused, match="no migration mails, which the database has"):
        adopt(session, read(SQITCH))


@pytest.mark.parametrize(
    ("sql", "lock"),
    [
        ("CREATE INDEX a ON t (x)", "SHARE: blocks writes"),
        ("CREATE INDEX CONCURRENTLY a ON t (x)", "SHARE UPDATE EXCLUSIVE: blocks other schema changes"),
        ("ALTER TABLE t ADD COLUMN y int", "ACCESS EXCLUSIVE: blocks reads and writes"),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", "SHARE UPDATE EXCLUSIVE: blocks other schema changes"),
        ("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES u (x)", "SHARE ROW EXCLUSIVE: blocks writes"),
        ("UPDATE t SET x = 1", "ROW EXCLUSIVE: blocks schema changes"),
        ("/* why */ DROP TABLE t", "ACCESS EXCLUSIVE: blocks reads and writes"),
    ],
)
def test_the_lock_that_postgresql_takes_is_told_before(sql: str, lock: str, session: PostgresqlSession) -> None:
    """And it is the one that the server really takes."""
    assert locks_of(script(sql), "postgresql")[0] == f"{lock} (1 statement)"
    if "CONCURRENTLY" in sql:
        return
    session.query("CREATE TABLE u (x int PRIMARY KEY)")
    session.query("CREATE TABLE t (x int)")
    if "VALIDATE" in sql:
        session.query("ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0) NOT VALID")
    session.begin()
    session.execute(sql)
    modes = session.query(
        "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = (SELECT oid FROM pg_class"
        " WHERE relname = 't' UNION SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
        " AND pid = pg_backend_pid() AND locktype = 'relation' LIMIT 1)"
    )
    session.rollback()
    wanted = "".join(word.capitalize() for word in lock.partition(":")[0].split()) + "Lock"
    assert wanted in {mode for (mode,) in modes}


def test_a_rewrite_of_the_table_and_the_lock_of_sqlite_are_told() -> None:
    told = locks_of(script("SELECT 1;\nALTER TABLE t ALTER COLUMN x TYPE bigint"), "postgresql")
    assert told[-1] == "line 2 writes the whole table anew under its lock"
    made = make_script([(1, "CREATE TABLE a (x); SELECT 1")], "sqlite", "a.sql")
    assert isinstance(made, Script)
    assert locks_of(made, "sqlite") == ("the file: blocks writes (1 statement)",)


def test_what_squawk_says_is_shown_without_what_the_runner_does_itself() -> None:
    found = remarks(script("CREATE TABLE t (x text);\nALTER TABLE t DROP COLUMN x;"), "postgresql")
    assert [(one.line, one.rule) for one in found] == [(2, "ban-drop-column")]
    assert remarks(script("SELECT 1"), "sqlite") == ()
