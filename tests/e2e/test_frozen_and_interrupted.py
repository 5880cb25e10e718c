"""Controllers that freeze and come back, and people who press Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.shop import VISITOR, Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


def test_a_frozen_controller_is_fenced(open_shop: Shop) -> None:
    """It does not answer for 8 s; ``rollback`` takes over; when it wakes up it cannot undo that, and gives way."""
    shop = open_shop
    shop.commit(shop.text(ORDERS, bake="1h"), "Take orders")
    shop.ok("deploy")
    frozen = processes.pid(shop.root, CONTROLLER)
    os.kill(frozen, signal.SIGSTOP)
    try:
        with shop.load() as load:
            began_s = time.monotonic()
            done = shop.ok("rollback", timeout_s=30)
            assert time.monotonic() - began_s < 15
            assert shop.get("/orders/1").status == 404
            assert "taking over" in done.err
            os.kill(frozen, signal.SIGCONT)
            time.sleep(3)
            assert shop.get("/orders/1").status == 404
            eventually(lambda: processes.pids(shop.root, CONTROLLER), lambda pids: pids not in ([], [frozen]))
        assert not load.failed(), load.failed()[:3]
    finally:
        if processes.is_alive(frozen):
            os.kill(frozen, signal.SIGCONT)
    eventually(lambda: shop.socket.exists() and shop.live == 1, bool)
    assert shop.get("/orders/1").status == 404
    assert shop.status()["deployment"] is None
    assert "the chain of hashes is whole" in shop.run("doctor").out


def test_frozen_in_the_middle_of_a_deployment(open_shop: Shop) -> None:
    """The zombie has effects under way when it wakes up: none of them reaches a proxy."""
    shop = open_shop
    shop.commit(shop.text(ORDERS, bake="2s"), "Take orders")
    going = shop.begin_command("deploy", "--wait", "ended")
    eventually(lambda: shop.get("/orders/1").status, lambda status: status == 200)
    frozen = processes.pid(shop.root, CONTROLLER)
    os.kill(frozen, signal.SIGSTOP)
    time.sleep(6)  # the bake would be over now: its next step is to settle on r2
    shop.ok("rollback", timeout_s=30)
    assert shop.get("/orders/1").status == 404
    os.kill(frozen, signal.SIGCONT)
    for _ in range(20):
        assert shop.get("/orders/1").status == 404
        time.sleep(0.1)
    going.communicate(timeout=60)
    eventually(lambda: processes.pids(shop.root, CONTROLLER), lambda pids: pids not in ([], [frozen]))
    eventually(lambda: shop.live, lambda live: live == 1)
    assert shop.get("/orders/1").status == 404


def test_a_frozen_supervisor(open_shop: Shop) -> None:
    """It restarts nothing while it is frozen; deploying and going back do not need it."""
    shop = open_shop
    supervisor = processes.pid(shop.root, SUPERVISOR)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        shop.deploy(shop.text(ORDERS), "Take orders")
        shop.ok("rollback")
        assert shop.get("/orders/1").status == 404
    finally:
        os.kill(supervisor, signal.SIGCONT)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_ctrl_c_detaches(open_shop: Shop, verb: str, seed: int) -> None:
    """At any moment: the command ends with 130, what was begun goes on by itself, traffic never suffers."""
    shop, chance = open_shop, random.Random(seed)
    if verb == "rollback":
        shop.deploy(shop.text(ORDERS), "Take orders")
    else:
        shop.commit(shop.text(ORDERS), "Take orders")
    before = shop.live
    with shop.load() as load:
        going = shop.begin_command(verb, *(["--wait", "ended"] if verb == "deploy" else []))
        time.sleep(0.1 + chance.random() * 0.7)
        os.killpg(going.pid, signal.SIGINT)
        out, err = going.communicate(timeout=20)
        assert going.returncode in (130, 0, -signal.SIGINT), (going.returncode, out, err)
        assert "Traceback" not in err or going.returncode == -signal.SIGINT, err
        if going.returncode == 130 and "detached" in err:
            assert "lastgood abort takes it back" in err
        eventually(lambda: shop.status()["deployment"], lambda active: active is None)
        assert not load.failed()
    if "detached" in err or going.returncode == 0:
        assert shop.live == (2 if verb == "deploy" else 1)
    else:
        assert shop.live in (before, 2 if verb == "deploy" else 1)
    assert set(load.seen(VISITOR.name, 0)) == {(200, "catalog")}
    assert shop.get("/orders/1").status == (200 if shop.live == 2 else 404)


@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c_during_up(shop: Shop, seed: int) -> None:
    """Whatever is there then, ``up`` again completes it, and ``down`` ends it."""
    shop.begin()
    shop.commit(shop.text())
    going = shop.begin_command("up", "--detach")
    time.sleep(0.05 + random.Random(seed).random() * 1.2)
    os.killpg(going.pid, signal.SIGINT)
    going.communicate(timeout=20)
    done = shop.run("up", "--detach")
    assert done.code == 0 or "up already" in done.err, done.said
    shop.ok("deploy")
    assert shop.get("/catalog/1").body == "catalog"


def test_ctrl_c_in_the_foreground(open_shop: Shop) -> None:
    """``up`` without ``--detach`` ends the controller with Ctrl-C, and nothing else."""
    shop = open_shop
    shop.ok("stop")
    going = shop.begin_command("up")
    eventually(lambda: shop.socket.exists() and shop.live == 1, bool)
    time.sleep(0.6)
    os.killpg(going.pid, signal.SIGINT)
    out, err = going.communicate(timeout=20)
    assert going.returncode == 0, (going.returncode, out, err)
    assert "Traceback" not in err
    eventually(lambda: processes.pids(shop.root, CONTROLLER), lambda pids: not pids)
    assert shop.get("/catalog/1").body == "catalog"


def test_the_controller_is_asked_to_end_during_a_deployment(open_shop: Shop) -> None:
    """``stop`` in the middle: the next controller goes on where this one was."""
    shop = open_shop
    shop.commit(shop.text(ORDERS, bake="1500ms"), "Take orders")
    shop.ok("deploy")
    shop.ok("stop")
    assert shop.get("/orders/1").body == "legacy"
    assert shop.ask("status")["controller"] is None
    shop.ok("up", "--detach")
    eventually(lambda: shop.status()["deployment"], lambda active: active is None)
    assert shop.live == 2
    assert shop.history()["releases"][0]["verdict"] == "good"
