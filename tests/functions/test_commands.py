"""``lastgood function``: every verb on a project of its own, with the real runtime behind it."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastgood.effects.processes.client import ensure_supervisor
from lastgood.interfaces.cli.app import run
from lastgood.interfaces.cli.session import Surroundings

PRICE = """
import base64, os
def handler(event, context):
    if event["rawPath"] == "/raise": raise ValueError("no such price")
    if event["rawPath"] == "/token": return {"statusCode": 200, "body": os.environ["TOKEN"]}
    print("asked for", event["rawPath"])
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event.get("body", "").encode()
    return {"statusCode": 201, "headers": {"x-query": event["rawQueryString"], "content-type": "text/plain"},
            "cookies": event.get("cookies", []), "body": f"{event['requestContext']['http']['method']} {len(body)}"}
"""
CONFIG = """project: shop
functions:
  price: { source: code, app: "main:handler", environment: { TOKEN: "secret:token" } }
"""


class Shop:
    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
        (self.root / "lastgood.yaml").write_text(CONFIG)
        (self.root / "code").mkdir()
        self.write(PRICE)
        self.run("secret", "set", "token", given="hunter2-and-more\n")

    def write(self, text: str) -> None:
        (self.root / "code/main.py").write_text(text)

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        done = run(arguments, Surroundings(io.StringIO(given), out, err, {}, self.root, False))
        assert done == code, (arguments, out.getvalue(), err.getvalue())
        return out.getvalue() + err.getvalue()

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))

    def upload(self, *more: str) -> str:
        return str(self.json("function", "upload", "price", *more)["version"])

    def close(self) -> None:
        async def stop() -> None:
            await (await ensure_supervisor(str(self.root / ".lastgood/run"))).shutdown(keep=False)

        asyncio.run(stop())
        for path in self.root.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(self.root)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def test_a_version_is_made_listed_tagged_shown_asked_and_read(shop: Shop) -> None:
    one = shop.upload()
    shop.write(PRICE.replace("201", "202"))
    two = shop.upload("--tag", "festive")
    assert [each["version"] for each in shop.json("function", "list")["versions"]] == [two, one]
    shown = shop.json("function", "show", "price", one[:8])
    assert (shown["standing"], shown["address"]) == ("absent", None)
    (shop.root / "body.bin").write_bytes(b"\xff" * 3000)
    asked = ("--path", "/a?b=c&d=%20", "--header", "cookie: k=v; l=w", "--data", "@body.bin", "--method", "PUT")
    answer = shop.json("function", "invoke", "price", one[:8], *asked)
    assert (answer["status"], answer["body"]) == (201, "PUT 3000")
    assert ["x-query", "b=c&d=%20"] in answer["headers"]
    assert [value for name, value in answer["headers"] if name == "set-cookie"] == ["k=v", "l=w"]
    shown = shop.json("function", "show", "price", one[:8])
    assert (shown["standing"], shown["address"]) == ("awake", answer["address"])
    assert f"awake at {answer['address']}" in shop.run("function", "show", "price", one[:8])
    assert shop.json("function", "invoke", "price", "festive")["status"] == 202
    assert "asked for /a" in shop.run("function", "logs", "price")
    shop.run("function", "tag", "price", one[:8], "festive")
    assert shop.json("function", "show", "price", "festive")["version"] == one


def test_secrets_reach_the_function_and_nothing_else(shop: Shop) -> None:
    shop.upload()
    assert "hunter2" in shop.run("function", "invoke", "price", "--path", "/token")
    assert "hunter2" not in shop.run("function", "show", "price")
    for path in (shop.root / ".lastgood").rglob("*"):
        if path.is_file() and "secrets" not in path.parts and path.stat().st_size < 10_000_000:
            assert b"hunter2" not in path.read_bytes(), path


def test_a_version_whose_secret_is_gone_does_not_start_and_says_which(shop: Shop) -> None:
    shop.upload()
    shop.run("secret", "revoke", "token")
    assert "secret:token" in shop.run("function", "invoke", "price", code=7)


def test_errors_of_the_function_are_errors_of_the_command(shop: Shop) -> None:
    shop.upload()
    assert "500" in shop.run("function", "invoke", "price", "--path", "/raise", code=6)
    assert "no such price" in shop.run("function", "logs", "price")
    shop.write("import absent_module\n")
    shop.upload()
    said = shop.run("function", "invoke", "price", code=6)
    assert "does not start" in said
    assert "No module named 'absent_module'" in said


def test_requirements_that_cannot_be_installed_make_no_version(shop: Shop) -> None:
    (shop.root / "code/requirements.txt").write_text("./absent_folder\n")
    said = shop.run("function", "upload", "price", code=4)
    assert "the build failed" in said
    assert "absent_folder" in said
    assert shop.json("function", "list")["versions"] == []


def test_archives_are_unpacked_and_none_leaves_its_folder(shop: Shop) -> None:
    good, bad = shop.root / "good.zip", shop.root / "bad.zip"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("main.py", PRICE)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../../escaped.py", "")
    shop.upload("--from", "good.zip")
    assert shop.json("function", "invoke", "price")["status"] == 201
    assert "does not stay inside" in shop.run("function", "upload", "price", "--from", "bad.zip", code=4)
    assert not list(shop.root.rglob("escaped.py"))
    with zipfile.ZipFile(bad, "w") as archive:
        link = zipfile.ZipInfo("passwords")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "'passwords' is a link" in shop.run("function", "upload", "price", "--from", "bad.zip", code=4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("upload", "tax"), "its functions: price"),
        (("upload", "price", "--from", "absent"), "a folder or an archive"),
        (("show", "price"), "lastgood function upload"),
        (("tag", "price", "latest", "1a18"), "could be the beginning of a version's digest"),
        (("invoke", "price", "--path", "no-slash"), "begin it with a slash"),
        (("invoke", "price", "--header", "wrong"), "NAME:VALUE"),
        (("invoke", "price", "--data", "@absent"), "absent"),
        (("tag", "price", "latest", "latest"), "is no tag"),
    ],
)
def test_what_is_said_wrongly_is_told_with_the_way_out(shop: Shop, arguments: tuple[str, ...], told: str) -> None:
    if arguments[0] in ("invoke", "tag"):
        shop.upload()
    assert told in shop.run("function", *arguments, code=2)


def test_what_has_no_meaning_in_a_workers_project_is_warned_of(shop: Shop) -> None:
    (shop.root / "lastgood.yaml").write_text("project: shop\nfunctions:\n  hello: { source: code, runtime: worker }\n")
    wrangler = 'main = "gone.js"\ncompatibility_date = "2026-07-01"\nworkers_dev = true\n'
    (shop.root / "code/wrangler.toml").write_text(wrangler)
    told = shop.run("function", "upload", "hello", code=4)
    assert "warning: wrangler.toml: `workers_dev` has no meaning here" in told


@pytest.mark.usefixtures("worker_runtime")
def test_what_is_warned_of_in_an_archive_too(shop: Shop) -> None:
    (shop.root / "lastgood.yaml").write_text("project: shop\nfunctions:\n  hello: { source: code, runtime: worker }\n")
    with zipfile.ZipFile(shop.root / "hello.zip", "w") as archive:
        archive.writestr("main.js", "export default { fetch() { return new Response('hello'); } };")
        archive.writestr("wrangler.toml", 'main = "main.js"\ncompatibility_date = "2026-07-01"\nworkers_dev = true\n')
    told = shop.run("function", "upload", "hello", "--from", "hello.zip")
    assert "warning: wrangler.toml: `workers_dev` has no meaning here" in told


def test_a_preview_has_an_address_that_answers(shop: Shop) -> None:
    one = shop.upload()
    told = shop.run("function", "preview", "price", one[:8]).strip()
    with urllib.request.urlopen(f"{told}/a?b=c", timeout=10) as answer:
        assert (answer.status, answer.headers["x-query"]) == (201, "b=c")
    shop.write("import absent_module\n")
    shop.upload()
    assert "No module named 'absent_module'" in shop.run("function", "preview", "price", code=6)
