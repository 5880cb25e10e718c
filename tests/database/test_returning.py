"""Managed mode with the scripts that people really write: what comes back is whole, and nothing writes over it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lastgood.database.migration import History
from lastgood.database.reader import read_history
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.keeping import finalize
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, preview, up
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Refused

KEEP = Consent(keep=True)
GOODS = ("CREATE TABLE goods (id integer PRIMARY KEY, name text, price integer);", "DROP TABLE goods;")
ROWS = "INSERT INTO goods VALUES (1, 'a', 10), (2, 'b', NULL)"


def history(session: Session, *pairs: tuple[str, str]) -> History:
    files = {}
    for number, (forward, back) in enumerate(pairs, 1):
        files[f"{number}_m.up.sql"], files[f"{number}_m.down.sql"] = forward.encode(), back.encode()
    return read_history(files, session.dialect)


def there_and_back(session: Session, found: History, to: str = "0") -> None:
    """Down and up again, each time to the schema of before."""
    before = session.fingerprint()
    outcome = down(session, None, to=to, consent=KEEP)
    assert outcome.came_back, outcome.comparison and outcome.comparison.names()
    up(session, found, consent=KEEP)
    assert session.fingerprint() == before
    assert Books(session).kept() == ()


def test_a_down_that_drops_the_index_before_the_table(session: Session) -> None:
    """As Alembic writes it: the index went by itself, and is not kept with the table."""
    indexed = GOODS[0] + "CREATE INDEX by_name ON goods (name);"
    found = history(session, (indexed, "DROP INDEX by_name; DROP TABLE goods;"))
    up(session, found, consent=KEEP)
    session.execute(ROWS)
    there_and_back(session, found)
    assert session.query("SELECT * FROM goods ORDER BY id") == [(1, "a", 10), (2, "b", None)]


def test_a_column_that_is_kept_inside_a_table_that_is_kept(session: Session) -> None:
    found = history(
        session, GOODS, ("ALTER TABLE goods ADD COLUMN stars integer;", "ALTER TABLE goods DROP COLUMN stars;")
    )
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO goods VALUES (1, 'a', 10, 5)")
    there_and_back(session, found)
    assert session.query("SELECT stars FROM goods") == [(5,)]


def test_a_column_that_is_made_and_dropped_in_one_script(session: Session) -> None:
    forward = GOODS[0] + "ALTER TABLE goods ADD COLUMN old integer; ALTER TABLE goods DROP COLUMN old;"
    found = history(session, (forward, GOODS[1]))
    up(session, found)
    session.execute(ROWS)
    there_and_back(session, found)
    assert session.query("SELECT price FROM goods ORDER BY id") == [(10,), (None,)]


def test_what_comes_back_is_no_loss_beside_a_drop(session: Session) -> None:
    swap = "ALTER TABLE goods DROP COLUMN price; ALTER TABLE goods ADD COLUMN cost integer;"
    back = "ALTER TABLE goods DROP COLUMN cost; ALTER TABLE goods ADD COLUMN price integer;"
    found = history(session, GOODS, (swap, back))
    up(session, found, to="1")
    session.execute(ROWS)
    up(session, found, consent=KEEP)
    session.execute("UPDATE goods SET cost = 7 WHERE id = 2")
    assert down(session, None, to="1", consent=KEEP).came_back
    assert session.query("SELECT id, price FROM goods ORDER BY id") == [(1, 10), (2, None)]
    up(session, found, consent=KEEP)
    assert session.query("SELECT id, cost FROM goods ORDER BY id") == [(1, None), (2, 7)]


@pytest.mark.parametrize("column", ["price", '"Price ""now"""'])
def test_a_down_that_fills_the_column_anew_leaves_alone_what_came_back(session: Session, column: str) -> None:
    base = GOODS[0].replace("price", column)
    refill = f"ALTER TABLE goods ADD COLUMN {column} integer; UPDATE goods SET {column} = 0;"
    found = history(session, (base, GOODS[1]), (f"ALTER TABLE goods DROP COLUMN {column};", refill))
    up(session, found, to="1")
    session.execute(ROWS)
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO goods (id, name) VALUES (3, 'c')")
    assert down(session, None, to="1", consent=KEEP).came_back
    assert session.query(f"SELECT id, {column} FROM goods ORDER BY id") == [(1, 10), (2, 0), (3, 0)]


