"""Folders of every layout, and everything that is wrong with them."""

import pytest

from lastgood.database.migration import Dialect, History, history_of, record_of
from lastgood.database.reader import read_history
from lastgood.errors import ConfigError

LITE: Dialect = "sqlite"
PG: Dialect = "postgresql"


def read(files: dict[str, str | bytes], dialect: Dialect = LITE) -> History:
    return read_history({k: v.encode() if isinstance(v, str) else v for k, v in files.items()}, dialect, "db")


def problems(files: dict[str, str | bytes], dialect: Dialect = LITE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(files, dialect)
    return [str(problem) for problem in caught.value.problems]


def shape(history: History) -> list[tuple[str, str, list[str], list[str] | None]]:
    return [
        (m.version, m.name, [s.sql for s in m.up.statements], [s.sql for s in m.down.statements] if m.down else None)
        for m in history.migrations
    ]


def test_numbered_pairs_in_numerical_order() -> None:
    found = read(
        {
            "10_last.up.sql": "CREATE TABLE c (a)",
            "2_b.up.sql": "CREATE TABLE b (a); CREATE TABLE b2 (a);",
            "2_b.down.sql": "DROP TABLE b2; DROP TABLE b;",
            "README.md": "no migration",
        }
    )
    assert shape(found) == [
        ("2", "b", ["CREATE TABLE b (a)", "CREATE TABLE b2 (a)"], ["DROP TABLE b2", "DROP TABLE b"]),
        ("10", "last", ["CREATE TABLE c (a)"], None),
    ]
    assert found.newest == "10"
    assert any("3 to 9" in note for note in found.notes)
    assert any("10_last.up.sql" in note and "no down script" in note for note in found.notes)


def test_names_with_dots_and_dialects() -> None:
    files: dict[str, str | bytes] = {
        "V0001.Create.Users.up.sql": "CREATE TABLE u (a)",
        "V0001.Create.Users.down.sql": "DROP TABLE u",
        "0002_x.up.sql": "CREATE TABLE x (generic)",
        "0002_x.postgres.up.sql": "CREATE TABLE x (pg int)",
        "0002_x.sqlite3.up.sql": "CREATE TABLE x (lite)",
        "0002_x.mysql.up.sql": "CREATE TABLE x (my)",
        "0002_x.down.sql": "DROP TABLE x",
    }
    assert shape(read(files, LITE))[1] == ("0002", "x", ["CREATE TABLE x (lite)"], ["DROP TABLE x"])
    assert shape(read(files, PG)) == [
        ("0001", "Create.Users", ["CREATE TABLE u (a)"], ["DROP TABLE u"]),
        ("0002", "x", ["CREATE TABLE x (pg int)"], ["DROP TABLE x"]),
    ]


def test_diesel_folders() -> None:
    found = read(
        {
            "2024-01-02-030405_b/up.sql": "CREATE TABLE b (a)",
            "2024-01-02-030405_b/down.sql": "DROP TABLE b",
            "00000000000000_setup/up.sql": "CREATE TABLE a (a)",
            "00000000000000_setup/down.sql": "DROP TABLE a",
        }
    )
    assert [m.label for m in found.migrations] == ["00000000000000 setup", "2024-01-02-030405 b"]


def test_dbmate_sections_are_undone_in_reverse() -> None:
    found = read(
        {
            "20240101_a.sql": "-- head\n-- migrate:up\nCREATE TABLE a (x);\n-- migrate:down\nDROP TABLE a;\n"
            "-- migrate:up transaction:false\nCREATE INDEX i ON a (x);\n-- migrate:down\nDROP INDEX i;\n"
        }
    )
    assert shape(found)[0][2:] == (
        ["CREATE TABLE a (x)", "CREATE INDEX i ON a (x)"],
        ["DROP INDEX i", "DROP TABLE a"],
    )
    (migration,) = found.migrations
    assert not migration.up.transactional
    assert migration.down is not None
    assert migration.down.transactional
    assert [s.line for s in migration.down.statements] == [9, 5]


def test_goose_marks() -> None:
    found = read(
        {
            "00001_a.sql": "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\n"
            "CREATE FUNCTION f() RETURNS int AS $$ BEGIN RETURN 1; END; $$ LANGUAGE plpgsql;\n"
            "-- +goose StatementEnd\nSELECT 2;\n"
            "-- +goose Down\nDROP FUNCTION f();\n",
            "00002_b.sql": "-- +migrate Up notransaction\nSELECT 1;\n-- +migrate Down\nSELECT 2",
        },
        PG,
    )
    assert [len(m.up.statements) for m in found.migrations] == [2, 1]
    assert [m.up.transactional for m in found.migrations] == [False, False]
    assert [m.down.transactional if m.down else None for m in found.migrations] == [False, True]


def test_a_sqitch_plan_with_a_reworked_change() -> None:
    found = read(
        {
            "sqitch.plan": "%syntax-version=1.0.0\n%project=shop\n\n"
            "users 2024-01-01T00:00:00Z A <a@b> # first\n@v1 2024\n"
            "users [users@v1] 2024-01-02T00:00:00Z A <a@b>\n",
            "deploy/users@v1.sql": "BEGIN;\nCREATE TABLE u (a);\nCOMMIT;",
            "revert/users@v1.sql": "BEGIN; DROP TABLE u; COMMIT;",
            "deploy/users.sql": "ALTER TABLE u ADD b",
            "revert/users.sql": "ALTER TABLE u DROP b",
        }
    )
    assert shape(found) == [
        ("0001", "users", ["CREATE TABLE u (a)"], ["DROP TABLE u"]),
        ("0002", "users", ["ALTER TABLE u ADD b"], ["ALTER TABLE u DROP b"]),
    ]


def test_line_ends_and_a_byte_order_mark_do_not_change_the_digest() -> None:
    unix = read({"1_a.up.sql": "CREATE TABLE a (x);\nSELECT 1;\n"})
    dos = read({"1_a.up.sql": b"\xef\xbb\xbfCREATE TABLE a (x);\r\nSELECT 1;\r\n"})
    other = read({"1_a.up.sql": "CREATE TABLE a (y);\nSELECT 1;\n"})
    assert unix.digest == dos.digest != other.digest
    assert [s.sql for s in dos.migrations[0].up.statements] == ["CREATE TABLE a (x)", "SELECT 1"]


@pytest.mark.parametrize("down", ["", "-- nothing\n", ";;", "SELECT 1;", "/* x */ select 'noop' as a;"])
def test_a_down_that_does_nothing_is_no_way_back(down: str) -> None:
    (migration,) = read({"1_a.up.sql": "CREATE TABLE a (x)", "1_a.down.sql": down}).migrations
    assert migration.no_way_back == "its down script does nothing (db/1_a.down.sql)"


def test_a_down_may_be_empty_on_purpose_and_a_migration_irreversible() -> None:
    history = read(
        {
            "1_a.up.sql": "UPDATE a SET x = 1",
            "1_a.down.sql": "-- lastgood:empty the values may stay",
            "2_b.up.sql": "-- lastgood:irreversible the old data is gone\nDROP TABLE a",
        }
    )
    first, second = history.migrations
    assert first.no_way_back is None
    assert second.no_way_back == "it is marked irreversible: the old data is gone"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"1_a.up.sql": "SELECT 1", "01_b.up.sql": "SELECT 2"},
            "db/1_a.up.sql: version 1 is also the version of db/01_b.up.sql",
        ),
        ({"1_a.sql": "-- migrate:up\nSELECT 1", "1_b.sql": "-- migrate:up\nSELECT 1"}, "db/1_b.sql: version 1 is also"),
        ({"1_a.up.sql": "SELECT 1", "1_a.sqlite.up.sql": "SELECT 1", "1_a.sqlite3.up.sql": "x"}, "version 1 is also"),
        ({"1_a.down.sql": "SELECT 1"}, "db/1_a.down.sql: migration 1 has a down script and no up script"),
        ({"1_a.up.sql": "SELECT 1", "seed.sql": "SELECT 1"}, "db/seed.sql: the name says neither"),
        ({"1_a.sql": "CREATE TABLE a (x)"}, "db/1_a.sql:1: nothing says which part is the up"),
        ({"1_a.sql": "DROP TABLE x;\n-- migrate:up\nSELECT 1"}, "db/1_a.sql:1: this stands before the first section"),
        ({"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nSELECT 1"}, "db/1_a.sql:2: StatementBegin has no"),
        ({"1_a.sql": "-- +goose ENVSUB ON\n-- +goose Up\nSELECT 1"}, "db/1_a.sql:1: ENVSUB"),
        ({"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 'a"}, "db/1_a.sql:4: the string"),
        ({"1_a.up.sql": b"SELECT 1;\n\x7fELF\0\1"}, "db/1_a.up.sql:2: the file is not text"),
        ({"1_a.up.sql": b"SELECT 1;\n\nSELECT '\xe4'"}, "db/1_a.up.sql:3: the byte 0xe4"),
        ({"1_a.up.sql": "SELECT 1".encode("utf-16")}, "db/1_a.up.sql:1: the file is UTF-16"),
        ({"1_a.up.sql": b"SELECT 1;\n" * 2_000_000}, "db/1_a.up.sql:1: more than 8 MiB is too"),
        ({"1_a.up.sql": "SELECT 1;\nROLLBACK;"}, "db/1_a.up.sql:2: ROLLBACK stands in a migration"),
        ({"1_a.up.sql": "SELECT 1;\nATTACH 'x' AS y;"}, "db/1_a.up.sql:2: a migration may touch its own"),
        ({"sqitch.plan": "users 2024"}, "db/sqitch.plan:1: deploy/users.sql does not exist"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(files: dict[str, str | bytes], expected: str) -> None:
    found = problems(files)
    assert any(line.startswith(expected) or expected in line for line in found), found


def test_a_stream_for_copy_is_refused() -> None:
    assert "db/1_a.up.sql:2: COPY FROM STDIN" in problems({"1_a.up.sql": "SELECT 1;\nCOPY t FROM stdin;"}, PG)[0]


@pytest.mark.parametrize(
    ("sql", "dialect", "transactional"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", PG, False),
        ("/* x */ create unique index concurrently i on t (a)", PG, False),
        ("REINDEX INDEX CONCURRENTLY i", PG, False),
        ("VACUUM (ANALYZE) t", PG, False),
        ("ALTER TYPE m ADD VALUE 'sad'", PG, True),
        ("ALTER TYPE m ADD VALUE 'sad'; UPDATE t SET mood = 'sad'", PG, False),
        ("CREATE INDEX i ON t (concurrently)", PG, True),
        ("BEGIN; CREATE TABLE a (x int); COMMIT;", PG, True),
        ("PRAGMA foreign_keys=OFF; CREATE TABLE a (x); PRAGMA foreign_keys=ON;", LITE, True),
        ("CREATE TABLE a (x); PRAGMA foreign_keys=OFF; CREATE TABLE b (x);", LITE, False),
        ("VACUUM", LITE, False),
    ],
)
def test_what_fits_one_transaction_is_inferred(sql: str, dialect: Dialect, transactional: bool) -> None:
    (migration,) = read({"1_a.up.sql": sql}, dialect).migrations
    assert migration.up.transactional is transactional
    assert not any(s.sql in ("BEGIN", "COMMIT") for s in migration.up.statements)


def test_a_record_gives_the_same_history_back() -> None:
    history = read(
        {"1_a.up.sql": "CREATE TABLE a (x); VACUUM", "1_a.down.sql": "DROP TABLE a", "2_b.up.sql": "SELECT 1"}
    )
    again = history_of(record_of(history))
    assert again.migrations == history.migrations
    assert again.digest == history.digest
