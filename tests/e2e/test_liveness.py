"""Instances that live and do not answer: real ones, frozen under load."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.processes import eventually
from tests.support.services import HEALTH, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
HASTY = "{ path: /healthz, interval: 200ms, timeout: 500ms, unhealthy: 2, restart_after: 6 }"


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = HastyShop()
    yield made
    made.close()


class HastyShop(ServiceShop):
    """Does not wait long until it restarts."""

    def words(self, word: str, **settings: object) -> str:  # type: ignore[override]
        return super().words(word, **settings).replace(HEALTH, HASTY)  # type: ignore[arg-type]


def healthy(shop: ServiceShop) -> int:
    [version] = shop.status()["services"][0]["versions"]
    return int(version["healthy"])


def test_one_that_is_frozen_is_restarted_and_no_request_is_lost(shop: ServiceShop) -> None:
    """From the moment the gateway has left it out, through its end and its start, nobody notices."""
    shop.open_with("one", instances=3)
    (key, pid), *others = shop.pids().items()
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: healthy(shop), lambda count: count == 2, within_s=30)
    with shop.visited() as load:
        eventually(lambda: shop.pids().get(key), lambda now: now not in (None, pid), within_s=60)
        eventually(lambda: healthy(shop), lambda count: count == 3, within_s=30)
    assert set(bodies(load)) == {"one"}
    assert dict(others).items() <= shop.pids().items(), "the others were not touched"


def test_where_all_are_frozen_all_are_restarted(shop: ServiceShop) -> None:
    shop.open_with("one")
    before = shop.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: set(shop.pids().values()) & set(before.values()), lambda left: not left, within_s=60)
    eventually(lambda: healthy(shop), lambda count: count == 2, within_s=30)
    eventually(lambda: shop.get("/visit").body, lambda body: body == "one", within_s=30)
    with shop.visited() as load:
        eventually(lambda: len(load.answers), lambda count: count > 50, within_s=30)
    assert set(bodies(load)) == {"one"}


def test_a_service_that_is_away_is_told_of_once_and_so_is_its_return(shop: ServiceShop) -> None:
    """While nothing is deployed: nobody looks at the screen then."""
    shop.open_with("one")
    eventually(lambda: shop.status()["deployment"], lambda deployment: deployment is None, within_s=30)
    for pid in shop.pids().values():
        os.kill(pid, signal.SIGSTOP)
    away = "catalog: none of its instances is healthy"
    eventually(lambda: shop.ok("status").said, lambda said: away in said, within_s=60)
    eventually(lambda: shop.ok("status").said, lambda said: "catalog: instances are healthy again" in said, within_s=60)
    assert sum(away in line for line in shop.ok("status").said.splitlines()) <= 1
