"""With real Envoy, Git, SQLite and load: what nothing stands beside is judged by all that goes through the gateway."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.judged import BAKE, PROBES, text
from tests.support.moody import Moody
from tests.support.processes import eventually
from tests.support.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("judging")]

DATABASES = 'databases:\n  notes: { url: "sqlite:///data/notes.db", migrations: migrations }\n'


@pytest.fixture
def side() -> Iterator[Moody]:
    made = Moody("old")
    yield made
    made.stop()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    try:
        made.begin()
        (made.root / "data").mkdir()
        sqlite3.connect(made.root / "data" / "notes.db").close()
        made.commit(**{".gitignore": "/.lastgood/\n/data/\n"})
        yield made
    finally:
        made.close()


def commit(shop: Shop, side: Moody, version: int, table: str, bake: str = BAKE) -> None:
    migrations = shop.root / "migrations"
    migrations.mkdir(exist_ok=True)
    (migrations / f"000{version}_{table}.up.sql").write_text(f"CREATE TABLE {table} (body text);\n")
    (migrations / f"000{version}_{table}.down.sql").write_text(f"DROP TABLE {table};\n")
    shop.commit(text(shop, side, bake) + DATABASES)


def tables(shop: Shop) -> set[str]:
    with closing(sqlite3.connect(shop.root / "data" / "notes.db")) as raw:
        return {name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def known_good(shop: Shop, number: int) -> None:
    eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=60)
    found = shop.ask("verdict", f"r{number}")
    assert (found["verdict"], found["basis"]) == ("good", "measured")
    assert (found["measured"]["replay"], found["measured"]["alone"]) == ("same", True)


def test_the_first_and_a_schema_become_known_good_and_one_that_breaks_everything_goes_back(
    shop: Shop, side: Moody
) -> None:
    commit(shop, side, 1, "notes")
    shop.ok("up", "--detach")
    shop.ok("deploy", "--no-wait")
    with shop.load(*PROBES, per_second=25.0) as load:
        known_good(shop, 1)
        commit(shop, side, 2, "tags")
        shop.ok("deploy", "--no-wait")
        known_good(shop, 2)
        assert not load.failed()
        commit(shop, side, 3, "locks")
        shop.ok("deploy", "--no-wait")
        eventually(lambda: tables(shop), lambda found: "locks" in found, within_s=30)
        side.fails = 1.0
        eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=40)
    found = shop.ask("verdict", "r3")
    assert (found["verdict"], found["basis"]) == ("bad", "veto")
    assert shop.live == 2
    assert "locks" not in tables(shop)
    assert {"notes", "tags"} <= tables(shop)
