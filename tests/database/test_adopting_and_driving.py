"""Taking over from other tools, the driver of the release engine, and new files."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lastgood.database.migration import History
from lastgood.effects.databases.adopting import adopt
from lastgood.effects.databases.driver import DatabaseDriver
from lastgood.effects.databases.folder import read_folder
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up
from lastgood.effects.databases.scaffolding import new_migration
from lastgood.effects.databases.session import Limits, Session
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import Failed, Refused
from lastgood.release.step import Step

FILES = {
    "1_a.up.sql": "CREATE TABLE a (x int)",
    "1_a.down.sql": "DROP TABLE a",
    "2_b.up.sql": "CREATE TABLE b (x int)",
    "2_b.down.sql": "DROP TABLE b",
    "3_c.up.sql": "CREATE TABLE c (x int)",
    "3_c.down.sql": "DROP TABLE c",
}


def write(folder: Path, files: dict[str, str] | None = None) -> History:
    folder.mkdir(exist_ok=True)
    for name, text in (files or FILES).items():
        (folder / name).write_text(text)
    return read_folder(folder, "sqlite")


STATES = [
    (
        "golang-migrate",
        "CREATE TABLE schema_migrations (version bigint, dirty bool); INSERT INTO schema_migrations VALUES (2, 0)",
    ),
    ("dbmate", "CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1'), ('2')"),
    (
        "goose",
        "CREATE TABLE goose_db_version (id integer PRIMARY KEY, version_id bigint, is_applied bool);"
        "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1), (3, 1), (3, 0)",
    ),
    ("Alembic", "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('2')"),
    (
        "Diesel",
        "CREATE TABLE __diesel_schema_migrations (version text);"
        " INSERT INTO __diesel_schema_migrations VALUES ('1'), ('2')",
    ),
    (
        "sql-migrate",
        "CREATE TABLE gorp_migrations (id text); INSERT INTO gorp_migrations VALUES ('1_a.sql'), ('2_b.sql')",
    ),
]


@pytest.mark.parametrize(("tool", "sql"), STATES)
def test_a_state_table_is_adopted_and_the_schema_can_go_on_and_back(tool: str, sql: str, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as raw:
        raw.executescript(f"CREATE TABLE a (x int); CREATE TABLE b (x int); {sql};")
    raw.close()
    history = write(tmp_path / "m")
    session = SqliteSession(path)
    found = adopt(session, history)
    assert (found.tool, found.versions) == (tool, ("1", "2"))
    assert status(session, history).healthy
    assert up(session, history).after == "3"
    back = down(session, None, to="1")
    assert back.after == "1"
    with pytest.raises(Refused, match="already looks after"):
        adopt(session, history)
    session.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "CREATE TABLE schema_migrations (version bigint, dirty bool); INSERT INTO schema_migrations VALUES (2, 1)",
            "dirty",
        ),
        (
            "CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1'), ('9')",
            "no migration 9",
        ),
        (
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('1'), ('2')",
            "several heads",
        ),
        ("CREATE TABLE other (x)", "no state table"),
    ],
)
def test_a_state_that_nobody_can_trust_is_refused(sql: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as raw:
        raw.executescript(sql)
    raw.close()
    session = SqliteSession(path)
    with pytest.raises(Refused, match=words):
        adopt(session, write(tmp_path / "m"))
    assert status(session, None).version == "0"
    session.close()


def test_a_database_without_a_state_table_is_adopted_at_a_version(tmp_path: Path, postgresql_url: str) -> None:
    write(tmp_path / "m")
    session = PostgresqlSession(postgresql_url)
    session.query("CREATE TABLE a (x int)")
    history = read_folder(tmp_path / "m", "postgresql")
    assert adopt(session, history, to="1").versions == ("1",)
    assert up(session, history, to="2").after == "2"
    assert down(session, history, to="0").after == "0"
    session.close()


def step(verb: str, to: str, **more: Any) -> Step:
    return Step("s1", "database:main", verb, {"to": to, "release": 12, **more})


async def driven(driver: DatabaseDriver) -> Any:
    return {fact.key: fact.value for fact in await driver.observe()}


async def test_the_driver_moves_a_schema_and_says_where_it_is(tmp_path: Path) -> None:
    history = write(tmp_path / "m")
    driver = DatabaseDriver("main", lambda: SqliteSession(tmp_path / "t.db", create=True), lambda _: history)
    assert await driven(driver) == {"schema": "", "applied": []}
    told = await driver.perform(step("migrate_up", "2"), "k1")
    assert (told["before"], told["after"], told["moved"]) == ("0", "2", ["up 1 a", "up 2 b"])
    assert (await driver.perform(step("migrate_up", "2"), "k1"))["moved"] == []
    assert await driven(driver) == {"schema": "2", "applied": ["1", "2"]}
    assert all(fact.stable and fact.part == "database:main" for fact in await driver.observe())
    back = await driver.perform(step("migrate_down", ""), "k2")
    assert (back["after"], back["likeness"]) == ("0", "exact")
    assert await driven(driver) == {"schema": "", "applied": []}


async def test_the_driver_loses_rows_only_when_told(tmp_path: Path) -> None:
    history = write(tmp_path / "m")
    driver = DatabaseDriver("main", lambda: SqliteSession(tmp_path / "t.db", create=True), lambda _: history)
    await driver.perform(step("migrate_up", "2"), "k1")
    with sqlite3.connect(tmp_path / "t.db") as raw:
        raw.execute("INSERT INTO b VALUES (1)")
    raw.close()
    with pytest.raises(Refused, match="1 rows of b"):
        await driver.perform(step("migrate_down", "1"), "k2")
    assert (await driver.perform(step("migrate_down", "1", accept_loss=True), "k2"))["after"] == "1"


async def test_the_driver_says_when_a_schema_did_not_come_back(tmp_path: Path) -> None:
    history = write(tmp_path / "m", {**FILES, "2_b.down.sql": "CREATE TABLE rest (x int); DROP TABLE b"})
    driver = DatabaseDriver("main", lambda: SqliteSession(tmp_path / "t.db", create=True), lambda _: history)
    await driver.perform(step("migrate_up", "2"), "k1")
    with pytest.raises(Failed, match="table rest is left over"):
        await driver.perform(step("migrate_down", "1"), "k2")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_cancelled_move_stops_soon_and_leaves_nothing(kind: str, tmp_path: Path, postgresql_url: str) -> None:
    endless = {
        "sqlite": "CREATE TABLE e AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
        " SELECT count(*) FROM c",
        "postgresql": "SELECT pg_sleep(60); CREATE TABLE e (x int)",
    }
    write(tmp_path / "m", {"1_e.up.sql": endless[kind]})
    history = read_folder(tmp_path / "m", "sqlite" if kind == "sqlite" else "postgresql")

    def opened() -> Session:
        limits = Limits(statement_timeout_s=60)
        return (
            SqliteSession(tmp_path / "t.db", limits, create=True)
            if kind == "sqlite"
            else PostgresqlSession(postgresql_url)
        )

    driver = DatabaseDriver("main", opened, lambda _: history)
    work = asyncio.ensure_future(driver.perform(step("migrate_up", "1"), "k"))
    await asyncio.sleep(0.6)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 10)
    assert await driven(driver) == {"schema": "", "applied": []}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["0001_add_mail.up.sql", "0001_add_mail.down.sql"]),
        ({"009_a.up.sql": "SELECT 1"}, ["010_add_mail.up.sql", "010_add_mail.down.sql"]),
        ({"20240101000000_a.sql": "-- migrate:up\nSELECT 1"}, ["20260102030405_add_mail.sql"]),
        ({"00001_a.sql": "-- +goose Up\nSELECT 1"}, ["00002_add_mail.sql"]),
    ],
)
def test_a_new_migration_looks_like_the_others(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    history = write(folder, files) if files else read_folder(folder, "sqlite")
    made = new_migration(folder, history, "Add mail!", "20260102030405")
    assert [path.name for path in made] == expected
    assert len(read_folder(folder, "sqlite").migrations) == len(history.migrations) + 1