def test_an_up_that_fills_a_column_leaves_alone_what_was_written_there(session: Session) -> None:
    fill = "ALTER TABLE goods ADD COLUMN title text; UPDATE goods SET title = name;"
    found = history(session, GOODS, (fill, "ALTER TABLE goods DROP COLUMN title;"))
    up(session, found, to="1")
    session.execute(ROWS)
    up(session, found, consent=KEEP)
    session.execute("UPDATE goods SET title = 'by hand' WHERE id = 1")
    assert down(session, None, to="1", consent=KEEP).came_back
    session.execute("INSERT INTO goods (id, name) VALUES (3, 'c')")
    up(session, found, consent=KEEP)
    assert session.query("SELECT title FROM goods ORDER BY id") == [("by hand",), ("b",), ("c",)]


@pytest.mark.parametrize("empties", ["DELETE FROM goods WHERE id = 1; ", ""])
def test_rows_that_a_script_brings_come_once(session: Session, empties: str) -> None:
    found = history(session, (GOODS[0] + "INSERT INTO goods VALUES (1, 'a', 10);", empties + GOODS[1]))
    up(session, found, consent=KEEP)
    session.execute("UPDATE goods SET price = 11")
    shown = preview(session, found, "down", "0", KEEP)
    assert shown.rows == (), "neither is lost"
    there_and_back(session, found)
    assert session.query("SELECT id, price FROM goods") == [(1, 11)]


@pytest.mark.parametrize(
    "back",
    [
        "ALTER TABLE wares DROP COLUMN cost; ALTER TABLE wares RENAME TO goods;",
        "ALTER TABLE wares RENAME TO goods; ALTER TABLE goods DROP COLUMN cost;",
        "ALTER TABLE wares RENAME COLUMN cost TO stars; ALTER TABLE wares RENAME TO goods;"
        " ALTER TABLE goods DROP COLUMN stars;",
    ],
)
def test_a_column_that_is_renamed_with_its_table(session: Session, back: str) -> None:
    """Whatever the order in which its author takes it back."""
    forward = (
        "ALTER TABLE goods ADD COLUMN stars integer; ALTER TABLE goods RENAME COLUMN stars TO cost;"
        " ALTER TABLE goods RENAME TO wares;"
    )
    found = history(session, GOODS, (forward, back))
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO wares VALUES (1, 'a', 10, 5)")
    there_and_back(session, found, to="1")
    assert session.query("SELECT cost FROM wares") == [(5,)]


@pytest.mark.parametrize("back", ["DROP TABLE wares;", "ALTER TABLE wares RENAME TO goods; DROP TABLE goods;"])
def test_a_table_that_is_renamed_where_it_is_made(session: Session, back: str) -> None:
    forward = GOODS[0] + "CREATE INDEX by_name ON goods (name); ALTER TABLE goods RENAME TO wares;"
    found = history(session, (forward, back))
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO wares VALUES (1, 'a', 10)")
    there_and_back(session, found)
    assert session.query("SELECT * FROM wares") == [(1, "a", 10)]


def test_what_is_made_and_altered_in_one_script(session: Session) -> None:
    forward = GOODS[0] + "ALTER TABLE goods ADD COLUMN stars integer; CREATE INDEX by_stars ON goods (stars);"
    back = "DROP INDEX by_stars; ALTER TABLE goods DROP COLUMN stars; DROP TABLE goods;"
    found = history(session, (forward, back))
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO goods VALUES (1, 'a', 10, 5)")
    there_and_back(session, found)
    assert session.query("SELECT stars FROM goods") == [(5,)]


def test_what_is_kept_is_dropped_for_good_wherever_it_stands_now(session: Session) -> None:
    """Its table was renamed since; or is put aside itself, and goes first."""
    rename = ("ALTER TABLE goods RENAME TO wares;", "ALTER TABLE wares RENAME TO goods;")
    gone = "CREATE TABLE wares (id integer PRIMARY KEY, name text);"
    drop = ("ALTER TABLE goods DROP COLUMN price;", "ALTER TABLE goods ADD COLUMN price integer;")
    found = history(session, GOODS, drop, rename, ("DROP TABLE wares;", gone))
    up(session, found, to="3", consent=KEEP)
    books = Books(session)
    assert [str(kept.thing) for kept in finalize(session, books, lambda _: False)[0]] == ["column goods.price"]
    down(session, None, to="0", consent=KEEP)
    up(session, found, to="1", consent=KEEP)
    session.execute(ROWS)
    up(session, found, consent=KEEP)
    assert [str(kept.thing) for kept in books.kept()] == ["column goods.price", "table wares"]
    finalize(session, books, lambda kept: bool(kept.thing.column))
    assert [str(kept.thing) for kept in finalize(session, books, lambda _: False)[0]] == ["column goods.price"]
    assert books.kept() == ()
    assert session.columns() == []


