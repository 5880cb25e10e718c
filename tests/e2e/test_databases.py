"""Schemas that move with a release: a real gateway, a real PostgreSQL and a real SQLite file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.postgresql import PASSWORD, guarded_url, postgresql_server, postgresql_url
from tests.support.processes import CONTROLLER, eventually
from tests.support.shop import Done, Shop

__all__ = ["guarded_url", "postgresql_server", "postgresql_url"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
DATABASES = """\
databases:
  main: { url: secret:main_url, migrations: migrations/main }
  notes: { url: "sqlite:///data/notes.db", migrations: migrations/notes }
"""
ORDERS = CATALOG + route("orders", "legacy")
FIRST = {
    "main/0001_goods": ("CREATE TABLE goods (id serial PRIMARY KEY, name text NOT NULL)", "DROP TABLE goods"),
    "notes/1_notes": ("CREATE TABLE notes (body text)", "DROP TABLE notes"),
}
SECOND = {
    "main/0002_price": ("ALTER TABLE goods ADD COLUMN price integer", "ALTER TABLE goods DROP COLUMN price"),
    "main/0003_index": (
        "CREATE INDEX CONCURRENTLY goods_price ON goods (price)",
        "DROP INDEX CONCURRENTLY goods_price",
    ),
    "notes/2_stars": ("ALTER TABLE notes ADD COLUMN stars integer", "ALTER TABLE notes DROP COLUMN stars"),
}
Migrations = dict[str, tuple[str, str]]


class DatabaseShop(Shop):
    """A shop with two databases."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def write(self, migrations: Migrations) -> None:
        for name, (up, down) in migrations.items():
            path = self.root / "migrations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name + ".up.sql").write_text(up + ";\n")
            path.with_name(path.name + ".down.sql").write_text(down + ";\n")

    def open_with_databases(self) -> None:
        self.begin()
        (self.root / ".git/info/exclude").write_text(".lastgood/\ndata/\n")
        (self.root / "data").mkdir()
        sqlite3.connect(self.root / "data/notes.db").close()
        self.write(FIRST)
        self.commit(self.text() + DATABASES, "Open the shop")
        self.ok("secret", "set", "main_url", feed=self.url)
        self.ok("up", "--detach")
        self.ok("deploy", "--wait", "ended")

    def release(self, migrations: Migrations, routes: str = ORDERS, *options: str) -> Done:
        self.write(migrations)
        return self.deploy(self.text(routes) + DATABASES, "Change", *options)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def schemas(self) -> tuple[list[str], list[str]]:
        """The columns of ``goods``, and those of ``notes``."""
        wanted = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'goods' ORDER BY 1"
        with closing(sqlite3.connect(self.root / "data/notes.db")) as raw:
            notes = [row[1] for row in raw.execute("PRAGMA table_info(notes)")]
        return [row[0] for row in self.sql(wanted)], notes


@pytest.fixture
def shop(postgresql_url: str) -> Iterator[DatabaseShop]:
    made = DatabaseShop(postgresql_url)
    try:
        made.open_with_databases()
        yield made
    finally:
        made.close()


OLD, NEW = (["id", "name"], ["body"]), (["id", "name", "price"], ["body", "stars"])


def test_forward_back_with_the_schema_and_forward_again(shop: DatabaseShop) -> None:
    assert shop.schemas() == OLD
    said = shop.release(SECOND).out
    assert "bring the schema of main up to 3" in said
    assert shop.schemas() == NEW
    assert shop.get("/orders/1").status == 200
    plan = shop.ok("plan", "rollback").out
    assert "the schema of main at 3 (--with-schema takes it to 1)" in plan
    shop.ok("rollback", "-m", "orders fail")
    assert shop.schemas() == NEW, "an expansion stays"
    assert shop.get("/orders/1").status == 404
    kept = shop.git("ls-tree", "-r", "--name-only", "HEAD")
    assert "migrations/main/0002_price.down.sql" in kept, "what stays applied stays in Git"
    assert "orders" not in shop.git("show", "HEAD:lastgood.yaml")
    status = shop.ask("db", "status", "main")
    assert (status["version"], status["healthy"]) == ("0003", True)
    shop.release({}, ORDERS, "--force", "-m", "mended")
    assert shop.get("/orders/1").status == 200
    shutil.rmtree(shop.root / ".git")  # neither Git nor the files are asked for the way back
    shutil.rmtree(shop.root / "migrations")
    shop.ok("rollback", "r1", "--with-schema", "-m", "all of it")
    assert shop.schemas() == OLD
    assert shop.get("/orders/1").status == 404


