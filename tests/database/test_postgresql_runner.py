"""Up and down on a real PostgreSQL: what it has beyond SQLite, and what goes wrong with servers."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lastgood.database.migration import History
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up, verify
from lastgood.effects.databases.session import Limits, SqlFailure
from lastgood.errors import Conflict, Failed, Refused, Unavailable

LIMITS = Limits(lock_timeout_s=0.1, retry_for_s=0.6, statement_timeout_s=10, runner_wait_s=0.2)
BASE = {
    "1_users.up.sql": "CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);",
    "1_users.down.sql": "DROP TABLE users;",
    "2_email.up.sql": "ALTER TABLE users ADD COLUMN email text; CREATE INDEX by_email ON users (email);",
    "2_email.down.sql": "ALTER TABLE users DROP COLUMN email;",
}
CONCURRENT = {
    "1_t.up.sql": "CREATE TABLE t (a int, b int); INSERT INTO t SELECT i % 7, i FROM generate_series(1, 100) i;",
    "1_t.down.sql": "DROP TABLE t;",
    "2_i.up.sql": "ALTER TABLE t ADD c int; CREATE INDEX CONCURRENTLY i ON t (b); ALTER TABLE t ADD d int;",
    "2_i.down.sql": "ALTER TABLE t DROP d; DROP INDEX CONCURRENTLY i; ALTER TABLE t DROP c;",
}


@pytest.fixture
def session(postgresql_url: str) -> Iterator[PostgresqlSession]:
    opened = PostgresqlSession(postgresql_url, LIMITS)
    yield opened
    opened.close()


def write(folder: Path, files: dict[str, str]) -> History:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return read_folder(folder, "postgresql")


def versions(session: PostgresqlSession) -> list[tuple[str, str]]:
    return [(entry.version, entry.state) for entry in status(session, None).entries]


def test_up_and_down_and_up_again(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    assert up(session, history).after == "2"
    assert verify(session) is not None
    back = down(session, None, to="0")
    assert (back.after, back.came_back) == ("0", True)
    assert back.comparison is not None
    assert back.comparison.likeness == "exact"
    assert up(session, history).after == "2"


def test_concurrently_beside_another_statement_works(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", CONCURRENT)
    assert up(session, history).after == "2"
    back = down(session, history, to="1")
    assert back.came_back


def test_a_down_that_fails_half_way_leaves_everything(session: PostgresqlSession, tmp_path: Path) -> None:
    files = {**BASE, "2_email.down.sql": "ALTER TABLE users DROP COLUMN email;\n\nDROP TABLE nowhere;"}
    history = write(tmp_path / "m", files)
    up(session, history)
    before = session.fingerprint()
    with pytest.raises(Failed, match=r'2_email\.down\.sql:3: table "nowhere" does not exist'):
        down(session, history, to="0")
    assert session.fingerprint() == before
    assert versions(session) == [("1", "applied"), ("2", "applied")]


def test_rows_are_counted_whatever_drops_them(session: PostgresqlSession, tmp_path: Path) -> None:
    files = {**BASE, "2_email.down.sql": "DO $$ BEGIN EXECUTE 'ALTER TABLE users ' || 'DROP COLUMN email'; END $$;"}
    history = write(tmp_path / "m", files)
    up(session, history)
    session.query("INSERT INTO users (name, email) VALUES ('a', 'x'), ('b', NULL), ('c', 'y')")
    with pytest.raises(Refused, match=r"lose 2 values of public\.users\.email; nothing was changed"):
        down(session, history, to="1")
    with pytest.raises(Refused, match=r"lose 3 rows of public\.users"):
        down(session, history, to="0")
    assert down(session, history, to="0", consent=Consent(loss=True)).came_back


def test_a_rename_loses_nothing_and_a_delete_does(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_a.up.sql": 'CREATE TABLE "My ""Table" (x int, y int DEFAULT 5)',
            "2_r.up.sql": 'ALTER TABLE "My ""Table" RENAME x TO "a b"; ALTER TABLE "My ""Table" RENAME TO c',
            "3_d.up.sql": "ALTER TABLE c DROP y",
            "4_d.up.sql": 'DELETE FROM c WHERE "a b" = 1',
        },
    )
    up(session, history, to="1")
    session.query('INSERT INTO "My ""Table" (x) VALUES (1), (2)')
    assert up(session, history, to="3").after == "3"
    with pytest.raises(Refused, match="1 rows of c"):
        up(session, history)


def test_a_default_written_by_the_column_is_no_data_but_another_value_is(
    session: PostgresqlSession, tmp_path: Path
) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_a.up.sql": "CREATE TABLE a (x int)",
            "2_b.up.sql": "ALTER TABLE a ADD y text NOT NULL DEFAULT 'none'",
            "2_b.down.sql": "ALTER TABLE a DROP y",
        },
    )
    up(session, history)
    session.query("INSERT INTO a (x) VALUES (1), (2)")
    session.query("INSERT INTO a (x, y) VALUES (3, 'some')")
    with pytest.raises(Refused, match=r"1 values of public\.a\.y"):
        down(session, history, to="1")


def test_residue_is_named(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_m.up.sql": "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE p (m mood)",
            "1_m.down.sql": "DROP TABLE p",
        },
    )
    up(session, history)
    back = down(session, history, to="0")
    assert back.comparison is not None
    assert back.comparison.names() == "enum public.mood is left over"


def test_a_script_cannot_leave_its_settings_behind(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_a.up.sql": "SET search_path = ''; SET lock_timeout = 0; CREATE TABLE public.a (x int);",
            "2_b.up.sql": "CREATE TABLE b (x int);",
        },
    )
    assert up(session, history).after == "2"
    assert session.query("SHOW lock_timeout") == [("100ms",)]


def test_a_lock_held_for_ever_is_given_up_and_one_let_go_is_waited_for(
    session: PostgresqlSession, postgresql_url: str, tmp_path: Path
) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history, to="1")
    with psycopg.connect(postgresql_url) as other:
        other.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        started = time.monotonic()
        with pytest.raises(Conflict, match="a lock was held"):
            up(session, history)
        assert time.monotonic() - started < 5
        timer = threading.Timer(0.2, other.rollback)
        timer.start()
        assert up(session, history).after == "2"
        timer.join()


def test_two_runners_at_once_take_turns(session: PostgresqlSession, postgresql_url: str, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    other = PostgresqlSession(postgresql_url, LIMITS)
    with session.lock(), pytest.raises(Conflict, match=r"another runner \(server process \d+\)"):
        up(other, history)
    assert up(other, history).after == "2"
    other.close()


def test_a_failed_concurrent_index_is_cleared_and_nothing_is_half_done(
    session: PostgresqlSession, tmp_path: Path
) -> None:
    files = {**CONCURRENT, "2_i.up.sql": "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);"}
    history = write(tmp_path / "m", files)
    with pytest.raises(Failed, match=r"2_i\.up\.sql:1: could not create unique index"):
        up(session, history)
    assert list(session.invalid_indexes()) == []
    assert versions(session) == [("1", "applied")]


def test_an_invalid_index_left_by_somebody_is_shown(session: PostgresqlSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {k: v for k, v in CONCURRENT.items() if k.startswith("1")})
    up(session, history)
    with pytest.raises(SqlFailure):
        session.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)")
    standing = status(session, history)
    assert standing.invalid_indexes == ("broken",)
    assert not standing.healthy


def test_a_read_only_role_and_no_server(session: PostgresqlSession, postgresql_url: str, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    role = f"reader_{os.getpid()}"
    session.query(f"CREATE ROLE {role} LOGIN")
    try:
        reader = PostgresqlSession(postgresql_url.replace("postgres@", f"{role}@"), LIMITS)
        with pytest.raises(Unavailable, match="permission denied"):
            up(reader, history)
        reader.close()
    finally:
        session.query(f"DROP ROLE {role}")
    with pytest.raises(Unavailable) as caught:
        PostgresqlSession("postgresql://nobody:geheim@127.0.0.1:1/none")
    assert "Connection refused" in caught.value.what
    assert "geheim" not in str(caught.value)


def test_a_connection_that_cannot_be_set_up_is_no_defect(postgresql_url: str) -> None:
    with pytest.raises(Unavailable, match=r"cannot begin: -1000 .*lock_timeout"):
        PostgresqlSession(postgresql_url, Limits(lock_timeout_s=-1))


def test_the_server_does_not_go_on_for_a_runner_that_was_killed(
    session: PostgresqlSession, postgresql_url: str, tmp_path: Path
) -> None:
    slow = {"3_slow.up.sql": "CREATE TABLE slow (x int); SELECT pg_sleep(300);", "3_slow.down.sql": "DROP TABLE slow;"}
    write(tmp_path / "m", {**BASE, **slow})
    command = [sys.executable, "-m", "lastgood", "db", "up", "--url", postgresql_url, "--migrations", "m"]
    runner = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        busy = (
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(300)%' AND datname = current_database()"
        )
        give_up = time.monotonic() + 30
        while not session.query(busy):
            assert time.monotonic() < give_up
            time.sleep(0.05)
    finally:
        runner.kill()
        runner.wait()
    other = PostgresqlSession(postgresql_url, Limits(runner_wait_s=30))
    assert up(other, write(tmp_path / "m", BASE)).after == "2"
    assert versions(session) == [("1", "applied"), ("2", "applied")]
    other.close()


def test_a_server_that_cuts_the_connection_leaves_nothing(
    session: PostgresqlSession, postgresql_url: str, tmp_path: Path
) -> None:
    history = write(tmp_path / "m", {**BASE, "3_slow.up.sql": "CREATE TABLE slow (x int); SELECT pg_sleep(5);"})
    up(session, history, to="2")
    ((pid,),) = session.query("SELECT pg_backend_pid()")
    other = psycopg.connect(postgresql_url, autocommit=True)
    timer = threading.Timer(0.4, lambda: other.execute("SELECT pg_terminate_backend(%s)", (pid,)))
    timer.start()
    with pytest.raises(Unavailable, match="cannot be reached"):
        up(session, history)
    timer.join()
    other.close()
    again = PostgresqlSession(postgresql_url, LIMITS)
    assert versions(again) == [("1", "applied"), ("2", "applied")]
    again.close()


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from lastgood.effects.databases.folder import read_folder
    from lastgood.effects.databases.runner import up
    from lastgood.effects.databases.postgresql import PostgresqlSession

    class Dying(PostgresqlSession):
        def execute(self, sql):
            if sys.argv[3] in sql and sys.argv[4] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            super().execute(sql)
            if sys.argv[3] in sql:
                os.kill(os.getpid(), signal.SIGKILL)

    up(Dying(sys.argv[1]), read_folder(Path(sys.argv[2]), "postgresql"))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", ["ADD c", "CONCURRENTLY", "ADD d"])
def test_a_kill_in_a_script_without_a_transaction_is_resumed(
    session: PostgresqlSession, postgresql_url: str, tmp_path: Path, at: str, when: str
) -> None:
    history = write(tmp_path / "m", CONCURRENT)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), postgresql_url, str(tmp_path / "m"), at, when],
        env={**os.environ, "PYTHONPATH": "src"},
        timeout=60,
        capture_output=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert versions(session) == [("1", "applied"), ("2", "half applied")]
    _wait_for_the_lock(session)
    outcome = up(session, history)
    assert outcome.resumed is not None
    assert ("reverted" if at == "ADD c" else "resumed") in outcome.resumed
    assert outcome.after == "2"
    assert list(session.invalid_indexes()) == []
    assert status(session, history).healthy
    assert down(session, history, to="1").came_back


def _wait_for_the_lock(session: PostgresqlSession) -> None:
    """The server notices a dead client when it next writes to it."""
    for _ in range(100):
        try:
            with session.lock():
                return
        except Conflict:
            continue
