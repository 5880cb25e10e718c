"""``kill -9`` of the controller, the supervisor and proxies, alone and together, under load."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.shop import VISITOR, Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")
SETTLED = {"done", "went back", "failed", "superseded"}


def _is_up(shop: Shop) -> bool:
    return bool(processes.pids(shop.root, CONTROLLER)) and shop.socket.exists() and shop.status()["proxies"] != []


def _at_rest(shop: Shop) -> bool:
    status = shop.status()
    return status["deployment"] is None and all(proxy["connected"] for proxy in status["proxies"])


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("seed", range(4))
def test_the_controller_killed_at_random_moments(open_shop: Shop, seed: int) -> None:
    """Five rounds each: forward or back, killed in the middle. It ends at a rest point that was declared, and never at
    the release that was left once the way back was accepted."""
    shop, chance = open_shop, random.Random(seed)
    with shop.load() as load:
        for number in range(5):
            _one_round(shop, chance, number)
        visitors = set(load.seen(VISITOR.name, 0))
        assert not load.failed(), load.failed()[:3]
    assert visitors == {(200, "catalog")}
    assert shop.run("doctor").code in (0, 1)
    assert "the chain of hashes is whole" in shop.run("doctor").out


def _one_round(shop: Shop, chance: random.Random, number: int) -> None:
    before = shop.live
    shop.commit(shop.text(ORDERS + route(f"round{number}")), f"Round {number}")
    going_back = chance.random() < 0.5
    if going_back:
        shop.ok("deploy", "--force", "-m", "again")
        left = shop.live
        command = shop.begin_command("rollback", f"r{before}", "--accept-loosening")
    else:
        left = None
        command = shop.begin_command("deploy", "--force", "-m", "again", "--wait", "ended")
    controller = processes.pid(shop.root, CONTROLLER)
    count = len(shop.history()["deployments"])
    if chance.random() < 0.7:  # in the middle of it, else before it was even received
        eventually(lambda: len(shop.history()["deployments"]) > count or command.poll() is not None, bool)
    time.sleep(chance.random() * 0.6)
    accepted = len(shop.history()["deployments"]) > count
    processes.kill(controller)
    eventually(lambda: _is_up(shop), bool, within_s=20)
    out, err = command.communicate(timeout=60)
    assert "Traceback" not in err, err
    eventually(lambda: _at_rest(shop), bool, within_s=20)
    status, newest = shop.status(), shop.history()["deployments"][0]
    assert newest["outcome"] in SETTLED, newest
    live = status["live"]["release"]
    assert newest["live"] == live
    if going_back and accepted:
        assert live == before, (newest, out, err)
    assert live in {before, newest["to"], newest["from"], left}
    # What is said is what is served.
    assert shop.get("/catalog/1").headers["x-lastgood-release"] == f"r{live}"
    assert status["gateway"] == {"base": live, "candidate": None, "percent": 0.0}


@pytest.mark.parametrize("order", ["supervisor", "supervisor, controller", "both", "controller, supervisor"])
def test_those_who_watch_are_killed(open_shop: Shop, order: str) -> None:
    """Traffic goes on; who is left brings the other back; with both gone ``up`` does."""
    shop = open_shop
    proxy = processes.pid(shop.root, "proxy-1.json")
    supervisor, controller = processes.pid(shop.root, SUPERVISOR), processes.pid(shop.root, CONTROLLER)
    with shop.load() as load:
        if order == "supervisor":
            processes.kill(supervisor)
            eventually(lambda: processes.pids(shop.root, SUPERVISOR), lambda pids: pids not in ([], [supervisor]))
            assert processes.pid(shop.root, CONTROLLER) == controller
        elif order == "supervisor, controller":
            processes.kill(supervisor)
            eventually(lambda: processes.pids(shop.root, SUPERVISOR), lambda pids: pids not in ([], [supervisor]))
            time.sleep(0.5)  # the new one is told how to start the controller
            processes.kill(controller)
            eventually(lambda: _is_up(shop), bool, within_s=20)
        elif order == "controller, supervisor":
            processes.kill(controller)
            processes.kill(supervisor)
        else:
            os.kill(supervisor, signal.SIGSTOP)  # so that it restarts nothing in between
            processes.kill(controller, supervisor)
        if order in ("both", "controller, supervisor"):
            time.sleep(0.5)
            if not processes.pids(shop.root, CONTROLLER):
                assert shop.run("status").code == 0
                shop.ok("up", "--detach")
        assert processes.pid(shop.root, "proxy-1.json") == proxy
        shop.deploy(shop.text(ORDERS), "Take orders")
        assert shop.get("/orders/1").body == "legacy"
        shop.ok("rollback")
        assert not load.failed(), load.failed()[:3]
    assert set(load.seen(VISITOR.name, 0)) == {(200, "catalog")}


def test_one_proxy_of_three_is_killed(shop: Shop) -> None:
    """It comes back with the same state, and answers nothing before it has it; the others serve on."""
    shop.open("--proxies", "3")
    shop.commit(shop.text(ORDERS, bake="1h"), "Take orders")
    shop.ok("deploy")
    killed = processes.pid(shop.root, "proxy-2.json")
    with shop.load() as load:
        processes.kill(killed)
        eventually(lambda: [pid for pid in processes.pids(shop.root, "proxy-2.json") if pid != killed], bool)
        eventually(lambda: [proxy["connected"] for proxy in shop.status()["proxies"]], all)
        time.sleep(0.3)
    acknowledged = {proxy["acknowledged"] for proxy in shop.status()["proxies"]}
    assert len(acknowledged) == 1, acknowledged
    bodies = {answer.body for answer in load.answers if answer.status == 200}
    assert bodies == {"catalog"}
    # The connection it held is lost with it; everything that was answered was answered rightly.
    assert {answer.status for answer in load.answers} <= {0, 200}
    assert len(load.failed()) <= 1, load.failed()
    for _ in range(30):
        assert shop.get("/orders/1").body == "legacy"


def test_three_proxies_converge_and_one_away_is_unknown(shop: Shop) -> None:
    shop.open("--proxies", "3")
    done = shop.deploy(shop.text(ORDERS), "Take orders")
    assert "3 of 3 proxies" in done.out, done.out
    frozen = processes.pid(shop.root, "proxy-3.json")
    os.kill(frozen, signal.SIGSTOP)
    try:
        done = shop.run("rollback")
        assert done.code == 0, done.said
        assert "2 of 3 proxies" in done.out, done.out
        assert "proxy-3" in done.out, done.out
        assert "unknown" in done.out, done.out
    finally:
        os.kill(frozen, signal.SIGCONT)
    eventually(lambda: [p["connected"] for p in shop.status()["proxies"]], all)
    eventually(lambda: len({p["acknowledged"] for p in shop.status()["proxies"]}), lambda count: count == 1)
    for _ in range(30):
        assert shop.get("/orders/1").status == 404


def test_every_proxy_is_killed(open_shop: Shop) -> None:
    """All of them, while no controller runs either: the supervisor restarts them, the controller's return serves."""
    shop = open_shop
    processes.kill(processes.pid(shop.root, CONTROLLER), processes.pid(shop.root, "proxy-1.json"))
    eventually(lambda: shop.get("/catalog/1").status, lambda status: status == 200, within_s=20)
    assert shop.get("/catalog/1").headers["x-lastgood-release"] == "r1"