def test_rows_are_counted_before_anything_moves(shop: DatabaseShop) -> None:
    shop.release(SECOND)
    shop.sql("INSERT INTO goods (name, price) VALUES ('a', 1), ('b', 2)")
    plan = shop.ok("plan", "rollback", "--with-schema").out
    assert "LOSES    2 values of goods.price in database main" in plan
    refused = shop.run("rollback", "--with-schema")
    assert refused.code == 4
    assert "2 values of goods.price" in refused.err
    assert "--accept-loss" in refused.err
    assert shop.live == 2
    shop.ok("rollback", "--with-schema", "--accept-loss")
    assert shop.schemas() == OLD


def test_no_proof_no_deployment(shop: DatabaseShop) -> None:
    shop.write({"main/0002_price": ("ALTER TABLE goods ADD COLUMN price integer", "SELECT count(*) FROM goods")})
    shop.commit(shop.text(ORDERS) + DATABASES)
    refused = shop.run("deploy")
    assert refused.code == 4
    assert "the way back of database main is broken: column public.goods.price is left over" in refused.err
    assert "lastgood db prove main" in refused.err
    assert shop.schemas() == OLD
    assert shop.live == 1
    assert shop.run("db", "prove", "main").code == 6
    assert shop.url not in refused.said


def test_a_controller_killed_in_the_middle_of_a_migration(shop: DatabaseShop) -> None:
    """The next one goes on where it was: the migration is whole, once, and the release is live."""
    slow = {
        **SECOND,
        "main/0002_price": (f"{SECOND['main/0002_price'][0]}; SELECT pg_sleep(1.5)", SECOND["main/0002_price"][1]),
    }
    shop.write(slow)
    shop.commit(shop.text(ORDERS) + DATABASES)
    command = shop.begin_command("deploy", "--wait", "ended")
    sleeping = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE query LIKE '%pg_sleep%' AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    eventually(lambda: shop.sql(sleeping), bool, within_s=30)
    processes.kill(processes.pid(shop.root, CONTROLLER))
    command.communicate(timeout=90)
    eventually(lambda: shop.status()["deployment"], lambda found: found is None, within_s=60)
    assert shop.live == 2
    assert shop.schemas() == NEW
    assert shop.sql("SELECT count(*) FROM lastgood.log WHERE version = '0002' AND what = 'up'") == [(1,)]
    assert shop.ask("db", "status", "main")["healthy"]


def test_a_migration_that_cannot_get_its_lock_takes_the_release_back(shop: DatabaseShop) -> None:
    """Abort while it waits: nothing of the schema has moved, and the old release serves on."""
    shop.write(SECOND)
    shop.commit(shop.text(ORDERS) + DATABASES)
    with psycopg.connect(shop.url) as holder:
        holder.execute("LOCK TABLE goods IN ACCESS SHARE MODE")
        command = shop.begin_command("deploy", "--wait", "ended")
        eventually(lambda: shop.live == 1 and bool(shop.status()["deployment"]), bool, within_s=40)
        shop.ok("abort", "-m", "not today")
        out, err = command.communicate(timeout=60)
    assert command.returncode == 6, (out, err)
    assert shop.schemas()[0] == OLD[0]
    assert shop.get("/orders/1").status == 404


