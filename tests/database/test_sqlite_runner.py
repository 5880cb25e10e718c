"""Up and down on SQLite: every bold cell of the table of what other tools get wrong."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastgood.database.migration import History
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.runner import down, preview, status, up, verify
from lastgood.effects.databases.session import Limits
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import ConfigError, Conflict, Damaged, Failed, Refused, Unavailable

BASE = {
    "1_users.up.sql": "CREATE TABLE users (id integer PRIMARY KEY, name text);",
    "1_users.down.sql": "DROP TABLE users;",
    "2_email.up.sql": "ALTER TABLE users ADD COLUMN email text; CREATE INDEX by_email ON users (email);",
    "2_email.down.sql": "DROP INDEX by_email; ALTER TABLE users DROP COLUMN email;",
}


def write(folder: Path, files: dict[str, str], *, fresh: bool = True) -> History:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir() if fresh else ():
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return read_folder(folder, "sqlite")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqliteSession]:
    limits = Limits(lock_timeout_s=0.05, retry_for_s=0.4, statement_timeout_s=5, runner_wait_s=0.1)
    opened = SqliteSession(tmp_path / "a b'.db", limits, create=True)
    yield opened
    opened.close()


def tables(session: SqliteSession) -> set[str]:
    rows = session.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'lastgood%'")
    return {name for (name,) in rows}


def versions(session: SqliteSession) -> list[tuple[str, str]]:
    return [(entry.version, entry.state) for entry in status(session, None).entries]


def test_up_and_down_and_up_again(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    assert status(session, history).version == "0"
    first = up(session, history, to="1")
    assert (first.before, first.after) == ("0", "1")
    assert up(session, history).after == "2"
    assert up(session, history).done == ()
    back = down(session, history, to="0")
    assert [move.migration.version for move in back.done] == ["2", "1"]
    assert back.comparison is not None
    assert back.comparison.likeness == "exact"
    assert tables(session) == set()
    assert up(session, history).after == "2"
    assert [line["what"] for line in _log(session)] == ["up", "up", "down", "down", "up", "up"]


def _log(session: SqliteSession) -> list[dict[str, object]]:
    from lastgood.effects.databases.books import Books

    return Books(session).log()


def test_status_changes_nothing(session: SqliteSession, tmp_path: Path) -> None:
    found = status(session, write(tmp_path / "m", BASE))
    assert [(e.version, e.state) for e in found.entries] == [("1", "pending"), ("2", "pending")]
    assert session.query("SELECT count(*) FROM sqlite_schema") == [(0,)]


def test_a_down_that_fails_half_way_leaves_everything(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**BASE, "2_email.down.sql": "DROP INDEX by_email;\nDROP TABLE nowhere;"})
    up(session, history)
    before = session.fingerprint()
    with pytest.raises(Failed, match=r"2_email\.down\.sql:2: no such table: nowhere"):
        down(session, history, to="0")
    assert session.fingerprint() == before
    assert versions(session) == [("1", "applied"), ("2", "applied")]


@pytest.mark.parametrize("text", [None, "", "-- nothing\n", "SELECT 1;"])
def test_an_absent_or_empty_down_is_refused(session: SqliteSession, tmp_path: Path, text: str | None) -> None:
    files = {**BASE, "2_email.down.sql": text or ""}
    if text is None:
        del files["2_email.down.sql"]
    history = write(tmp_path / "m", files)
    up(session, history)
    with pytest.raises(Refused, match="cannot be undone") as caught:
        down(session, history, to="1")
    assert "--to 2" in str(caught.value)
    assert versions(session) == [("1", "applied"), ("2", "applied")]


def test_an_irreversible_migration_says_its_reason(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {"1_a.up.sql": "-- lastgood:irreversible merged accounts\nCREATE TABLE a (x)"})
    up(session, history)
    with pytest.raises(Refused, match="merged accounts"):
        down(session, history, to="0")


@pytest.mark.parametrize("file", ["1_users.up.sql", "1_users.down.sql"])
def test_a_file_edited_after_it_was_applied_is_refused(session: SqliteSession, tmp_path: Path, file: str) -> None:
    up(session, write(tmp_path / "m", BASE))
    edited = write(tmp_path / "m", {**BASE, file: BASE[file] + " -- edited"})
    assert [e.state for e in status(session, edited).entries] == ["edited", "applied"]
    with pytest.raises(Refused, match="edited after it was applied"):
        up(session, edited)
    with pytest.raises(Refused, match="edited after it was applied") as caught:
        down(session, edited, to="0")
    assert "--use stored" in str(caught.value)
    assert down(session, edited, to="0", consent=Consent(use="stored")).after == "0"


def test_a_corrected_down_can_be_used(session: SqliteSession, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", {**BASE, "2_email.down.sql": ""}))
    mended = write(tmp_path / "m", BASE)
    with pytest.raises(Refused):
        down(session, mended, to="1")
    assert down(session, mended, to="1", consent=Consent(use="checkout")).after == "1"


def test_a_migration_that_this_checkout_lacks_is_ahead_and_goes_back(session: SqliteSession, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", BASE))
    old = write(tmp_path / "m", {name: text for name, text in BASE.items() if name.startswith("1")})
    assert [(e.version, e.state) for e in status(session, old).entries] == [("1", "applied"), ("2", "ahead")]
    assert up(session, old).done == ()
    back = down(session, old, to="1")
    assert (back.before, back.after) == ("2", "1")
    assert tables(session) == {"users"}
    assert down(session, None, to="0").after == "0"


def test_two_files_with_one_version_are_refused_before_anything(session: SqliteSession, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="also the version of"):
        write(tmp_path / "m", {**BASE, "02_other.up.sql": "CREATE TABLE other (a)"})


def test_out_of_order_is_refused_unless_agreed(session: SqliteSession, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", {k: v for k, v in BASE.items() if k.startswith("1")}))
    late = write(
        tmp_path / "m", {**BASE, "0_early.up.sql": "CREATE TABLE early (a)", "0_early.down.sql": "DROP TABLE early"}
    )
    with pytest.raises(Refused, match="0 early is not applied, but 1 users"):
        up(session, late)
    assert up(session, late, consent=Consent(out_of_order=True)).after == "2"


def test_rows_are_not_dropped_without_a_word(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history)
    session.query("INSERT INTO users (name, email) VALUES ('a', 'a@b'), ('b', NULL)")
    with pytest.raises(Refused, match=r"lose 1 values of users\.email; nothing was changed"):
        down(session, history, to="1")
    with pytest.raises(Refused, match="lose 2 rows of users"):
        down(session, history, to="0")
    assert versions(session) == [("1", "applied"), ("2", "applied")]
    assert [str(loss) for loss in preview(session, history, "down", "1", Consent()).rows] == ["1 values of users.email"]
    assert down(session, history, to="1", consent=Consent(loss=True)).after == "1"
    assert session.query("SELECT name FROM users ORDER BY 1") == [("a",), ("b",)]


def test_renaming_and_rebuilding_lose_nothing(session: SqliteSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_a.up.sql": "CREATE TABLE a (x, y DEFAULT 5)",
            "2_r.up.sql": "ALTER TABLE a RENAME COLUMN x TO z; ALTER TABLE a RENAME TO b",
            "3_b.up.sql": "PRAGMA foreign_keys=OFF; CREATE TABLE n (z text, y); INSERT INTO n SELECT z, y FROM b;"
            "DROP TABLE b; ALTER TABLE n RENAME TO b; PRAGMA foreign_keys=ON",
            "4_d.up.sql": "ALTER TABLE b DROP COLUMN y",
            "5_f.up.sql": "CREATE TABLE n (z text); INSERT INTO n SELECT z FROM b WHERE z > 1; "
            "DROP TABLE b; ALTER TABLE n RENAME TO b",
        },
    )
    up(session, history, to="1")
    session.query("INSERT INTO a (x) VALUES (1), (2)")
    assert up(session, history, to="3").after == "3"
    session.query("UPDATE b SET y = 5")
    with pytest.raises(Refused, match=r"2 values of b\.y"):
        up(session, history, to="4")
    up(session, history, to="4", consent=Consent(loss=True))
    with pytest.raises(Refused, match="1 rows of b"):
        up(session, history)


def test_a_default_value_is_no_data(session: SqliteSession, tmp_path: Path) -> None:
    history = write(
        tmp_path / "m",
        {
            "1_a.up.sql": "CREATE TABLE a (x)",
            "2_b.up.sql": "ALTER TABLE a ADD y NOT NULL DEFAULT 'none'",
            "2_b.down.sql": "ALTER TABLE a DROP y",
        },
    )
    up(session, history)
    session.query("INSERT INTO a (x) VALUES (1), (2)")
    assert down(session, history, to="1").after == "1"


def test_a_schema_changed_by_hand_is_refused(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history, to="1")
    session.query("ALTER TABLE users ADD COLUMN mine text")
    found = verify(session)
    assert found is not None
    assert found.names() == "column users.mine is left over"
    with pytest.raises(Refused, match=r"changed by hand since 1 users: column users\.mine is left over"):
        up(session, history)
    assert up(session, history, consent=Consent(drift=True)).after == "2"


def test_a_down_that_leaves_something_is_told(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**BASE, "2_email.down.sql": "DROP INDEX by_email"})
    up(session, history)
    outcome = down(session, history, to="1")
    assert not outcome.came_back
    assert outcome.comparison is not None
    assert "column users.email is left over" in outcome.comparison.names()


def test_a_failing_up_leaves_the_migrations_before_it(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**BASE, "3_bad.up.sql": "CREATE TABLE c (a);\nCREATE TABLE users (a);"})
    with pytest.raises(Failed, match=r"3_bad\.up\.sql:2: table users already exists"):
        up(session, history)
    assert versions(session) == [("1", "applied"), ("2", "applied")]
    assert tables(session) == {"users"}


def test_a_lock_held_for_ever_is_given_up(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history, to="1")
    other = sqlite3.connect(session.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(Conflict, match="a lock was held"):
        up(session, history)
    assert time.monotonic() - started < 5
    other.execute("ROLLBACK")
    other.close()
    assert up(session, history).after == "2"


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_a_run_leaves_the_journal_of_sqlite_in_the_mode_it_had(
    session: SqliteSession, tmp_path: Path, mode: str
) -> None:
    session.query(f"PRAGMA journal_mode = {mode}")
    up(session, write(tmp_path / "m", BASE))
    assert session.query("PRAGMA journal_mode") == [(mode,)]
    assert mode not in ("delete", "wal") or not Path(session.place + "-journal").exists()


def test_a_lock_let_go_in_time_is_waited_for(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history, to="1")
    other = sqlite3.connect(session.place, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.15, lambda: other.execute("ROLLBACK"))
    timer.start()
    assert up(session, history).after == "2"
    timer.join()
    other.close()


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_the_lock_is_for_those_who_may_open_the_database(session: SqliteSession, mode: int) -> None:
    Path(session.place).chmod(mode)
    with session.lock():
        assert Path(session.place + ".lastgood-lock").stat().st_mode & 0o777 == mode


def test_two_runners_at_once_take_turns(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", BASE)
    other = SqliteSession(Path(session.place), Limits(runner_wait_s=0.05))
    with session.lock(), pytest.raises(Conflict, match="another runner"):
        up(other, history)
    assert up(other, history).after == "2"
    other.close()


def test_a_statement_has_a_time_limit(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", Limits(statement_timeout_s=0.1), create=True)
    endless = "CREATE TABLE e AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    history = write(tmp_path / "m", {"1_e.up.sql": endless})
    started = time.monotonic()
    with pytest.raises(Failed, match=r"1_e\.up\.sql:1: stopped at its time limit"):
        up(session, history)
    assert time.monotonic() - started < 10
    assert tables(session) == set()
    session.close()


def test_somebody_editing_our_tables_is_seen(session: SqliteSession, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", BASE))
    session.query("UPDATE lastgood_migrations SET record = replace(record, 'name text', 'name int')")
    with pytest.raises(Damaged, match="not the one that was applied"):
        status(session, None)


def test_a_missing_file_and_what_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        SqliteSession(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("hello " * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        SqliteSession(tmp_path / "text.db")


def test_a_full_disk_leaves_what_was(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**BASE, "3_big.up.sql": "CREATE TABLE big AS SELECT randomblob(4000000) AS b"})
    up(session, history, to="2")
    (pages,) = session.query("PRAGMA page_count")[0]
    session.query(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(Failed, match="full"):
        up(session, history)
    assert versions(session) == [("1", "applied"), ("2", "applied")]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from lastgood.effects.databases.folder import read_folder
    from lastgood.effects.databases.runner import up, down
    from lastgood.effects.databases.sqlite import SqliteSession

    class Dying(SqliteSession):
        left = int(sys.argv[4])
        def execute(self, sql):
            if Dying.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            Dying.left -= 1
            super().execute(sql)
            if sys.argv[5] == "after" and Dying.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    session = Dying(Path(sys.argv[1]), create=True)
    history = read_folder(Path(sys.argv[2]), "sqlite")
    up(session, history) if sys.argv[3] == "up" else down(session, history, to="0")
"""


