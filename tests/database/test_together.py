"""Several migrations in one transaction: only into an empty schema, and with the same end as one by one."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lastgood.database.migration import Dialect, History
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Failed, Refused

SIX = {
    "1_a.up.sql": "CREATE TABLE a (x integer);",
    "1_a.down.sql": "DROP TABLE a;",
    "2_rows.up.sql": "INSERT INTO a VALUES (1);",
    "2_rows.down.sql": "DELETE FROM a;",
    "3_b.up.sql": "CREATE TABLE b (x integer); CREATE INDEX bx ON b (x);",
    "3_b.down.sql": "DROP TABLE b;",
    "4_column.up.sql": "ALTER TABLE a ADD COLUMN y integer;",
    "4_column.down.sql": "ALTER TABLE a DROP COLUMN y;",
    "5_more.up.sql": "INSERT INTO a VALUES (2, 3);",
    "5_more.down.sql": "DELETE FROM a WHERE x = 2;",
    "6_c.up.sql": "CREATE TABLE c (x integer);",
    "6_c.down.sql": "DROP TABLE c;",
}
Any = SqliteSession | PostgresqlSession


@pytest.fixture(params=["sqlite", "postgresql"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    opened: Any
    if request.param == "sqlite":
        opened = SqliteSession(tmp_path / "t.db", create=True)
    else:
        opened = PostgresqlSession(request.getfixturevalue("postgresql_url"))
    yield opened
    opened.close()


def write(folder: Path, files: dict[str, str], dialect: Dialect) -> History:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return read_folder(folder, dialect)


def commits_of(session: Any, work: Callable[[], object]) -> int:
    """How many transactions made it, in which a script ran: the books' own are made before."""
    counted = 0
    whole = session.commit

    def commit() -> None:
        nonlocal counted
        counted += 1
        whole()

    session.commit = commit  # type: ignore[method-assign]
    try:
        work()
    finally:
        del session.commit
    return counted


def applied(session: Any) -> list[str]:
    return [entry.version for entry in status(session, None).entries if entry.state == "applied"]


def test_an_empty_schema_gets_them_in_one_transaction(session: Any, tmp_path: Path) -> None:
    history = write(tmp_path / "m", SIX, session.dialect)
    assert commits_of(session, lambda: up(session, history)) == 2  # the books' tables, and all six
    assert applied(session) == ["1", "2", "3", "4", "5", "6"]
    assert session.query("SELECT x, y FROM a ORDER BY x") == [(1, None), (2, 3)]


def test_a_schema_in_use_gets_them_one_by_one(session: Any, tmp_path: Path) -> None:
    history = write(tmp_path / "m", SIX, session.dialect)
    up(session, history, to="1")
    assert commits_of(session, lambda: up(session, history)) == 5


def test_each_has_its_own_image_so_that_any_of_them_is_proven_on_the_way_back(session: Any, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", SIX, session.dialect))
    for to in ("5", "4", "3", "2", "1", "0"):
        back = down(session, None, to=to, consent=Consent(loss=True))
        assert back.comparison is not None
        assert back.comparison.likeness == "exact", to


def test_the_middle_of_a_long_history_is_proven_by_what_its_scripts_make_anew(session: Any, tmp_path: Path) -> None:
    files = {f"{n}_t.up.sql": f"CREATE TABLE t{n} (x integer);" for n in range(1, 31)}
    files |= {f"{n}_t.down.sql": f"DROP TABLE t{n};" for n in range(1, 31)}
    files["28_t.down.sql"] = "DROP TABLE t28; CREATE INDEX left_behind ON t3 (x);"
    up(session, write(tmp_path / "m", files, session.dialect))
    back = down(session, None, to="28")
    assert back.comparison is not None
    assert back.comparison.likeness == "exact"
    back = down(session, None, to="12")
    assert not back.came_back
    assert back.comparison is not None
    assert "left_behind" in back.comparison.names()


def test_one_that_fails_leaves_those_before_it_and_says_what_it_always_says(session: Any, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**SIX, "4_column.up.sql": "\nCREATE INDEX i ON nowhere (x);"}, session.dialect)
    said: list[str] = []
    with pytest.raises(Failed, match="nowhere") as failed:
        up(session, history, report=said.append)
    assert str(failed.value.where).endswith("4_column.up.sql:2")
    assert applied(session) == ["1", "2", "3"]
    assert said == ["up 1 a", "up 2 rows", "up 3 b", "up 4 column"]
    assert session.query("SELECT x FROM a") == [(1,)]


