"""Who can read what: secrets appear nowhere but in their store; files and sockets are ours alone."""

from __future__ import annotations

import base64
import stat
import zlib
from pathlib import Path

import pytest

from tests.support.configuration import CATALOG, PARTNERS, route
from tests.support.processes import eventually
from tests.support.shop import Done, Shop

pytestmark = pytest.mark.slow

VALUE = "tOp-sEcret-vAlue-93427"
OTHER = "rotated-vAlue-55120"
PROTECTED = route("catalog", use="partners")


def _status(shop: Shop, key: str) -> int:
    return shop.get("/catalog/1", {"x-api-key": key}).status


def test_a_secret_is_nowhere_but_in_its_store(open_shop: Shop) -> None:
    """Used, rotated, rolled back, refused, listed, reported: its value is in no output, log, journal or state file."""
    shop = open_shop
    said: list[Done] = [shop.ok("secret", "set", "acme_key", feed=VALUE)]
    shop.commit(shop.text(PROTECTED, policies=PARTNERS), "Protect it")
    said += [shop.ok("deploy", "--wait", "ended")]
    assert _status(shop, VALUE) == 200
    assert _status(shop, "wrong") == 401
    shop.commit(shop.text(PROTECTED + route("x", "nowhere"), policies=PARTNERS), "Wrong")
    said += [shop.run("deploy"), shop.run("check")]
    said += [shop.run(*words) for words in _LOOKS]
    said += [shop.run(*words, "--json") for words in _LOOKS[:3]]
    said += [shop.ok("rollback", "--accept-loosening")]
    for done in said:
        assert VALUE not in done.said
    for needle in (VALUE, base64.b64encode(VALUE.encode()).decode()):
        assert not _found(shop.state, needle.encode()), needle
    assert (shop.state / "secrets/acme_key").read_text() == VALUE


_LOOKS = (
    ("status",), ("history",), ("report", "d2"), ("report", "d2", "--markdown"), ("secret", "list"), ("doctor",),
    ("logs", "controller"), ("logs", "proxy-1"), ("logs", "cli"), ("logs", "supervisor"), ("diff", "r1", "r2"),
    ("plan", "rollback"), ("plan", "deploy"),
)  # fmt: skip


def _found(folder: Path, needle: bytes) -> list[str]:
    """Files that contain it, plain or in a zlib stream of SQLite's; the secret store is left out."""
    found = []
    for path in folder.rglob("*"):
        if "secrets" in path.parts or not path.is_file():
            continue
        content = path.read_bytes()
        if needle in content or any(needle in plain for plain in _inflated(content)):
            found.append(str(path))
    return found


def _inflated(content: bytes) -> list[bytes]:
    plain, at = [], content.find(b"\x78")
    while at >= 0:
        try:
            plain.append(zlib.decompressobj().decompress(content[at : at + 100_000], 1_000_000))
        except zlib.error:
            pass
        at = content.find(b"\x78", at + 1)
    return plain


def test_a_secret_on_the_command_line_is_refused(open_shop: Shop) -> None:
    """Whoever types it there by mistake is told so, without an echo of it."""
    done = open_shop.run("secret", "set", "acme_key", VALUE)
    assert done.code == 2
    assert VALUE not in done.said


def test_rotated(open_shop: Shop) -> None:
    """In effect when the command returns; no rollback brings the old value back."""
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed=VALUE)
    shop.deploy(shop.text(PROTECTED, policies=PARTNERS), "Protect it")
    shop.deploy(shop.text(PROTECTED + route("orders"), policies=PARTNERS), "Take orders")
    assert _status(shop, VALUE) == 200
    shop.ok("secret", "set", "acme_key", feed=OTHER)
    assert (_status(shop, VALUE), _status(shop, OTHER)) == (401, 200)
    shop.ok("rollback", "--accept-loosening")
    assert (_status(shop, VALUE), _status(shop, OTHER)) == (401, 200)


def test_revoked(open_shop: Shop) -> None:
    """Out at once, and out after a rollback, a restart of everything, and a restart of the proxy."""
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed=VALUE)
    shop.deploy(shop.text(PROTECTED, policies=PARTNERS), "Protect it")
    shop.deploy(shop.text(PROTECTED + route("orders"), policies=PARTNERS), "Take orders")
    assert _status(shop, VALUE) == 200
    shop.ok("secret", "revoke", "acme_key")
    assert _status(shop, VALUE) == 401
    plan = shop.ok("plan", "rollback")
    assert "stays out" in plan.out
    shop.ok("rollback", "--accept-loosening")
    assert shop.live == 2
    assert _status(shop, VALUE) == 401
    shop.ok("stop")
    shop.ok("up", "--detach")
    assert _status(shop, VALUE) == 401
    shop.ok("down", "--yes")
    shop.ok("up", "--detach")
    eventually(lambda: _status(shop, VALUE), lambda status: status != 0)
    assert _status(shop, VALUE) == 401
    shop.ok("secret", "set", "acme_key", feed=OTHER)
    assert (_status(shop, VALUE), _status(shop, OTHER)) == (401, 200)


def test_rotated_without_a_controller(open_shop: Shop) -> None:
    """Said that nobody serves it yet; the next controller does."""
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed=VALUE)
    shop.deploy(shop.text(PROTECTED, policies=PARTNERS), "Protect it")
    shop.ok("stop")
    done = shop.ok("secret", "set", "acme_key", feed=OTHER)
    assert "no controller is running" in done.said
    assert _status(shop, VALUE) == 200
    shop.ok("up", "--detach")
    eventually(lambda: _status(shop, VALUE), lambda status: status == 401)
    assert _status(shop, OTHER) == 200


def test_everything_is_ours_alone(open_shop: Shop) -> None:
    """Folders 0700, files and sockets 0600 or less, whatever the umask was."""
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed=VALUE)
    shop.deploy(shop.text(CATALOG + route("orders")), "Take orders")
    run = shop.state / "run"
    assert stat.S_IMODE((run / "api.sock").stat().st_mode) == 0o600
    open_to_others = {
        f"{path.relative_to(shop.state)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in (shop.state, *shop.state.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    }
    assert not open_to_others