def test_rows_deleted_beside_a_drop_are_still_a_loss(session: Session) -> None:
    found = history(session, GOODS, ("DELETE FROM goods; ALTER TABLE goods DROP COLUMN price;", "SELECT 1;"))
    up(session, found, to="1")
    session.execute(ROWS)
    with pytest.raises(Refused, match=r"2 rows of (public\.)?goods"):
        up(session, found, consent=KEEP)
    assert len(session.query("SELECT price FROM goods")) == 2


PARTS = "CREATE TABLE parts (id integer PRIMARY KEY AUTOINCREMENT, code text, goods integer REFERENCES goods (id));"


def test_what_is_kept_holds_up_nobody_who_deletes_what_it_refers_to(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", create=True)
    found = history(session, (GOODS[0] + PARTS, "DROP TABLE parts;" + GOODS[1]), ("DROP TABLE parts;", PARTS))
    up(session, found, to="1")
    for sql in (
        ROWS,
        "INSERT INTO parts VALUES (7, '007', 2)",
        "DELETE FROM parts",
        "INSERT INTO parts VALUES (3, '007', 2)",
    ):
        session.execute(sql)
    before = session.fingerprint()
    up(session, found, consent=KEEP)
    with closing(sqlite3.connect(tmp_path / "t.db")) as application, application:
        application.execute("PRAGMA foreign_keys = ON")
        application.execute("DELETE FROM goods WHERE id = 1")
        application.execute("DELETE FROM goods WHERE id = 2")
    with pytest.raises(Exception, match="rows of parts refer to rows that are gone"):
        down(session, None, to="1", consent=KEEP)
    session.execute("INSERT INTO goods VALUES (2, 'b', NULL)")
    assert down(session, None, to="1", consent=KEEP).came_back
    assert session.fingerprint() == before
    session.execute("INSERT INTO parts (code) VALUES ('8')")
    assert session.query("SELECT * FROM parts ORDER BY id") == [(3, "007", 2), (8, "8", None)], "no number comes twice"
    session.close()


def test_a_column_of_sqlite_that_refers_to_rows_is_not_kept(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", create=True)
    found = history(session, (GOODS[0] + PARTS, "SELECT 1;"), ("ALTER TABLE parts DROP COLUMN goods;", "SELECT 1;"))
    up(session, found, to="1")
    with pytest.raises(Refused, match=r"column parts\.goods refers to another table, which SQLite cannot take off"):
        up(session, found, consent=KEEP)
    session.close()


def test_several_actions_and_constraints_in_one_statement(postgresql_url: str) -> None:
    """Of what came back nothing is made twice, named or not, and the rest of the statement runs."""
    session = PostgresqlSession(postgresql_url)
    forward = (
        "ALTER TABLE goods ADD COLUMN a integer, ADD b text DEFAULT 'x', ADD CONSTRAINT k CHECK (price > 0);"
        " ALTER TABLE goods ADD UNIQUE (a); ALTER TABLE goods ADD CONSTRAINT short CHECK (length(b) < 9);"
        " CREATE INDEX ON goods (b); CREATE INDEX both_ways ON goods (a, b);"
    )
    back = "ALTER TABLE goods DROP CONSTRAINT k; ALTER TABLE goods DROP COLUMN a, DROP b;"
    found = history(session, GOODS, (forward, back))
    up(session, found, consent=KEEP)
    session.execute("INSERT INTO goods VALUES (1, 'a', 10, 5, 'y')")
    there_and_back(session, found, to="1")
    assert session.query("SELECT a, b FROM goods") == [(5, "y")]
    there_and_back(session, found)
    assert session.query("SELECT a, b FROM goods") == [(5, "y")]
    session.close()
