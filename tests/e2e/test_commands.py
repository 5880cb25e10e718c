"""Starting, stopping, asking: with a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.shop import COMMAND, Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


def test_init_makes_a_working_project(shop: Shop) -> None:
    made = shop.run("init", "new", cwd=shop.root)
    assert made.code == 0, made.said
    root = shop.root / "new"
    assert shop.run("check", cwd=root).code == 0
    assert shop.run("init", cwd=root).code == 4
    assert shop.git("status", "--porcelain", at=root) == ""


def test_stop_keeps_the_traffic_and_down_ends_it(open_shop: Shop) -> None:
    shop = open_shop
    with shop.load() as load:
        shop.ok("stop")
        time.sleep(0.3)
        assert not processes.pids(shop.root, CONTROLLER)
        assert processes.pids(shop.root, SUPERVISOR)
        assert shop.run("stop").code == 7
        shop.ok("up", "--detach")
        time.sleep(0.3)
    assert not load.failed()
    assert load.reconnects == 1
    shop.ok("down", "--yes")
    assert shop.get("/catalog/1").status == 0
    assert not processes.command_lines(shop.folder)
    assert shop.run("down", "--yes").code in (0, 7)
    assert shop.run("status").code == 0
    shop.ok("up", "--detach")
    eventually(lambda: shop.get("/catalog/1").body, lambda body: body == "catalog")


def test_down_needs_a_yes(open_shop: Shop) -> None:
    """Without a terminal it refuses and names the flag, whatever is piped in; on one it asks."""
    shop = open_shop
    done = shop.run("down", feed="y\n")
    assert done.code == 4, done.said
    assert "lastgood down --yes" in done.err
    assert shop.get("/catalog/1").status == 200
    for answer in ("", "n", "maybe"):
        code, _ = _on_a_terminal(shop, answer, "down")
        assert code == 4, answer
        assert shop.get("/catalog/1").status == 200
    code, shown = _on_a_terminal(shop, "y", "down")
    assert code == 0, shown
    assert "[y/N]" in shown
    assert shop.get("/catalog/1").status == 0


def test_a_loosening_rollback_is_asked_for(open_shop: Shop) -> None:
    shop = open_shop
    shop.ok("secret", "set", "acme_key", feed="some-key")
    from tests.support.configuration import PARTNERS

    shop.deploy(shop.text(route("catalog", use="partners"), policies=PARTNERS), "Protect it")
    code, shown = _on_a_terminal(shop, "n", "rollback")
    assert code == 4, shown
    assert "LOOSENS" in shown
    assert shop.get("/catalog/1").status == 401
    code, shown = _on_a_terminal(shop, "y", "rollback")
    assert code == 0, shown
    assert shop.get("/catalog/1").status == 200


def _on_a_terminal(shop: Shop, answer: str, *words: str) -> tuple[int, str]:
    """Type a command, wait for its question, answer; exit code and what was shown."""
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, *words], cwd=shop.root, env=shop.environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown, answered, deadline_s = b"", False, time.monotonic() + 30
    while time.monotonic() < deadline_s:
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        shown += chunk
        if b"[y/N]" in shown and not answered:
            os.write(master, answer.encode() + b"\n")
            answered = True
    os.close(master)
    return running.wait(timeout=10), shown.decode("utf-8", "replace")


_ALL = (
    ("status",), ("history",), ("diff", "r1", "r2"), ("report", "d1"), ("check",), ("plan", "deploy"),
    ("plan", "rollback"), ("doctor",), ("logs",), ("secret", "list"), ("tag", "x"), ("tag", "x", "--remove"),
    ("mark", "r1", "good"), ("deploy",), ("rollback", "--dry-run"), ("rollback",), ("abort",), ("confirm",),
    ("promote",), ("retry",), ("schema",), ("stop",), ("down",),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_every_command_without_a_terminal(open_shop: Shop) -> None:
    """No question, no colour, no hanging, no traceback; with ``--json`` one JSON value and nothing else."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    for words in _ALL:
        if words[0] == "stop":
            continue
        done = shop.run(*words, timeout_s=20)
        assert "\x1b" not in done.said, words
        assert done.code in (0, 1, 4), (words, done)
        if done.code == 4:
            assert "next:" in done.err, words
    for words in _ALL:
        done = shop.run(*words, "--json", timeout_s=20)
        found = json.loads(done.out)
        if done.code and words != ("doctor",):
            assert found["error"]["exit_code"] == done.code, words
    assert shop.get("/catalog/1").status == 200


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_every_command_without_a_controller(open_shop: Shop) -> None:
    """What only looks reads the journal; what moves either does it here or says what to do."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    shop.ok("stop")
    for words in _ALL:
        done = shop.run(*words, timeout_s=30)
        assert done.code in (0, 1, 4, 7), (words, done)
        if done.code in (4, 7):
            assert "next:" in done.err, words
    assert shop.get("/catalog/1").status == 200


def test_from_any_folder_below(open_shop: Shop) -> None:
    shop = open_shop
    deep = shop.root / "some/where"
    deep.mkdir(parents=True)
    assert shop.run("status", cwd=deep).code == 0
    elsewhere = shop.run("status", "--state", str(shop.state), cwd=shop.folder)
    assert elsewhere.code == 0, elsewhere.said


def test_a_reader_that_goes_away(open_shop: Shop) -> None:
    """``lastgood deploy | head -1``: the deployment goes on, and nobody sees a traceback."""
    shop = open_shop
    shop.commit(shop.text(ORDERS), "Take orders")
    line = f"{' '.join(COMMAND)} deploy --wait ended | head -1"
    done = subprocess.run(
        ["bash", "-c", line], cwd=shop.root, env=shop.environment, capture_output=True, text=True, timeout=30
    )
    assert "Traceback" not in done.stderr, done.stderr
    eventually(lambda: shop.get("/orders/1").body, lambda body: body == "legacy")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_closed(open_shop: Shop, number: signal.Signals) -> None:
    """The command ends; what it began goes on; the gateway does not notice."""
    shop = open_shop
    shop.commit(shop.text(ORDERS), "Take orders")
    going = shop.begin_command("deploy", "--wait", "ended")
    eventually(lambda: len(shop.history()["deployments"]), lambda count: count == 2)
    os.killpg(going.pid, number)
    going.communicate(timeout=10)
    eventually(lambda: shop.status()["deployment"], lambda active: active is None)
    assert shop.get("/orders/1").body == "legacy"
