"""The way back rehearsed with real parts: Envoy, a service, a function and a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests.support import processes
from tests.support.functions import PYTHON
from tests.support.processes import CONTROLLER, eventually
from tests.support.services import CODE, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
FUNCTION = """\
functions:
  price:
    source: functions/price
    runtime: python
    environment: { MORE: secret:more }
    strategy: { blue_green: { keep_old: 2s } }
databases:
  main: { url: "sqlite:///data/main.db", migrations: migrations }
"""


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def checks(shop: ServiceShop, *words: str) -> dict[str, str]:
    """Each check of a rehearsal and how it stands."""
    found = shop.ask("rehearse", *words)["way_back"]
    return {f"{one['kind']} {one['name']}": one["standing"] for one in found["checks"]}


def migration(number: int, up: str, down: str) -> dict[str, str]:
    return {f"migrations__{number}_x_up_sql": up, f"migrations__{number}_x_down_sql": down}


def aside(shop: ServiceShop) -> list[str]:
    """Records of what is started aside."""
    return [path.name for path in (shop.state / "run/processes").glob("rehearsal:*.json")]


def test_every_part_is_proven_before_a_release_takes_requests(shop: ServiceShop) -> None:
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
    good = migration(2, "ALTER TABLE goods ADD COLUMN price integer;", "ALTER TABLE goods DROP COLUMN price;")
    python = {"functions__price__main_py": PYTHON.format(word="two")}
    shop.commit(shop.words("two") + FUNCTION, "Say two", **python, **good)
    with shop.visited() as load:
        told = shop.ok("rehearse").out
        assert "the way back leads to r1, live, known good" in told
        ready = {"configuration r1", "service catalog", "function price", "database main"}
        assert checks(shop) == dict.fromkeys(ready, "ready")
        deployed = shop.ok("deploy", "--wait", "ended").out
        assert "the way back leads to r1, live, known good (timed: no veto in 0.3 s): ready" in deployed
        assert "exactly what was there before" in deployed
        assert checks(shop, "live") == dict.fromkeys(ready, "ready"), "started aside: nothing of r1 runs any more"
        assert "started aside" in shop.ok("rehearse", "live").out
        assert aside(shop) == []
        shop.ok("secret", "revoke", "more")
        blocked = shop.run("rehearse", "live")
        assert blocked.code == 4
        assert "secret:more" in blocked.out
        assert "hunter2" not in blocked.said
    assert set(bodies(load)) <= {"one", "two"}
    assert len(shop.instances()) == 1


def test_a_way_back_that_is_blocked_is_said_before_and_gone_on_from_only_when_asked(shop: ServiceShop) -> None:
    shop.open_with("one")
    shop.release("two", keep="400ms")
    standing = shop.history()
    for path in shop.state.glob("artifacts/*/bundle/main.py"):
        path.parent.chmod(0o755)
        path.chmod(0o644)
        path.write_text("print('changed')\n")
    shop.commit(shop.words("three"), "Say three", services__catalog__main_py=CODE + "# of its own bundle\n")
    refused = shop.run("deploy")
    assert refused.code == 4, refused.said
    assert "the way back to r2 is blocked: service catalog: cannot be started" in refused.said
    assert "--accept-blocked" in refused.said
    assert shop.history() == standing
    assert shop.get("/visit").body == "two", "what runs goes on"
    assert shop.run("rehearse", "live").code == 4


def test_a_controller_killed_in_a_rehearsal_leaves_nothing_running(shop: ServiceShop) -> None:
    shop.begin()
    code = CODE.replace("port = int", "await asyncio.sleep(2); port = int")
    shop.commit(shop.words("one"), "Open the shop", services__catalog__main_py=code)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    shop.release("two", keep="400ms")
    going = shop.begin_command("rehearse", "live")
    eventually(lambda: aside(shop), bool)
    processes.kill(processes.pid(shop.folder, CONTROLLER))
    going.communicate(timeout=30)
    eventually(shop.answers, bool)
    eventually(lambda: aside(shop), lambda left: left == [])
    assert shop.get("/visit").body == "two"
