"""Functions as people write them, two versions each, behind a real gateway: deployed, split, rolled back under load."""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.functions import FunctionShop
from tests.support.processes import eventually
from tests.support.services import bodies

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]
PROJECTS = Path(__file__).parents[1] / "functions" / "projects"
SPLIT = "    strategy: { canary: { steps: [40%], hold: 120s } }\n"
HANDLER = '''\
"""As an API behind API Gateway: query, headers, cookies, a binary body, several cookies set."""
import base64
def app(event, context):
    if event["rawPath"] == "/visit":
        return {{"statusCode": 200, "body": "{word}"}}
    said = event.get("queryStringParameters", {{}}).get("say", "")
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event.get("body", "").encode()
    return {{
        "statusCode": 207,
        "headers": {{"x-said": said, "x-agent": event["headers"]["user-agent"], "content-type": "image/x-reversed"}},
        "cookies": event.get("cookies", []) + ["who={word}"],
        "isBase64Encoded": True,
        "body": base64.b64encode(body[::-1]).decode(),
    }}
'''
VISIT = {
    "fastapi": ("main.py", '\n\n@app.get("/visit")\ndef visit():\n    return Response("{word}")\n'),
    "flask": ("main.py", '\n\n@app.route("/visit")\ndef visit():\n    return "{word}"\n'),
}


@pytest.fixture
def shop() -> Iterator[FunctionShop]:
    made = FunctionShop()
    yield made
    made.close()


def files_of(kind: str, word: str) -> dict[str, str]:
    """The files of a project, one of which says a word at ``/visit``."""
    if kind == "lambda":
        return {"main.py": HANDLER.format(word=word)}
    root = PROJECTS / kind
    files = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}
    if kind == "worker":
        at = "const routes: Route[] = ["
        route = f'[new URLPattern({{ pathname: "/visit" }}), () => new Response("{word}")],'
        files["src/index.ts"] = files["src/index.ts"].replace(at, f"{at}\n      {route}")
    else:
        name, more = VISIT[kind]
        files[name] += more.replace("{word}", word)
    return files


@pytest.mark.parametrize("kind", ["lambda", "worker", "flask", "fastapi"])
def test_deployed_split_and_rolled_back_under_load(shop: FunctionShop, kind: str) -> None:
    runtime = {"runtime": "worker"} if kind == "worker" else {}
    shop.begin()
    shop.use_runtimes()
    shop.commit_function(files_of(kind, "one"), "Say one", **runtime)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended", timeout_s=120)
    with shop.visited(per_second=100.0) as load:
        shop.commit_function(files_of(kind, "two"), "Say two", SPLIT, **runtime)
        shop.ok("deploy", "--wait", "converged", timeout_s=120)
        eventually(lambda: set(bodies(load)), lambda seen: seen == {"one", "two"})
        shop.ok("promote", "--full")
        eventually(lambda: {shop.get("/visit").body for _ in range(20)}, lambda seen: seen == {"two"})
        shop.ok("rollback", "-m", "two is no good")
        assert {shop.get("/visit").body for _ in range(20)} == {"one"}
    assert set(bodies(load)) == {"one", "two"}


def test_a_handler_gets_query_headers_cookies_and_bytes_through_the_gateway(shop: FunctionShop) -> None:
    shop.begin()
    shop.commit_function(files_of("lambda", "one"), "Say one")
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")
    body = bytes(range(256))
    told = {"host": "shop.example", "cookie": "last=tea; who=me", "user-agent": "test"}
    connection = http.client.HTTPConnection("127.0.0.1", shop.ports.gateway, timeout=10)
    connection.request("POST", "/upload?say=a%20b", body, {**told, "content-type": "application/octet-stream"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 207
    headers = [(name.lower(), value) for name, value in answer.getheaders()]
    assert ("x-said", "a b") in headers
    assert ("x-agent", "test") in headers
    assert [value for name, value in headers if name == "set-cookie"] == ["last=tea", "who=me", "who=one"]
    assert content == body[::-1]


def test_a_workers_project_with_packages_and_a_lock_file(shop: FunctionShop) -> None:
    """npm brings exactly what the lock file names when the version is made; the way back needs it no more."""
    folder = shop.root / "functions/price"
    shop.begin()
    shop.use_runtimes()
    folder.mkdir(parents=True)
    for word, version in (("one", "1.0.0"), ("two", "2.0.0")):
        with tarfile.open(folder / f"tiny-{version}.tgz", "w:gz") as archive:
            said = {
                "package.json": json.dumps({"name": "tiny", "version": version}),
                "index.js": f"module.exports = '{word}'",
            }
            for name, text in said.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        files = {
            "index.ts": "import word from 'tiny';\nexport default { fetch: () => new Response(word as string) };",
            "wrangler.json": '{"main": "index.ts", "compatibility_date": "2026-07-01"}',
            "package.json": json.dumps({"dependencies": {"tiny": f"file:tiny-{version}.tgz"}}),
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        npm = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"]
        subprocess.run(npm, cwd=folder, check=True, capture_output=True, timeout=60)
        shop.commit_function(files, f"Say {word}", runtime="worker")
        shop.ok(*(("up", "--detach") if word == "one" else ("status",)))
        shop.ok("deploy", "--wait", "ended" if word == "one" else "converged", timeout_s=120)
        assert shop.get("/visit").body == word
    (folder / "tiny-1.0.0.tgz").unlink()
    shop.ok("rollback", "-m", "two is no good")
    assert shop.get("/visit").body == "one"
