"""Commits that say nothing we can serve: exit code 3, every problem with its file and line, nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.configuration import CATALOG, route
from tests.support.refusals import refuses
from tests.support.shop import Shop

JWT = '    people: {{ jwt: {{ issuer: "https://id.example", jwks: {jwks} }} }}\n'
ORDERS = CATALOG + route("orders", "legacy")
MEGABYTE = 1024 * 1024


def _anchors(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


Text = Callable[[Shop], str]
WRONG: dict[str, tuple[Text, tuple[str, ...]]] = {
    "broken yaml": (lambda s: s.text() + "upstreams: [unclosed\n", ("lastgood.yaml:",)),
    "a tab": (lambda s: s.text().replace("  routes:", "\troutes:"), ("lastgood.yaml:6",)),
    "not utf-8": (lambda s: s.text() + "# \udcff\n", ("lastgood.yaml",)),
    "control characters": (lambda s: s.text().replace("shop.example", "shop\x00example"), ("lastgood.yaml",)),
    "empty": (lambda s: "", ("lastgood.yaml", "empty")),
    "a list": (lambda s: "- project: shop\n", ("lastgood.yaml:1", "mapping")),
    "two documents": (lambda s: s.text() + "---\n" + s.text(), ("lastgood.yaml:",)),
    "unknown key": (lambda s: s.text().replace("listeners:", "listners:"), ("lastgood.yaml:4", "listeners")),
    "unknown target": (lambda s: s.text(route("catalog", "catalogue")), ("lastgood.yaml:9", "catalogue", "catalog")),
    "wrong type": (lambda s: s.text().replace(f"port: {s.ports.gateway}", "port: eighty"), ("lastgood.yaml:5", "port")),
    "wrong range": (
        lambda s: s.text().replace(f"port: {s.ports.gateway}", "port: 99999"),
        ("lastgood.yaml:5", "65535"),
    ),
    "a python object": (lambda s: s.text() + "x: !!python/object/apply:os.system [id]\n", ("lastgood.yaml:",)),
    "duplicate key": (lambda s: s.text() + "bake: { for: 1s }\n", ("lastgood.yaml:15", "line 14")),
    "duplicate route": (lambda s: s.text(CATALOG + route("catalog", path="/other/*")), ("lastgood.yaml:11", "catalog")),
    "two routes tied": (lambda s: s.text(CATALOG + route("other", path="/catalog/*")), ("catalog", "other")),
    "neither public nor protected": (lambda s: s.text(CATALOG.replace("      public: true\n", "")), ("public",)),
    "yaml bomb": (lambda s: _anchors(12) + s.text(), ("lastgood.yaml",)),
    "deeply nested": (lambda s: s.text() + "upstreams: " + "[" * 20_000, ("lastgood.yaml",)),
    "missing secret": (
        lambda s: s.text(route("catalog", use="p"), policies=_api_key("secret:never_set")),
        ("secret:never_set", "lastgood.yaml:7"),
    ),
    "variable that is not set": (
        lambda s: s.text(route("catalog", use="p"), policies=_api_key("env:NEVER_SET")),
        ("env:NEVER_SET",),
    ),
    "secret in a file that is not there": (
        lambda s: s.text(route("catalog", use="p"), policies=_api_key("file:/nowhere/at/all")),
        ("file:/nowhere/at/all",),
    ),
    "key outside of the repository": (
        lambda s: s.text(route("catalog", use="people"), policies=JWT.format(jwks="repo:../../etc/passwd")),
        ("lastgood.yaml:7", ".."),
    ),
    "absolute path": (
        lambda s: s.text(route("catalog", use="people"), policies=JWT.format(jwks="repo:/etc/passwd")),
        ("lastgood.yaml:7",),
    ),
    "key that is not there": (
        lambda s: s.text(route("catalog", use="people"), policies=JWT.format(jwks="repo:keys/none.json")),
        ("keys/none.json",),
    ),
}


def _api_key(reference: str) -> str:
    return f'    p: {{ api_key: {{ header: x-api-key, clients: {{ acme: "{reference}" }} }} }}\n'


@pytest.mark.parametrize("name", WRONG)
def test_a_commit_that_is_wrong(shared_shop: Shop, name: str) -> None:
    text, saying = WRONG[name]
    (shared_shop.root / "lastgood.yaml").write_bytes(text(shared_shop).encode("utf-8", "surrogateescape"))
    shared_shop.commit(message=name)
    done = refuses(shared_shop, "deploy", code=3, saying=saying)
    assert len(done.err) < 5000


def test_every_problem_is_told_at_once(shared_shop: Shop) -> None:
    text = shared_shop.text(route("catalog", "nobody") + route("other", "nobody")).replace("bake:", "baked:")
    shared_shop.commit(text)
    problems = shared_shop.ask("deploy")["error"]["problems"]
    assert sorted(problem["line"] for problem in problems) == [9, 13, 18]
    assert {problem["file"] for problem in problems} == {"lastgood.yaml"}


def test_the_same_name_in_another_file(shared_shop: Shop) -> None:
    shared_shop.commit(shared_shop.text(ORDERS), lastgood_d__more_yaml="")
    more = shared_shop.root / "lastgood.d/more.yaml"
    more.parent.mkdir(exist_ok=True)
    more.write_text('upstreams:\n  catalog: { endpoints: ["127.0.0.1:9"] }\n')
    shared_shop.commit()
    try:
        refuses(shared_shop, "deploy", code=3, saying=("lastgood.d/more.yaml:2", "catalog"))
    finally:
        more.unlink()
        shared_shop.commit()


@pytest.mark.parametrize(
    ("path", "size"),
    [("lastgood.yaml", "52,428,802"), ("lastgood.d/big.yaml", "52,428,802"), ("keys/jwks.json", "52428802")],
)
def test_fifty_megabytes(shared_shop: Shop, path: str, size: str) -> None:
    """Refused by its size, before it is read: at once, and without the memory."""
    policies, routes = JWT.format(jwks="repo:keys/jwks.json"), route("catalog", use="people")
    shared_shop.commit(shared_shop.text(routes, policies=policies) if path.startswith("keys") else shared_shop.text())
    _clear(shared_shop)
    big = shared_shop.root / path
    big.parent.mkdir(exist_ok=True)
    big.write_bytes(b"# " + b"x" * 50 * MEGABYTE)
    shared_shop.commit(message="Big")
    resident = _resident_bytes(shared_shop)
    began_s = time.monotonic()
    try:
        refuses(shared_shop, "deploy", code=3, saying=(path, size))
        assert time.monotonic() - began_s < 5
        assert _resident_bytes(shared_shop) - resident < 20 * MEGABYTE
    finally:
        big.unlink()
        shared_shop.commit(message="Small")


def _resident_bytes(shop: Shop) -> int:
    pid = shop.status()["controller"]["pid"]
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("lastgood.yaml", 3),
        ("lastgood.d/more.yaml", 3),
        ("lastgood.d", 3),
        ("keys/jwks.json", 3),
        ("keys", 3),
    ],
)
def test_a_link_out_of_the_repository(shared_shop: Shop, path: str, code: int) -> None:
    outside = shared_shop.folder / "outside"
    outside.mkdir(exist_ok=True)
    marker = "outsiders-words"
    for name in ("lastgood.yaml", "more.yaml", "jwks.json"):
        (outside / name).write_text(f"project: {marker}\n" if name != "jwks.json" else json.dumps({"keys": marker}))
    policies, routes = JWT.format(jwks="repo:keys/jwks.json"), route("catalog", use="people")
    shared_shop.commit(shared_shop.text(routes, policies=policies) if path.startswith("keys") else shared_shop.text())
    _clear(shared_shop)
    link = shared_shop.root / path
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / link.name if link.suffix else outside)
    shared_shop.commit(message="Link")
    try:
        done = refuses(shared_shop, "deploy", code=code, saying=(path,))
        assert marker not in done.said
    finally:
        link.unlink()
        shared_shop.commit(shared_shop.text(ORDERS), "No link")


def _clear(shop: Shop) -> None:
    for name in ("keys", "lastgood.d"):
        shutil.rmtree(shop.root / name, ignore_errors=True)


def test_a_revision_without_a_configuration(shared_shop: Shop) -> None:
    (shared_shop.root / "lastgood.yaml").unlink()
    shared_shop.commit(message="Lose it")
    refuses(shared_shop, "deploy", code=3, saying=("lastgood.yaml",))
    shared_shop.commit(shared_shop.text(ORDERS), "Find it")


@pytest.mark.parametrize(
    ("name", "code"),
    [("no-such-branch", 2), ("0123456789" * 4, 2), ("HEAD~99", 2), ("--all", 2), ("a..b", 2), ("", 2)],
)
def test_a_revision_that_is_not_there(shared_shop: Shop, name: str, code: int) -> None:
    done = refuses(shared_shop, "deploy", "--", name, code=code, saying=(name,))
    assert done.err.startswith("error: ")


def test_a_secret_that_others_can_read(shared_shop: Shop) -> None:
    shared_shop.ok("secret", "set", "open_to_all", feed="the-value-nobody-may-see")
    (shared_shop.state / "secrets/open_to_all").chmod(0o644)
    shared_shop.commit(shared_shop.text(route("catalog", use="p"), policies=_api_key("secret:open_to_all")))
    done = refuses(shared_shop, "deploy", code=3, saying=("secret:open_to_all",))
    assert "the-value-nobody-may-see" not in done.said
    (shared_shop.state / "secrets/open_to_all").chmod(0o600)
    shared_shop.ok("secret", "revoke", "open_to_all")
