"""A drill with real parts: Envoy, a service, a function and a database, under load."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.test_rehearse import FUNCTION, migration
from tests.support import processes
from tests.support.functions import PYTHON
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import CODE, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def test_there_and_back_loses_no_request_and_holds_nothing_against_anybody(shop: ServiceShop) -> None:
    shop.begin()
    (shop.root / ".git/info/exclude").write_text(".lastgood/\ndata/\n")
    (shop.root / "data").mkdir()
    sqlite3.connect(shop.root / "data/main.db").close()
    shop.commit(
        shop.words("one") + FUNCTION,
        "Open the shop",
        services__catalog__main_py=CODE,
        functions__price__main_py=PYTHON.format(word="one"),
        **migration(1, "CREATE TABLE goods (id integer PRIMARY KEY);", "DROP TABLE goods;"),
    )
    shop.ok("secret", "set", "more", feed="hunter2")
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    refused = shop.run("drill", "--yes")
    assert refused.code == 4, "there is nothing known good to go back to"
    shop.commit(
        shop.words("two") + FUNCTION,
        "Say two",
        functions__price__main_py=PYTHON.format(word="two"),
        **migration(2, "ALTER TABLE goods ADD COLUMN price integer;", "ALTER TABLE goods DROP COLUMN price;"),
    )
    shop.ok("deploy", "--wait", "ended")
    head = shop.git("rev-parse", "HEAD")
    with shop.visited() as load:
        told = shop.ok("drill", "--yes", timeout_s=120).out
    assert "went back to r1 (d3): effective in" in told
    assert "went forward to r2 (d4): effective in" in told
    assert set(bodies(load)) == {"one", "two"}, "users were served by both"
    assert shop.get("/visit").body == "two"
    status = shop.status()
    assert (status["drill"]["standing"], status["known_good"]) == ("done", [1, 2])
    assert not any(release["held"] for release in shop.history()["releases"])
    assert shop.git("rev-parse", "HEAD") == head, "nothing was reverted"
    with closing(sqlite3.connect(shop.root / "data/main.db")) as raw:
        assert [row[1] for row in raw.execute("PRAGMA table_info(goods)")] == ["id", "price"], "schemas stay"
    eventually(lambda: len(shop.instances()), lambda count: count == 1)
    shop.ok("rollback", "-m", "and one in earnest")
    assert shop.get("/visit").body == "one"


def test_a_controller_killed_in_a_drill_is_followed_by_one_that_goes_forward(shop: ServiceShop) -> None:
    shop.open_with("one")
    shop.release("two", keep="400ms")
    with shop.visited():
        going = shop.begin_command("drill", "--yes")
        eventually(lambda: len(shop.instances()), lambda count: count == 2)
        processes.kill(processes.pid(shop.folder, CONTROLLER))
        going.communicate(timeout=60)
        eventually(shop.answers, bool)
        eventually(lambda: (shop.status()["drill"] or {}).get("standing"), lambda standing: standing == "done")
    assert shop.get("/visit").body == "two"
    assert shop.live == 2
