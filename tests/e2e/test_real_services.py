"""Software nobody here wrote, two published versions of each: built by its own installer, forward and back under load.

Their packages come from the package index; without one these tests have nothing to say and are skipped.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lastgood.interfaces.demo.load import Load, Probe
from tests.support.processes import eventually
from tests.support.services import ServiceShop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STARLETTE = """\
import asyncio
import starlette
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def version(request):
    return JSONResponse({"version": starlette.__version__})

async def drip(request):
    async def pieces():
        for number in range(20):
            yield f"{number}\\n"
            await asyncio.sleep(0.1)
    return StreamingResponse(pieces(), media_type="text/plain")

app = Starlette(routes=[
    Route("/version", version), Route("/drip", drip), Route("/healthz", lambda r: PlainTextResponse("ok")),
])
"""


BUILD = "set -e\npython3 -m venv .venv\n.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt\n"


@dataclass(frozen=True)
class Software:
    """What is installed (two versions), the shell line that runs it, and where it says which version it is."""

    name: str
    versions: tuple[str, str]
    requirements: str
    command: str
    health: str
    path: str
    says: bool = True
    code: str = "# nothing of our own\n"


SOFTWARE = (
    Software(
        "httpbin",
        ("0.10.2", "0.10.4"),
        "httpbin=={version}\ngunicorn==23.0.0\n",
        "gunicorn --bind 127.0.0.1:$PORT --workers 2 --threads 4 --graceful-timeout 5 httpbin:app",
        "/status/200",
        "/uuid",
        says=False,
    ),
    Software(
        "starlette",
        ("0.45.3", "0.46.2"),
        "starlette=={version}\nuvicorn==0.34.0\n",
        "uvicorn main:app --port $PORT --timeout-graceful-shutdown 5",
        "/healthz",
        "/version",
        code=STARLETTE,
    ),
    Software(
        "datasette",
        ("0.64.6", "0.65.1"),
        "datasette=={version}\nsetuptools<80\n",
        "datasette serve --memory --port $PORT",
        "/-/versions.json",
        "/-/versions.json",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def index() -> None:
    """A package index that answers."""
    command = [sys.executable, "-m", "pip", "index", "versions", "starlette", "--retries", "0", "--timeout", "10"]
    if subprocess.run(command, capture_output=True, timeout=60).returncode != 0:
        pytest.skip("there is no package index to install from")


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def commit(shop: ServiceShop, it: Software, version: str) -> None:
    """A version of it, with what installs it."""
    text = (
        "project: shop\ngateway:\n  listeners:\n"
        f"    web: {{ port: {shop.ports.gateway} }}\n  routes:\n"
        "    - { name: all, match: { host: shop.example }, to: it, public: true }\n"
        "services:\n  it:\n    source: services/it\n    build: [sh, build.sh]\n    build_timeout: 5m\n"
        f"    command: [sh, -c, 'exec .venv/bin/{it.command}']\n    instances: 2\n"
        f"    health: {{ path: {it.health}, interval: 500ms, timeout: 3s }}\n"
        "    drain: 6s\n    strategy: { blue_green: { keep_old: 10m } }\nbake: { for: 300ms }\n"
    )
    shop.commit(
        text,
        f"Version {version}",
        services__it__main_py=it.code,
        services__it__requirements_txt=it.requirements.format(version=version),
        services__it__build_sh=BUILD,
    )


@pytest.mark.parametrize("it", SOFTWARE, ids=lambda it: it.name)
def test_forward_and_back_without_a_failed_request(shop: ServiceShop, it: Software) -> None:
    first, second = it.versions if it.says else ("uuid", "uuid")
    shop.begin()
    commit(shop, it, it.versions[0])
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "good", timeout_s=400)
    assert first in shop.get(it.path).body
    load = Load(shop.ports.gateway, tuple(Probe(f"visitor-{n}", it.path) for n in range(4)), 10.0)
    load.start()
    try:
        commit(shop, it, it.versions[1])
        shop.ok("deploy", "--wait", "good", timeout_s=400)
        eventually(lambda: shop.get(it.path).body, lambda body: second in body)
        shop.ok("rollback", timeout_s=120)
        eventually(lambda: shop.get(it.path).body, lambda body: first in body)
        shop.ok("rollback", "r2", "--no-revert-commit", timeout_s=120)
        eventually(lambda: shop.get(it.path).body, lambda body: second in body)
    finally:
        load.stop()
    assert len(load.answers) > 50
    assert load.failed() == []
    assert len(list((shop.state / "artifacts").glob("*/seal.json"))) == 2, "each version was built once"
