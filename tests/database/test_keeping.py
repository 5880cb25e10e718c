"""Managed mode: what a migration drops is kept, does not disturb the new application, and comes back with its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastgood.database.migration import History
from lastgood.database.reader import read_history
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.keeping import finalize
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.proving import prove_pending
from lastgood.effects.databases.runner import Outcome, down, up, verify
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Refused

KEEP = Consent(keep=True)
BASE = (
    "CREATE TABLE goods (id integer PRIMARY KEY, name text, price integer);"
    "CREATE TABLE parts (id integer PRIMARY KEY, goods integer REFERENCES goods (id));"
    "CREATE INDEX parts_goods ON parts (goods);"
    "INSERT INTO goods VALUES (1, 'a', 10), (2, 'b', NULL); INSERT INTO parts VALUES (7, 1);"
)


def history(session: Session, first: str, back: str, *, base: str = BASE) -> History:
    files = {
        "1_base.up.sql": base,
        "1_base.down.sql": "DROP TABLE parts; DROP TABLE goods;",
        "2_b.up.sql": first,
        "2_b.down.sql": back,
    }
    return read_history({name: sql.encode() for name, sql in files.items()}, session.dialect)


def begun(session: Session, first: str, back: str, *, base: str = BASE) -> History:
    found = history(session, first, back, base=base)
    up(session, found, to="1")
    return found


def back(session: Session) -> Outcome:
    return down(session, None, to="1", consent=KEEP)


def names(session: Session, table: str) -> set[str]:
    return {column.name for column in session.columns() if column.table.rpartition(".")[2] == table}


DROP_COLUMN = ("ALTER TABLE goods DROP COLUMN price;", "ALTER TABLE goods ADD COLUMN price integer;")
DROP_TABLE = (
    "DROP TABLE parts;",
    "CREATE TABLE parts (id integer PRIMARY KEY, goods integer REFERENCES goods (id));"
    " CREATE INDEX parts_goods ON parts (goods); INSERT INTO parts SELECT id, id FROM goods;",
)


def test_a_dropped_column_comes_back_with_its_rows(session: Session) -> None:
    found = begun(session, *DROP_COLUMN)
    assert up(session, found, consent=KEEP).after == "2"
    session.execute("INSERT INTO goods (id, name) VALUES (3, 'c')")
    assert "price" not in names(session, "goods")
    drift = verify(session)
    assert drift is not None
    assert drift.likeness == "exact", "what is kept is no change by hand"
    outcome = back(session)
    assert outcome.comparison is not None
    assert outcome.comparison.likeness == "exact"
    assert session.query("SELECT id, price FROM goods ORDER BY id") == [(1, 10), (2, None), (3, None)]
    assert Books(session).kept() == ()


def test_a_dropped_table_comes_back_with_its_rows_and_frees_its_names(session: Session) -> None:
    found = begun(session, *DROP_TABLE)
    up(session, found, consent=KEEP)
    session.execute("DELETE FROM goods WHERE id = 2")
    session.execute("CREATE TABLE parts (other text)")
    session.execute("CREATE INDEX parts_goods ON parts (other)")
    session.execute("DROP TABLE parts")
    outcome = back(session)
    assert outcome.comparison is not None
    assert outcome.comparison.likeness == "exact", outcome.comparison.names()
    assert session.query("SELECT * FROM parts") == [(7, 1)], "its own rows, and none of the script's making"


def test_what_a_down_drops_is_attached_again_on_the_way_up(session: Session) -> None:
    found = begun(session, "ALTER TABLE goods ADD COLUMN stars integer;", "ALTER TABLE goods DROP COLUMN stars;")
    up(session, found, consent=KEEP)
    session.execute("UPDATE goods SET stars = 5 WHERE id = 1")
    assert back(session).came_back
    assert "stars" not in names(session, "goods")
    up(session, found, consent=KEEP)
    assert session.query("SELECT stars FROM goods ORDER BY id") == [(5,), (None,)]


def test_without_managed_mode_rows_are_not_dropped_unasked(session: Session) -> None:
    found = begun(session, *DROP_COLUMN)
    with pytest.raises(Refused, match=r"1 values of (public\.)?goods\.price"):
        up(session, found)
    assert "price" in names(session, "goods")


def test_other_losses_of_the_same_script_are_still_found(session: Session) -> None:
    found = begun(session, DROP_COLUMN[0] + " DELETE FROM parts;", DROP_COLUMN[1])
    with pytest.raises(Refused, match="1 rows of parts"):
        up(session, found, consent=KEEP)
    assert Books(session).kept() == ()
    assert "price" in names(session, "goods")


def test_what_depends_on_it_is_named_unless_the_script_drops_it_first(session: Session) -> None:
    view = BASE + "CREATE VIEW dear AS SELECT id, price FROM goods WHERE price > 5;"
    found = begun(session, *DROP_COLUMN, base=view)
    with pytest.raises(Refused, match=r"column goods\.price cannot be dropped: view dear depends on it"):
        up(session, found, consent=KEEP)
    found = history(
        session,
        "DROP VIEW dear; " + DROP_COLUMN[0],
        DROP_COLUMN[1] + " CREATE VIEW dear AS SELECT id, price FROM goods WHERE price > 5;",
        base=view,
    )
    up(session, found, consent=KEEP)
    outcome = back(session)
    assert outcome.comparison is not None
    assert outcome.comparison.likeness in ("exact", "cosmetic"), outcome.comparison.names()


def test_finalize_drops_for_good_what_nobody_needs(session: Session) -> None:
    found = begun(session, DROP_COLUMN[0] + DROP_TABLE[0], DROP_TABLE[1] + DROP_COLUMN[1])
    up(session, found, consent=KEEP, release="r2")
    books = Books(session)
    assert [str(kept.thing) for kept in books.kept()] == ["column goods.price", "table parts"]
    gone, stays = finalize(session, books, lambda kept: kept.thing.table == "parts")
    assert ([str(k.thing) for k in gone], [str(k.thing) for k in stays]) == (["column goods.price"], ["table parts"])
    gone, _ = finalize(session, books, lambda kept: False)
    assert [str(k.thing) for k in gone] == ["table parts"]
    assert {column.table.rpartition(".")[2] for column in session.columns()} == {"goods"}
    assert back(session).came_back, "the script makes them anew, empty"
    assert session.query("SELECT price FROM goods ORDER BY id") == [(None,), (None,)]


def test_the_proof_in_managed_mode_finds_nothing_lost(session: Session) -> None:
    found = begun(session, DROP_COLUMN[0] + DROP_TABLE[0], DROP_TABLE[1] + DROP_COLUMN[1])
    plain = prove_pending(session, found)
    assert plain is not None
    assert plain.verdict == "lossy"
    kept = prove_pending(session, found, keep=True)
    assert kept is not None
    assert (kept.verdict, kept.reasons) == ("exact", ())


def test_a_failure_in_the_same_script_keeps_nothing(session: Session) -> None:
    found = begun(session, DROP_COLUMN[0] + " INSERT INTO absent VALUES (1);", DROP_COLUMN[1])
    with pytest.raises(Exception, match="absent"):
        up(session, found, consent=KEEP)
    assert Books(session).kept() == ()
    assert "price" in names(session, "goods")


REQUIRED = BASE + "ALTER TABLE goods ADD COLUMN code text NOT NULL DEFAULT 'x'; "
BARE = (
    REQUIRED + "ALTER TABLE goods ALTER COLUMN code DROP DEFAULT; UPDATE goods SET code = 'c' || id;"
    " ALTER TABLE goods ADD CONSTRAINT codes UNIQUE (code);"
    " ALTER TABLE goods ADD CONSTRAINT short CHECK (length(code) < 9);"
    " CREATE UNIQUE INDEX both_ways ON goods (code, name);"
)
DROP_CODE = "ALTER TABLE goods DROP COLUMN code;"


def test_what_would_disturb_the_new_application_is_taken_off_and_put_back(postgresql_url: str) -> None:
    session = PostgresqlSession(postgresql_url)
    down_script = "ALTER TABLE goods ADD COLUMN code text;"
    bare = begun(session, DROP_CODE, down_script, base=BARE)
    with pytest.raises(Refused, match="NOT NULL without a default") as refused:
        up(session, bare, consent=KEEP)
    assert refused.value.next is not None
    assert "-- lastgood:fill goods.code = " in refused.value.next
    filled = history(session, DROP_CODE, "-- lastgood:fill goods.code = 'n' || id\n" + down_script, base=BARE)
    up(session, filled, consent=KEEP)
    session.execute("INSERT INTO goods (id, name) VALUES (3, 'a'), (4, 'a')")
    outcome = back(session)
    assert outcome.comparison is not None
    assert outcome.comparison.likeness == "exact", outcome.comparison.names()
    assert session.query("SELECT id, code FROM goods ORDER BY id") == [(1, "c1"), (2, "c2"), (3, "n3"), (4, "n4")]
    session.close()


def test_what_is_said_to_fill_with_fills_whatever_the_names(postgresql_url: str) -> None:
    session = PostgresqlSession(postgresql_url)
    table, column = 'app."My Goods"', '"a""b c"'
    base = f"CREATE SCHEMA app; CREATE TABLE {table} (id int PRIMARY KEY, {column} text NOT NULL);"
    drop, add = f"ALTER TABLE {table} DROP COLUMN {column};", f"ALTER TABLE {table} ADD COLUMN {column} text;"
    with pytest.raises(Refused, match="NOT NULL without a default") as refused:
        up(session, history(session, drop, add, base=base), consent=KEEP)
    mark = (refused.value.next or "").partition(": ")[2].replace("EXPRESSION", "'new'")
    up(session, history(session, drop, f"{mark}\n{add}", base=base), consent=KEEP)
    session.execute(f"INSERT INTO {table} VALUES (1)")
    back(session)
    assert session.query(f"SELECT id, {column} FROM {table}") == [(1, "new")]
    session.close()


def test_sqlite_says_what_it_cannot_take_off(tmp_path: Path) -> None:
    session = SqliteSession(tmp_path / "t.db", create=True)
    base = BASE.replace("name text", "name text NOT NULL")
    found = begun(session, "ALTER TABLE goods DROP COLUMN name;", "ALTER TABLE goods ADD COLUMN name text;", base=base)
    with pytest.raises(Refused, match="SQLite cannot take off"):
        up(session, found, consent=KEEP)
    session.close()