def test_rollback_with_everything_gone_but_the_proxies(open_shop: Shop) -> None:
    """Controller and supervisor dead, the repository deleted: traffic goes back all the same, and fast."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    supervisor, controller = processes.pid(shop.root, SUPERVISOR), processes.pid(shop.root, CONTROLLER)
    os.kill(supervisor, signal.SIGSTOP)
    processes.kill(controller, supervisor)
    shutil.rmtree(shop.root / ".git")
    (shop.root / "lastgood.yaml").unlink()
    with shop.load() as load:
        done = shop.ok("rollback", "-m", "orders are broken")
        assert shop.get("/orders/1").status == 404
    assert not load.failed()
    assert "no revert commit" in done.said, done.said
    assert "1 of 1 proxy" in done.out
    assert shop.run("history").code == 0
    shop.ok("up", "--detach")
    assert shop.live == 1
    assert shop.get("/orders/1").status == 404


def test_rollback_alone_while_it_bakes(open_shop: Shop) -> None:
    """The same in the middle of a bake: the deployment under way is superseded, also in the next controller's eyes."""
    shop = open_shop
    shop.commit(shop.text(ORDERS, bake="1h"), "Take orders")
    shop.ok("deploy")
    supervisor, controller = processes.pid(shop.root, SUPERVISOR), processes.pid(shop.root, CONTROLLER)
    os.kill(supervisor, signal.SIGSTOP)
    processes.kill(controller, supervisor)
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.git("show", "main:lastgood.yaml") == shop.text().strip()
    shop.ok("up", "--detach")
    status = shop.status()
    assert (status["live"]["release"], status["deployment"]) == (1, None)
    assert shop.get("/orders/1").status == 404
    bad = shop.history()["releases"][0]
    assert (bad["verdict"], bad["held"], bad["lived"]) == ("bad", True, True)


def test_stale_sockets(open_shop: Shop) -> None:
    """What a crash left behind is replaced; what another program put there is not obeyed."""
    shop = open_shop
    supervisor, controller = processes.pid(shop.root, SUPERVISOR), processes.pid(shop.root, CONTROLLER)
    os.kill(supervisor, signal.SIGSTOP)
    processes.kill(controller, supervisor)
    sockets = sorted(path.name for path in (shop.state / "run").glob("*.sock"))
    assert {"api.sock", "ads.sock", "supervisor.sock"} <= set(sockets), sockets
    for command in (("status",), ("history",), ("plan", "rollback", "r1")):
        assert shop.run(*command).code in (0, 4), command
    shop.ok("up", "--detach")
    shop.deploy(shop.text(ORDERS), "Take orders")
    assert shop.get("/orders/1").body == "legacy"


def test_a_start_at_boot(open_shop: Shop) -> None:
    """As after a reboot: nothing runs, every socket is stale; ``up`` serves what was served."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    supervisor = processes.pid(shop.root, SUPERVISOR)
    os.kill(supervisor, signal.SIGSTOP)
    processes.kill(*processes.command_lines(shop.folder))
    assert shop.get("/orders/1").status == 0
    shop.ok("up", "--detach")
    eventually(lambda: shop.get("/orders/1").body, lambda body: body == "legacy")
    assert shop.live == 2
