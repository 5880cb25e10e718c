from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support import orphans
from tests.support.configuration import CATALOG, route
from tests.support.shop import Shop

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # begun in the background: commands would inherit it


@pytest.fixture(scope="session", autouse=True)
def swept() -> None:
    """A run that was killed could not tidy up."""
    orphans.sweep()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop of which nothing runs yet."""
    made = Shop()
    yield made
    made.close()


@pytest.fixture
def open_shop(shop: Shop) -> Shop:
    """A shop whose r1 is live and good."""
    shop.open()
    return shop


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shop]:
    """One for a whole file whose tests all leave it as it was; r1 and r2 are good, r2 is live."""
    made = Shop()
    try:
        made.open()
        made.deploy(made.text(CATALOG + route("orders", "legacy")), "Take orders")
        yield made
    finally:
        made.close()