def killed(database: str, folder: Path, direction: str, statements: int, when: str = "before") -> None:
    code = textwrap.dedent(KILLED)
    run = subprocess.run(
        [sys.executable, "-c", code, database, str(folder), direction, str(statements), when],
        env={**os.environ, "PYTHONPATH": "src"},
        timeout=30,
        capture_output=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.mark.parametrize("statements", [1, 2])
def test_a_kill_in_a_transaction_leaves_nothing_of_it(session: SqliteSession, tmp_path: Path, statements: int) -> None:
    history = write(tmp_path / "m", BASE)
    up(session, history, to="1")
    killed(session.place, tmp_path / "m", "up", statements - 1)
    assert versions(session) == [("1", "applied")]
    outcome = up(session, history)
    assert (outcome.before, outcome.after, outcome.resumed) == ("1", "2", None)


STEPS = {
    "1_v.up.sql": "CREATE TABLE a (x); INSERT INTO a VALUES (1); VACUUM; INSERT INTO a VALUES (2); CREATE TABLE b (x);",
    "1_v.down.sql": "DROP TABLE b; DELETE FROM a; VACUUM; DROP TABLE a;",
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statements", [1, 2, 3, 4, 5])
def test_a_kill_between_statements_is_resumed_once_each(
    session: SqliteSession, tmp_path: Path, statements: int, when: str
) -> None:
    history = write(tmp_path / "m", STEPS)
    if (statements, when) == (5, "before"):
        return  # the run is over before it
    killed(session.place, tmp_path / "m", "up", statements, when)
    assert versions(session) == [("1", "half applied")]
    outcome = up(session, history)
    assert outcome.resumed is not None
    assert outcome.resumed.startswith(("resumed 1 v", "reverted 1 v"))
    assert session.query("SELECT x FROM a ORDER BY 1") == [(1,), (2,)]
    assert tables(session) == {"a", "b"}
    assert versions(session) == [("1", "applied")]


def test_a_kill_before_the_first_effect_is_reverted(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", STEPS)
    killed(session.place, tmp_path / "m", "up", 0)
    outcome = up(session, history)
    assert outcome.resumed == "reverted 1 v: an earlier run was killed before anything of it was applied"
    assert outcome.after == "1"


def test_a_kill_on_the_way_down_is_resumed(session: SqliteSession, tmp_path: Path) -> None:
    history = write(tmp_path / "m", STEPS)
    up(session, history)
    session.query("DELETE FROM a")
    killed(session.place, tmp_path / "m", "down", 1)
    assert versions(session) == [("1", "half reverted")]
    outcome = down(session, None, to="0")
    assert outcome.resumed is not None
    assert outcome.resumed.startswith("resumed 1 v")
    assert tables(session) == set()
    assert outcome.after == "0"


def test_a_file_without_a_statement_is_applied_and_told(session: SqliteSession, tmp_path: Path) -> None:
    told: list[str] = []
    up(session, write(tmp_path / "m", {**BASE, "3_later.up.sql": ""}), report=told.append)
    assert told[-1] == "up 3 later: its script does nothing"
    assert "nothing" not in "".join(told[:-1])
