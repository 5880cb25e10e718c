"""Code that cannot live with the next schema, taken back to: a real gateway, real processes, a real PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.postgresql import postgresql_server, postgresql_url
from tests.support.shop import Shop

__all__ = ["postgresql_server", "postgresql_url"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
CODE = '''\
"""Answers with what it reads from its database."""
import http.server, os, psycopg
class Prices(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with psycopg.connect(os.environ["DATABASE_URL"]) as raw:
                word, status = str(raw.execute("SELECT sum(COLUMN) FROM goods").fetchone()[0]), 200
        except psycopg.Error as error:
            word, status = str(error), 500
        self.send_response(200 if self.path == "/healthz" else status)
        self.end_headers()
        self.wfile.write(word.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Prices).serve_forever()
'''
TEXT = """\
project: shop
gateway:
  listeners:
    web: {{ port: {port} }}
  routes:
    - {{ name: all, match: {{ host: shop.example }}, to: catalog, public: true }}
databases:
  main: {{ url: secret:main_url, migrations: migrations, previous_release: try }}
services:
  catalog:
    source: services/catalog
    command: [{python}, main.py]
    instances: 1
    environment: {{ DATABASE_URL: secret:main_url }}
    health: {{ path: /healthz, interval: 200ms }}
    smoke: [ {{ path: /prices }} ]
    strategy: {{ blue_green: {{ keep_old: 1s }} }}
bake: {{ for: 300ms }}
"""


class PricesShop(Shop):
    """A shop whose only service needs one column."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def release(self, column: str, name: str, up: str, down: str) -> str:
        folder = self.root / "migrations"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.up.sql").write_text(f"{up};\n")
        (folder / f"{name}.down.sql").write_text(f"{down};\n")
        text = TEXT.format(port=self.ports.gateway, python=sys.executable)
        self.commit(text, name, services__catalog__main_py=CODE.replace("COLUMN", column))
        self.up()
        return self.ok("deploy", "--wait", "ended").said

    def up(self) -> None:
        if self.run("status").code != 0:
            self.ok("up", "--detach")

    def columns(self) -> list[str]:
        wanted = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'goods' ORDER BY 1"
        with psycopg.connect(self.url, autocommit=True) as connection:
            return [row[0] for row in connection.execute(wanted)]

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def shop(postgresql_url: str) -> Iterator[PricesShop]:
    made = PricesShop(postgresql_url)
    try:
        made.begin()
        (made.root / "lastgood.yaml").write_text("project: shop\n")
        made.ok("secret", "set", "main_url", feed=postgresql_url)
        made.release("price", "1_goods", "CREATE TABLE goods (price integer)", "DROP TABLE goods")
        made.sql("INSERT INTO goods VALUES (3)")
        yield made
    finally:
        made.close()


def test_the_schema_goes_down_before_the_requests_come_back_to_code_that_needs_it_so(shop: PricesShop) -> None:
    assert shop.get("/").body == "3"
    up, down = "ALTER TABLE goods RENAME price TO cost", "ALTER TABLE goods RENAME cost TO price"
    said = shop.release("cost", "2_cost", up, down)
    assert "what is live cannot live with migration 2" in said
    assert "catalog: GET /prices was answered with 500" in said, "with what was seen"
    assert shop.url not in said, "the URL has a password"
    assert shop.get("/").body == "3"
    plan = shop.ok("plan", "rollback", "r1").out
    assert "bring the schema of main down to 1: r1 cannot live with 2" in plan
    shop.ok("rollback", "r1", "-m", "we want prices")
    assert (shop.get("/").status, shop.get("/").body, shop.columns()) == (200, "3", ["price"])
    assert "2_cost" not in shop.git("ls-tree", "-r", "--name-only", "HEAD"), "what is not applied any more is taken out"
    report = shop.ok("report", "d3").out
    assert report.index("bring the schema of main down") < report.index("start 1 x catalog"), report


def test_rows_at_stake_leave_everything_where_it_is_until_a_person_has_chosen(shop: PricesShop) -> None:
    up = "-- lastgood:breaks prices have a tax\n"
    up += "ALTER TABLE goods RENAME price TO cost; ALTER TABLE goods ADD tax integer"
    down = "ALTER TABLE goods DROP COLUMN tax; ALTER TABLE goods RENAME cost TO price"
    shop.release("cost", "2_tax", up, down)
    shop.sql("INSERT INTO goods VALUES (4, 1)")
    assert "BLOCKED  it has to bring the schema of main down to 1" in shop.ok("plan", "rollback", "r1").out
    refused = shop.run("rollback", "r1")
    assert refused.code == 4
    assert "prices have a tax" in refused.err
    assert "1 values of goods.tax" in refused.err
    assert shop.get("/").body == "7"
    shop.ok("rollback", "r1", "--accept-loss")
    assert (shop.get("/").body, shop.columns()) == ("7", ["price"])
