"""What a statement does to a table, read off it."""

from __future__ import annotations

import pytest

from lastgood.database.actions import actions, left_over, names_to_come
from lastgood.database.keeping import Thing
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import make_script


def read(sql: str, dialect: Dialect) -> Script:
    script = make_script([(1, sql)], dialect, "f.sql")
    assert isinstance(script, Script)
    return script


def said(sql: str, dialect: Dialect = "postgresql") -> list[tuple[str, ...]]:
    found = actions(Statement(sql, 1), dialect)
    return [tuple(word for word in (a.does, a.table, a.name, a.new) if word) for a in found]


@pytest.mark.parametrize(
    ("sql", "does"),
    [
        ("CREATE TABLE goods (id int)", [("creates table", "goods")]),
        ('create table if not exists App."Goods" (id int)', [("creates table", "app.Goods")]),
        ("CREATE UNIQUE INDEX CONCURRENTLY by_name ON goods (name)", [("adds index", "goods", "by_name")]),
        ("CREATE INDEX ON goods (name)", [("adds unnamed", "goods")]),
        ("CREATE TRIGGER t AFTER UPDATE OF price ON goods EXECUTE FUNCTION f()", [("adds trigger", "goods", "t")]),
        ("INSERT OR IGNORE INTO goods VALUES (1)", [("inserts", "goods")]),
        ("UPDATE ONLY goods SET price = 1", [("updates", "goods")]),
        ("-- all\nDELETE FROM goods", [("deletes", "goods")]),
        ("TRUNCATE TABLE goods", [("deletes", "goods")]),
        ("GRANT SELECT ON TABLE goods TO app", [("other", "goods")]),
        ("SELECT 1", []),
        ("ALTER TABLE goods ADD price numeric(8, 2)", [("adds column", "goods", "price")]),
        ("ALTER TABLE goods ADD CHECK (price > 0)", [("adds unnamed", "goods")]),
        ("ALTER TABLE goods RENAME TO wares", [("renames table", "goods", "wares")]),
        ("ALTER TABLE goods RENAME COLUMN a TO b", [("renames column", "goods", "a", "b")]),
        ("ALTER TABLE goods RENAME CONSTRAINT a TO b", [("other", "goods")]),
        ("ALTER TABLE goods ALTER price SET NOT NULL", [("other", "goods")]),
        (
            "ALTER TABLE Goods ADD COLUMN \"A,b\" text DEFAULT ',(',"
            " ADD c numeric(8, 2), ADD CONSTRAINT k CHECK (c > 0)",
            [("adds column", "goods", "A,b"), ("adds column", "goods", "c"), ("adds constraint", "goods", "k")],
        ),
    ],
)
def test_actions(sql: str, does: list[tuple[str, ...]]) -> None:
    assert said(sql) == does


def test_sqlite_folds_no_names() -> None:
    assert said("ALTER TABLE Goods ADD Price", "sqlite") == [("adds column", "Goods", "Price")]


def test_the_names_that_a_thing_gets_later() -> None:
    sql = "ALTER TABLE a RENAME COLUMN x TO y; ALTER TABLE b RENAME TO c; ALTER TABLE a RENAME TO z;"
    later = read(f"{sql} ALTER TABLE z RENAME y TO w", "postgresql")
    assert names_to_come(Thing("app.a", "x"), later.statements, "postgresql") == [
        ("app.a", "x", "y"),
        ("", "app.a", "app.z"),
        ("app.z", "y", "w"),
    ]
    assert names_to_come(Thing("a"), later.statements, "postgresql") == [("", "a", "z")]


def test_what_managed_mode_leaves_of_a_script() -> None:
    sql = "DELETE FROM a; DELETE FROM b; DROP TABLE a; DROP TABLE c CASCADE; ALTER TABLE b DROP x"
    script = read(sql, "sqlite")
    assert [each.sql for each in left_over(script, "sqlite")] == ["DELETE FROM b", "DROP TABLE c CASCADE"]
