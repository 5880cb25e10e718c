"""The release before, tried against the schema of the next one, before anything moves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.shop import Shop

pytestmark = pytest.mark.timeout(120)
CODE = '''\
"""Answers with what it reads from its database."""
import http.server, os, sqlite3
class Prices(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///")) as raw:
                word, status = str(raw.execute("SELECT count(price) FROM goods").fetchone()[0]), 200
        except sqlite3.Error as error:
            word, status = str(error), 500
        self.send_response(status if self.path == "/prices" else 200)
        self.end_headers()
        self.wfile.write(word.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Prices).serve_forever()
'''
SERVICE = """\
databases:
  main: {{ url: secret:main_url, migrations: migrations }}
services:
  catalog:
    source: services/catalog
    command: [python, main.py]
    instances: 1
    environment: {{ DATABASE_URL: secret:main_url }}
    health: {{ path: /healthz, interval: 200ms }}
    smoke: [ {{ path: /prices }} ]
bake: {{ for: 300ms }}
"""


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    try:
        made.begin()
        database = made.folder / "app.db"
        sqlite3.connect(database).close()
        (made.root / "lastgood.yaml").write_text("project: shop\n")
        made.ok("secret", "set", "main_url", feed=f"sqlite:///{database}")
        yield made
    finally:
        made.close()


def write(shop: Shop, name: str, up: str, down: str) -> None:
    folder = shop.root / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.up.sql").write_text(up)
    (folder / f"{name}.down.sql").write_text(down)


def test_a_migration_that_the_live_release_cannot_live_with_is_found(shop: Shop) -> None:
    text = (
        f"project: shop\ngateway:\n  listeners:\n    web: {{ port: {shop.ports.gateway} }}\n  routes:\n"
        "    - { name: all, match: { host: shop.example }, to: catalog, public: true }\n" + SERVICE.format()
    )
    write(shop, "1_goods", "CREATE TABLE goods (id integer PRIMARY KEY, price integer);", "DROP TABLE goods;")
    shop.commit(text, "Open", services__catalog__main_py=CODE)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/prices").body == "0"
    write(
        shop,
        "2_cost",
        "ALTER TABLE goods RENAME COLUMN price TO cost;",
        "ALTER TABLE goods RENAME COLUMN cost TO price;",
    )
    assert shop.ok("db", "prove", "main").code == 0, "it comes back"
    tried = shop.run("db", "prove", "main", "--previous")
    assert tried.code == 6
    assert "r1 does not work on the new schema: catalog: GET /prices was answered with 500, not 200" in tried.out
    write(shop, "2_cost", "ALTER TABLE goods ADD COLUMN cost integer;", "ALTER TABLE goods DROP COLUMN cost;")
    assert "trying catalog of r1 on the new schema" in shop.ok("db", "prove", "main", "--previous").out
    with closing(sqlite3.connect(shop.folder / "app.db")) as raw:
        assert [row[1] for row in raw.execute("PRAGMA table_info(goods)")] == ["id", "price"], (
            "the real one is as it was"
        )
