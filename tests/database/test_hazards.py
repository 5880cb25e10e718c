"""Reading what a script may take away: too much is a nuisance, too little a lie."""

import pytest

from lastgood.database.hazards import hazards, renames
from lastgood.database.migration import Dialect, Script
from lastgood.database.script import make_script

PG: Dialect = "postgresql"


def read(sql: str) -> Script:
    script = make_script([(1, sql)], PG, "f.sql")
    assert isinstance(script, Script)
    return script


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ('DROP TABLE IF EXISTS a, s."B c" CASCADE', ["drops table a", "drops table s.B c"]),
        (
            "/* x */ alter table only a drop column if exists b, drop constraint c, drop d",
            ["drops column a.b", "drops column a.d"],
        ),
        ("ALTER TABLE a ALTER b DROP NOT NULL, ALTER b DROP DEFAULT", []),
        ("ALTER TABLE a ALTER COLUMN b TYPE int", ["overwrites rows a.b"]),
        ("DELETE FROM a WHERE x", ["drops rows a"]),
        ("TRUNCATE TABLE a", ["drops rows a"]),
        ("UPDATE a SET b = 1", ["overwrites rows a"]),
        ("DROP SCHEMA s CASCADE", ["drops object schema s"]),
        ("DROP INDEX i", []),
        ("CREATE TABLE a (b text DEFAULT 'drop table x'); -- DROP TABLE c", []),
        ("INSERT INTO a VALUES ('DELETE FROM b')", []),
        ("DO $$ BEGIN END $$", ["may do anything: DO $$ BEGIN END $$"]),
        ("SELECT tidy_up()", ["may do anything: SELECT tidy_up()"]),
        ("WITH g AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM g", ["drops rows a", "may do anything: *"]),
        ("SELECT pg_catalog.set_config('search_path', '', false)", []),
    ],
)
def test_hazards(sql: str, found: list[str]) -> None:
    said = [str(hazard) for hazard in hazards(read(sql), PG)]
    assert [line if "WITH" not in line else "may do anything: *" for line in said] == found


def test_renames_in_order() -> None:
    script = read('ALTER TABLE a RENAME b TO c; ALTER TABLE a RENAME COLUMN "d" TO e; ALTER TABLE a RENAME TO z')
    assert renames(script.statements, PG) == (("a", "b", "c"), ("a", "d", "e"), ("", "a", "z"))