def test_a_database_server_that_does_not_answer_holds_up_no_way_back(
    shop: DatabaseShop, postgresql_server: str
) -> None:
    shop.release(SECOND)
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'").fetchone()
    assert found is not None
    postmaster = int(Path(f"/proc/{found[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(postmaster, signal.SIGSTOP)  # it takes connections and never answers them
    try:
        began_s = time.monotonic()
        shop.ok("rollback", "-m", "orders fail")
        assert time.monotonic() - began_s < 8, "the requests and the command wait for no database"
        assert shop.get("/orders/1").status == 404
    finally:
        os.kill(postmaster, signal.SIGCONT)


def test_what_a_rollback_takes_away_is_kept_by_its_keys_and_attached_again(shop: DatabaseShop) -> None:
    managed = DATABASES.replace(" }", ", keep_dropped: true }")
    born = {
        "main/0004_tags": ("CREATE TABLE tags (goods integer PRIMARY KEY, tag text)", "DROP TABLE tags"),
        "notes/3_tags": ("CREATE TABLE tags (note integer PRIMARY KEY, tag text)", "DROP TABLE tags"),
    }
    wide = {name: scripts for name, scripts in SECOND.items() if name != "main/0003_index"}
    shop.write({**wide, **born})
    shop.deploy(shop.text(ORDERS) + managed, "Prices, stars and tags")
    notes = shop.root / "data/notes.db"

    def lite(statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(notes, isolation_level=None)) as raw:
            return raw.execute(statement).fetchall()

    shop.sql("INSERT INTO goods (id, name, price) VALUES (1, 'a', 10), (2, 'b', NULL), (3, 'c', 30), (4, 'd', 40)")
    shop.sql("INSERT INTO tags VALUES (1, 'new'), (4, 'old')")
    lite("INSERT INTO notes (rowid, body, stars) VALUES (1, 'a', 5), (2, 'b', 3), (3, 'c', NULL)")
    lite("INSERT INTO tags VALUES (1, 'read')")
    back = shop.ok("rollback", "--with-schema", "-m", "prices are wrong")
    assert "LOSES" not in back.said
    seen = tuple([name for name in names if not name.startswith("lastgood_kept_")] for names in shop.schemas())
    assert seen == OLD, "for the application, which knows nothing of what is kept"
    kept = "SELECT of_table, of_column, release FROM lastgood{}aside ORDER BY 1, 2"
    assert {(table.rpartition(".")[2], column, release) for table, column, release in shop.sql(kept.format("."))} == {
        ("goods", "price", "r1"),
        ("tags", "", "r1"),
    }
    assert lite(kept.format("_")) == [("notes", "stars", "r1"), ("tags", "", "r1")]
    shop.sql("DELETE FROM goods WHERE id = 3")  # the application before goes on meanwhile, and knows nothing of it
    shop.sql("UPDATE goods SET name = 'D' WHERE id = 4")
    shop.sql("INSERT INTO goods (id, name) VALUES (9, 'n')")
    lite("DELETE FROM notes WHERE rowid = 2")
    lite("INSERT INTO notes (rowid, body) VALUES (9, 'n')")
    shop.write({**wide, **born})  # the revert commit took them out
    shop.deploy(shop.text(ORDERS) + managed, "Again", "--force", "-m", "mended")
    assert shop.schemas() == NEW
    assert shop.sql("SELECT id, name, price FROM goods ORDER BY id") == [
        (1, "a", 10),
        (2, "b", None),
        (4, "D", 40),
        (9, "n", None),
    ]
    assert shop.sql("SELECT * FROM tags ORDER BY 1") == [(1, "new"), (4, "old")]
    assert lite("SELECT rowid, body, stars FROM notes ORDER BY 1") == [(1, "a", 5), (3, "c", None), (9, "n", None)]
    assert lite("SELECT * FROM tags") == [(1, "read")]


def test_a_wrong_password_stops_what_changes_a_schema_and_stands_nowhere(shop: DatabaseShop, guarded_url: str) -> None:
    wrong = "falsch-Wort-1379"
    shop.ok("secret", "set", "main_url", feed=guarded_url.replace("PASS", wrong))
    shop.write(SECOND)
    shop.commit(shop.text(ORDERS) + DATABASES, "Orders")
    refused = [shop.run("deploy", "--wait", "ended", *form) for form in ((), ("--json",))]
    for done in refused:
        assert done.code == 4, done.said
        assert "password authentication failed" in done.said
    assert shop.live == 1
    assert shop.schemas() == OLD
    said = "".join(done.said for done in refused) + shop.run("db", "status", "main").said
    said += shop.run("status").said + shop.run("doctor").said + shop.run("history").said
    assert wrong not in said
    assert _files_with(shop.state, wrong) == {"secrets"}, "the store, which is its owner's alone"
    shop.ok("secret", "set", "main_url", feed=guarded_url.replace("PASS", PASSWORD))
    done = shop.ok("deploy", "--wait", "ended")
    assert shop.schemas() == NEW
    assert PASSWORD not in done.said + shop.ok("rollback", "--with-schema").said
    assert shop.schemas() == OLD
    assert _files_with(shop.state, PASSWORD) == {"secrets"}


def _files_with(folder: Path, text: str) -> set[str]:
    """The first parts of the paths below a folder of the files in which a text stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).parts[0] for path in files if text.encode() in path.read_bytes()}