def test_rows_that_an_earlier_one_of_them_wrote_are_not_lost_unasked(session: Any, tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**SIX, "3_b.up.sql": "DELETE FROM a;"}, session.dialect)
    with pytest.raises(Refused, match="a"):
        up(session, history)
    assert applied(session) == ["1", "2"]
    assert session.query("SELECT x FROM a") == [(1,)]


def test_a_way_back_that_is_refused_is_not_said_to_be_gone(session: Any, tmp_path: Path) -> None:
    up(session, write(tmp_path / "m", SIX, session.dialect))
    said: list[str] = []
    with pytest.raises(Refused):
        down(session, None, to="0", report=said.append)
    assert said == []
    down(session, None, to="0", consent=Consent(loss=True), report=said.append)
    assert said == ["down 6 c", "down 5 more", "down 4 column", "down 3 b", "down 2 rows", "down 1 a"]


def test_a_setting_of_one_is_not_there_for_the_others(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", create=True)
    files = {
        "1_parents.up.sql": "CREATE TABLE parents (x integer PRIMARY KEY);",
        "1_parents.down.sql": "DROP TABLE parents;",
        "2_children.up.sql": "CREATE TABLE children (x integer REFERENCES parents (x));",
        "2_children.down.sql": "DROP TABLE children;",
        "3_orphan.up.sql": "INSERT INTO children VALUES (7);",
        "3_orphan.down.sql": "DELETE FROM children;",
        "4_checked.up.sql": "PRAGMA foreign_keys = ON;\nINSERT INTO parents VALUES (1);",
        "4_checked.down.sql": "DELETE FROM parents;",
    }
    assert up(session, write(tmp_path / "m", files, "sqlite")).after == "4"
    session.close()


def test_what_one_transaction_forbids_is_done_one_by_one(postgresql_url: str, tmp_path: Path) -> None:
    """PostgreSQL alters no table of which checks wait for the end of the transaction."""
    session = PostgresqlSession(postgresql_url)
    files = {
        "1_parents.up.sql": "CREATE TABLE parents (x int PRIMARY KEY);",
        "1_parents.down.sql": "DROP TABLE parents;",
        "2_children.up.sql": "CREATE TABLE children (x int REFERENCES parents (x) DEFERRABLE INITIALLY DEFERRED);",
        "2_children.down.sql": "DROP TABLE children;",
        "3_rows.up.sql": "INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1);",
        "3_rows.down.sql": "DELETE FROM children; DELETE FROM parents;",
        "4_column.up.sql": "ALTER TABLE children ADD COLUMN y int;",
        "4_column.down.sql": "ALTER TABLE children DROP COLUMN y;",
    }
    said: list[str] = []
    assert up(session, write(tmp_path / "m", files, "postgresql"), report=said.append).after == "4"
    assert said == ["up 1 parents", "up 2 children", "up 3 rows", "up 4 column"]
    session.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from lastgood.effects.databases.execution import perform
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.runner import up
from lastgood.effects.databases.sqlite import SqliteSession

class Dying(SqliteSession):
    def execute(self, sql):
        if "CREATE TABLE c" in sql:
            os.kill(os.getpid(), signal.SIGKILL)
        super().execute(sql)

session = Dying(Path(sys.argv[1]), create=True)
up(session, read_folder(Path(sys.argv[2]), "sqlite"), report=lambda said: print(said, flush=True))
"""


def test_a_kill_takes_back_all_that_was_not_reported(tmp_path: Path) -> None:
    database, folder = tmp_path / "t.db", tmp_path / "m"
    history = write(folder, SIX, "sqlite")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(database), str(folder)], timeout=30, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout) == (-signal.SIGKILL, b""), run.stderr
    session = SqliteSession(database)
    assert applied(session) == []
    assert up(session, history).resumed is None
    assert applied(session) == ["1", "2", "3", "4", "5", "6"]
    session.close()
