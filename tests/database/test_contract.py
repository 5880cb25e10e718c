"""The contract of databases, held by SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lastgood.database.reader import read_history
from lastgood.effects.databases.driver import DatabaseDriver
from lastgood.effects.databases.opening import dialect_of, open_session
from lastgood.testing.contracts.database import CLAUSES, DatabaseWorld

FILES = {
    "1_a.up.sql": b"CREATE TABLE a (x int)",
    "1_a.down.sql": b"DROP TABLE a",
    "2_b.up.sql": b"CREATE TABLE b (x int)",
    "2_b.down.sql": b"DROP TABLE b",
}


def world(url: str) -> DatabaseWorld:
    history = read_history(FILES, dialect_of(url))

    def put_row(table: str) -> None:
        session = open_session(url)
        session.query(f"INSERT INTO {table} VALUES (1)")
        session.close()

    def tables() -> set[str]:
        session = open_session(url)
        found = {column.table.rpartition(".")[2] for column in session.columns()}
        session.close()
        return found

    driver = DatabaseDriver("main", lambda: open_session(url, create=True), lambda _: history)
    return DatabaseWorld(driver, put_row, tables)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_database_keeps_the_contract(
    kind: str, clause: Callable[[DatabaseWorld], Awaitable[None]], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:////{tmp_path}/c.db" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    async with asyncio.timeout(30):
        await clause(world(url))
