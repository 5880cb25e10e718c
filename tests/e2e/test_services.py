"""Versions of a service behind a real gateway: forward, back, and every way in which a version can be no good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import eventually
from tests.support.services import ServiceShop, bodies

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def test_forward_and_back_lose_no_request(shop: ServiceShop) -> None:
    shop.open_with("one")
    with shop.visited() as load:
        shop.release("two", keep="30s", wait="converged")
        eventually(lambda: shop.get("/visit").body, lambda body: body == "two")
        shop.ok("rollback", "-m", "two is no good")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    assert shop.live == 1
