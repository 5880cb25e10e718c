"""Killed half way, raced, refused: the branch and its work tree stay together, and the same order again finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lastgood.effects.git.locking import locked_branch
from lastgood.errors import Unavailable
from tests.git.shop import ENV, Shop, order

GOOD = {"a": b"1", "gone": b"g", "b": b"1"}
BAD = {"a": b"2", "gone": None, "new": b"n"}


def _result(shop: Shop, good: str, bad: str) -> str:
    """What the revert will write, learnt on a branch nobody looks at."""
    shop.git("branch", "probe")
    done = shop.repository.revert(order(bad, good, branch="probe", deployment="d1"))
    assert done.commit is not None
    return done.commit


def test_killed_between_work_tree_and_branch_it_finishes_on_repetition(shop: Shop) -> None:
    good, bad = shop.commit(GOOD), shop.commit(BAD)
    wanted = _result(shop, good, bad)
    shop.git("read-tree", "-m", "-u", bad, wanted)
    assert shop.status() == "M  a\nA  gone\nD  new"
    done = shop.repository.revert(order(bad, good))
    assert (done.branch, done.updated_work_tree) == ("main", True)
    shop.healthy()
    assert shop.git("diff", good, "HEAD") == ""


def test_killed_while_files_were_written_it_finishes_on_repetition(shop: Shop) -> None:
    """Some files are new, the index is old: what git leaves when the machine dies."""
    good, bad = shop.commit(GOOD), shop.commit(BAD)
    shop.write({"a": b"1", "gone": b"g"})
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main", done.why
    shop.healthy()
    assert shop.git("diff", good, "HEAD") == ""


def test_half_of_ours_and_an_edit_of_the_users_is_the_users(shop: Shop) -> None:
    good, bad = shop.commit(GOOD), shop.commit(BAD)
    shop.write({"a": b"1", "b": b"an edit"})
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert (shop.path / "a").read_bytes() == b"1"
    assert (shop.path / "b").read_bytes() == b"an edit"


def test_kill_9_at_any_moment_leaves_a_state_that_repetition_mends(shop: Shop) -> None:
    good = shop.commit({f"f{n}": b"1" for n in range(200)})
    bad = shop.commit({f"f{n}": b"2" for n in range(200)})
    script = (
        "import sys; from pathlib import Path; from lastgood.effects.git import open_repository\n"
        "from lastgood.ports import RevertOrder\n"
        "repository = open_repository(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "repository.revert(RevertOrder('main', sys.argv[2], sys.argv[3], 'Back', 'r12', 'd31'))\n"
    )
    for delay_ms in (0, 8, 15, 22, 30, 38, 46, 55, 70, 100):
        shop.git("reset", "-q", "--hard", bad)
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(shop.path), bad, good],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**ENV, "HOME": "/nonexistent"},
        )
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait(5)
        process.stdin.close()
        process.stdout.close()
        _until_no_lock(shop)
        assert shop.git("rev-parse", "main~1") in (good, bad)
        done = shop.repository.revert(order(bad, good))
        assert done.branch == "main", (delay_ms, done.why)
        shop.healthy()
        assert shop.git("diff", good, "HEAD") == ""
        assert shop.git("rev-list", "--count", f"{bad}..main") == "1"
        assert shop.git("branch", "--list", "lastgood/*") == ""


def test_a_branch_that_moves_underneath_is_merged_anew(shop: Shop) -> None:
    """Its user commits on, all the time; in the end both are there and nothing is lost."""
    good, bad = shop.commit({"a": b"1", "n": b"0"}), shop.commit({"a": b"2"})
    shop.git("switch", "-q", "--detach")
    stop = threading.Event()
    made: list[str] = []

    def user() -> None:
        while not stop.is_set() and len(made) < 40:
            tip = shop.git("rev-parse", "main")
            commit = shop.git("commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", f"u{len(made)}")
            done = subprocess.run(
                ["git", "-C", str(shop.path), "update-ref", "refs/heads/main", commit, tip],
                capture_output=True, env=ENV, timeout=10, check=False,
            )  # fmt: skip
            made.extend([commit] if done.returncode == 0 else [])
            time.sleep(0.03)

    thread = threading.Thread(target=user)
    thread.start()
    try:
        done = shop.repository.revert(order(bad, good))
    finally:
        stop.set()
        thread.join(30)
    assert done.branch == "main"
    assert made
    ancestors = shop.git("rev-list", "main").split()
    assert set(made) <= set(ancestors)
    assert done.commit in ancestors
    assert shop.git("show", "main:a") == "1"


def test_the_lock_refuses_a_branch_that_is_elsewhere_and_holds_it_otherwise(shop: Shop) -> None:
    first, second = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    place = str(shop.path)
    with locked_branch(place, "main", first, second, "test") as lock:
        assert lock is None
    with locked_branch(place, "main", second, first, "test") as lock:
        assert lock is not None
        shop.git("update-ref", "refs/heads/main", first, code=128)
        shop.git("switch", "-q", "-c", "away", code=128)
    assert shop.git("rev-parse", "main") == second
    with locked_branch(place, "main", second, first, "test") as lock:
        assert lock is not None
        lock.commit()
    assert shop.git("rev-parse", "main") == first
    assert not list((shop.path / ".git").rglob("*.lock"))


def test_a_lock_file_left_by_somebody_is_named(shop: Shop) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    (shop.path / ".git/refs/heads/main.lock").touch()
    with pytest.raises(Unavailable, match=r"main\.lock"):
        shop.repository.revert(order(bad, good))
    assert (shop.path / "a").read_bytes() == b"2"
    assert shop.status() == ""


def test_hooks_and_monitors_of_the_repository_do_not_run(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\nexit 1\n")
    trap.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "commit-msg"):
        (shop.path / ".git/hooks" / hook).unlink(missing_ok=True)
        (shop.path / ".git/hooks" / hook).symlink_to(trap)
    shop.git("config", "core.fsmonitor", str(trap))
    repository = shop.repository
    assert repository.revert(order(bad, good)).branch == "main"
    assert repository.uncommitted() == ()
    assert not (tmp_path / "sprung").exists()


def test_variables_of_a_surrounding_git_command_do_not_lead_elsewhere(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    os.environ.update(GIT_DIR=str(tmp_path / "x.git"), GIT_INDEX_FILE=str(tmp_path / "index"), GIT_WORK_TREE="/")
    try:
        assert shop.repository.revert(order(bad, good)).branch == "main"
    finally:
        for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
            del os.environ[name]
    shop.healthy()


def test_commits_are_signed_when_the_user_signs_his(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    (tmp_path / "allowed").write_text(f"ada@example.com {key.with_suffix('.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh", "user.signingkey": str(key), "commit.gpgsign": "true",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
    }.items():  # fmt: skip
        shop.git("config", name, value)
    shop.repository.revert(order(bad, good))
    assert shop.git("log", "-1", "--format=%G?") == "G"
    again = shop.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "x")
    assert again == ""
    worse = shop.git("rev-parse", "HEAD")
    key.unlink()
    with pytest.raises(Unavailable, match="could not be signed"):
        shop.repository.revert(order(worse, bad, deployment="d32"))
    assert shop.git("rev-parse", "HEAD") == worse
    assert shop.status() == ""


def _until_no_lock(shop: Shop) -> None:
    """A git command that outlives its caller finishes by itself."""
    until = time.monotonic() + 10
    while list((shop.path / ".git").rglob("*.lock")):
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.05)
