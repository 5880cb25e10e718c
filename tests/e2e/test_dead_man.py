"""``deploy --confirm-within``: without a word from a person it goes back by itself, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.refusals import refuses
from tests.support.shop import Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


def _armed(shop: Shop, within: str) -> None:
    shop.commit(shop.text(ORDERS), "Take orders")
    shop.ok("deploy", "--confirm-within", within)
    assert shop.get("/orders/1").body == "legacy"


def _went_back(shop: Shop) -> bool:
    return shop.get("/orders/1").status == 404


def test_nobody_confirms(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "1s")
    eventually(lambda: _went_back(shop), bool, within_s=4)
    eventually(lambda: shop.status()["deployment"], lambda active: active is None)
    assert shop.live == 1
    newest = shop.history()["releases"][0]
    assert newest["verdict"] in ("undecided", "bad")
    assert newest["held"]
    assert shop.history()["deployments"][0]["outcome"] == "went back"
    assert shop.git("show", "main:lastgood.yaml") == shop.text().strip()


def test_somebody_confirms(open_shop: Shop) -> None:
    """It ends the timer and never the judging."""
    shop = open_shop
    _armed(shop, "1500ms")
    shop.ok("confirm")
    time.sleep(1.7)
    assert shop.get("/orders/1").body == "legacy"
    eventually(lambda: shop.history()["releases"][0]["verdict"], lambda verdict: verdict == "good")
    refuses(shop, "confirm", code=4, saying=("next:",))


def test_extended(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "1500ms")
    shop.ok("confirm", "--extend", "4s")
    time.sleep(2)
    assert shop.get("/orders/1").body == "legacy"
    eventually(lambda: _went_back(shop), bool, within_s=5)


def test_confirmed_too_late(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "700ms")
    eventually(lambda: _went_back(shop), bool, within_s=4)
    done = shop.run("confirm")
    assert done.code == 4, done.said
    assert _went_back(shop)


def test_it_survives_the_controller(open_shop: Shop) -> None:
    """Killed, and restarted by the supervisor, before the deadline: the deadline stays."""
    shop = open_shop
    _armed(shop, "4s")
    began_s = time.monotonic()
    processes.kill(processes.pid(shop.root, CONTROLLER))
    eventually(lambda: shop.socket.exists() and bool(processes.pids(shop.root, CONTROLLER)), bool)
    assert shop.get("/orders/1").body == "legacy"
    eventually(lambda: _went_back(shop), bool, within_s=8)
    assert 2.5 < time.monotonic() - began_s < 6.5


def test_it_expires_while_the_controller_is_away(open_shop: Shop) -> None:
    """Rolled back first thing by the next controller."""
    shop = open_shop
    _armed(shop, "1500ms")
    supervisor, controller = processes.pid(shop.root, SUPERVISOR), processes.pid(shop.root, CONTROLLER)
    os.kill(supervisor, signal.SIGSTOP)
    processes.kill(controller, supervisor)
    time.sleep(2)
    assert shop.get("/orders/1").body == "legacy"  # fail-static: nobody is there to act
    shop.ok("up", "--detach")
    eventually(lambda: _went_back(shop), bool, within_s=3)
    assert shop.live == 1


def test_stop_does_not_disarm(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "1500ms")
    shop.ok("stop")
    time.sleep(1.7)
    shop.ok("up", "--detach")
    eventually(lambda: _went_back(shop), bool, within_s=3)


def test_confirmed_without_a_controller(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "6s")
    shop.ok("stop")
    shop.ok("confirm")
    shop.ok("up", "--detach")
    time.sleep(5)
    assert shop.get("/orders/1").body == "legacy"
    assert shop.live == 2


def test_aborted(open_shop: Shop) -> None:
    shop = open_shop
    _armed(shop, "1h")
    shop.ok("abort", "-m", "not today")
    assert _went_back(shop)
    assert shop.live == 1


def test_content_that_was_good_before_is_on_trial_again_when_armed(open_shop: Shop) -> None:
    """Who asks for the switch gets it, whatever was known of the content."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    shop.deploy(shop.text(), "No orders")
    shop.commit(shop.text(ORDERS), "Orders again")
    shop.ok("deploy", "--confirm-within", "1s")
    eventually(lambda: _went_back(shop), bool, within_s=5)
