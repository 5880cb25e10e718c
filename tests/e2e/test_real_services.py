"""Software nobody here wrote, two published versions of each: built by its own installer, forward and back under load.

Requests on keep-alive connections, slow streams and websockets are open all the while. The packages come from the
package indexes of Python and Node; without them these tests have nothing to say and are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from lastgood.interfaces.demo.load import Load, Probe
from tests.support.held_open import held_open, websocket
from tests.support.processes import eventually
from tests.support.services import ServiceShop
from tests.support.software import NODE, SOFTWARE, UVICORN, Software

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STRATEGIES = (
    "blue_green: { keep_old: 10m }",
    "rolling: { batch: 1 }",
    "rolling: { max_surge: 0, max_unavailable: 1 }",
    "canary: { steps: [50%], hold: 500ms, keep_old: 10m }",
)


@pytest.fixture(scope="module")
def index() -> None:
    """Package indexes that answer."""
    command = [sys.executable, "-m", "pip", "index", "versions", "starlette", "--retries", "0", "--timeout", "10"]
    if subprocess.run(command, capture_output=True, timeout=60).returncode != 0:
        pytest.skip("there is no package index to install from")


@pytest.fixture
def shop(index: None) -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def has_node() -> bool:
    """Whether Node is here and its index answers."""
    if shutil.which("npm") is None:
        return False
    command = ["npm", "view", "fastify", "version", "--fetch-retries=0", "--fetch-timeout=10000"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def commit(shop: ServiceShop, it: Software, version: str, strategy: str) -> None:
    """A version of it, with what installs it."""
    shop.commit(it.configuration(shop.ports.gateway, strategy), f"{version} by {strategy}", **it.source(version))


def forward_and_back(shop: ServiceShop, it: Software, strategy: str) -> None:
    """To the second version and back to r1 by a strategy."""
    first, second = it.versions if it.says else ("uuid", "uuid")
    commit(shop, it, it.versions[1], strategy)
    shop.ok("deploy", "--wait", "good", "--force", "-m", "by the next strategy", timeout_s=400)
    eventually(lambda: shop.get(it.path).body, lambda body: second in body)
    if "rolling" not in strategy:
        time.sleep(1.0)  # what stays open is spread over both versions
    shop.ok("rollback", "r1", timeout_s=120)
    eventually(lambda: shop.get(it.path).body, lambda body: first in body)
    eventually(lambda: shop.status()["deployment"], lambda deployment: deployment is None, within_s=60)


@pytest.mark.parametrize("it", SOFTWARE, ids=lambda it: it.name)
def test_every_strategy_forward_and_back_without_a_failed_request(shop: ServiceShop, it: Software) -> None:
    """No request fails, no stream ends before its end, no websocket is cut off within its version's drain."""
    if it is NODE and not has_node():
        pytest.skip("there is no npm, or no index to install from")
    shop.begin()
    commit(shop, it, it.versions[0], STRATEGIES[0])
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "good", timeout_s=400)
    load = Load(shop.ports.gateway, tuple(Probe(f"visitor-{n}", it.path) for n in range(4)), 10.0)
    load.start()
    try:
        with held_open(shop.ports.gateway, it.stream, it.talk) as held:
            for strategy in STRATEGIES:
                forward_and_back(shop, it, strategy)
                assert (load.failed(), held.broken) == ([], []), strategy
    finally:
        load.stop()
    assert len(load.answers) > 200
    assert load.failed() == []
    assert it.stream is None or held.complete > 10
    assert it.talk is None or (held.talks > 10 and set(held.heard) == set(it.versions))
    assert len(list((shop.state / "artifacts").glob("*/seal.json"))) == 2, "each version was built once"


def test_a_websocket_that_outlives_the_drain_is_told_to_come_back(shop: ServiceShop) -> None:
    """Its server says goodbye when it has to leave (1012: service restart); who comes back meets the new version."""
    shop.begin()
    brief = UVICORN.configuration(shop.ports.gateway, STRATEGIES[1]).replace("drain: 8s", "drain: 1s")
    shop.commit(brief, "Open", **UVICORN.source(UVICORN.versions[0]))
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "good", timeout_s=400)
    with websocket(shop.ports.gateway, "/talk") as spoken:
        spoken.send("hello")
        assert spoken.recv(timeout=10) == f"{UVICORN.versions[0]} hello"
        shop.commit(brief, "Next", **UVICORN.source(UVICORN.versions[1]))
        shop.ok("deploy", "--wait", "good", timeout_s=400)
        with pytest.raises(ConnectionClosed) as caught:
            spoken.recv(timeout=30)
    assert caught.value.rcvd is not None, "the connection broke without a word"
    assert caught.value.rcvd.code in (1001, 1012)
    with websocket(shop.ports.gateway, "/talk") as spoken:
        spoken.send("again")
        assert spoken.recv(timeout=10) == f"{UVICORN.versions[1]} again"
