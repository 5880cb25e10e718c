"""Limits of functions behind a real gateway: they belong to the version, and what is too large costs nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.functions import FunctionShop

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
WRANGLER = '{"main": "index.js", "compatibility_date": "2026-07-01"}'
WORKER = """\
export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/never") await new Promise((resolve) => setTimeout(resolve, 1e6));
    return new Response(String((await request.arrayBuffer()).byteLength));
  },
};
"""


@pytest.fixture
def shop() -> Iterator[FunctionShop]:
    made = FunctionShop()
    yield made
    made.close()


def test_the_limits_of_a_worker_come_back_with_its_version(shop: FunctionShop) -> None:
    """The same code with other limits is another version; one without limits has nothing before it."""
    shop.begin()
    shop.use_runtimes()
    files = {"index.js": WORKER, "wrangler.json": WRANGLER}
    body, found = b"x" * 1_500_000, []
    limits = ("    body_mb: 1\n    timeout: 1s\n", "    body_mb: 2\n    timeout: 1s\n", "")
    for more in limits:
        shop.commit_function(files, "Other limits", more, runtime="worker")
        shop.ok(*(("up", "--detach") if more == limits[0] else ("status",)))
        shop.ok("deploy", "--wait", "converged" if found else "ended")
        found.append(shop.post("/visit", body))
    assert [(each.status, each.body) for each in found] == [
        (413, f"a body may have {1024 * 1024} bytes\n"),
        (200, "1500000"),
        (200, "1500000"),
    ]
    assert found[2].headers.get("content-length") == "7", "nothing stands before it"
    shop.ok("rollback", "r1", "-m", "back to the limits", "--no-revert-commit")
    assert shop.post("/visit", body).status == 413
    late = shop.get("/never")
    assert (late.status, late.body) == (504, "the function took too long\n")


ASGI = """\
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event.get("body", b"")), event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})
"""
HANDLER = """\
import base64
def app(event, context):
    body = event.get("body") or ""
    return {"statusCode": 200, "body": str(len(base64.b64decode(body) if event["isBase64Encoded"] else body))}
"""
KINDS = {
    "asgi": ({"main.py": ASGI}, "python"),
    "lambda": ({"main.py": HANDLER}, "python"),
    "worker": ({"index.js": WORKER, "wrangler.json": WRANGLER}, "worker"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_large_bodies_are_served_whole_or_refused_by_the_limit(shop: FunctionShop, kind: str) -> None:
    """50 MB, said beforehand or in chunks; what is refused leaves the others alone."""
    files, runtime = KINDS[kind]
    pieces = [b"x" * 1_000_000] * 50
    shop.begin()
    shop.use_runtimes()
    shop.commit_function(files, "Take much", runtime=runtime)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    assert shop.post("/visit", b"".join(pieces)).body == "50000000"
    assert shop.post("/visit", pieces).body == "50000000"
    shop.commit_function(files, "Take less", "    body_mb: 10\n", runtime=runtime)
    shop.ok("deploy", "--wait", "converged")
    with shop.visited():
        for body in (b"".join(pieces), pieces):
            refused = shop.post("/visit", body)
            assert (refused.status, refused.body) == (413, f"a body may have {10 * 1024 * 1024} bytes\n")
    assert shop.post("/visit", pieces[:10]).body == "10000000"
