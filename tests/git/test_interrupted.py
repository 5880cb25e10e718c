"""Killed half way, raced, refused: the branch and its work tree stay together, and the same order again finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def test_a_branch_that_moves_underneath_is_merged_anew(shop: Shop, tmp_path: Path) -> None:
    """Its user commits twice just while our commit is being signed: nothing of either is lost."""
    good, bad = shop.commit({"a": b"1", "n": b"0"}), shop.commit({"a": b"2"})
    _commit_while_signing(shop, tmp_path, times=2)
    shop.git("switch", "-q", "--detach")
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main"
    assert shop.git("log", "--format=%s", f"{bad}..main").splitlines() == ["Take r12 back", "user 2", "user 1"]
    assert shop.git("show", "main:a") == "1"
    assert shop.git("branch", "--list", "lastgood/*") == ""


def test_beside_a_branch_that_never_stands_still_the_commit_is_written(shop: Shop, tmp_path: Path) -> None:
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    _commit_while_signing(shop, tmp_path, times=99)
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert "moved 5 times" in done.why
    assert shop.git("show", "lastgood/revert-r12:a") == "1"
    assert shop.git("log", "--format=%s", f"{bad}..main").splitlines()[-1] == "user 1"
    assert (shop.path / "a").read_bytes() == b"2"
    shop.healthy()


def test_a_work_tree_that_moves_underneath_has_both(shop: Shop, tmp_path: Path) -> None:
    """The same with the branch checked out: the user's commit comes from elsewhere and adds nothing to the files."""
    good, bad = shop.commit({"a": b"1"}), shop.commit({"a": b"2"})
    _commit_while_signing(shop, tmp_path, times=1)
    done = shop.repository.revert(order(bad, good))
    assert done.updated_work_tree
    assert shop.git("log", "--format=%s", f"{bad}..main").splitlines() == ["Take r12 back", "user 1"]
    shop.healthy()


def _commit_while_signing(shop: Shop, tmp_path: Path, times: int) -> None:
    """A signing program that takes the opportunity to move ``main``."""
    program = tmp_path / "gpg"
    program.write_text(
        f"""#!/bin/sh
cat > /dev/null
n=$(($(cat {tmp_path}/count 2>/dev/null || echo 0) + 1))
if [ $n -le {times} ]; then
  echo $n > {tmp_path}/count
  cd {shop.path} || exit 1
  new=$(git -c user.name=U -c user.email=u@x commit-tree -p main -m "user $n" 'main^{{tree}}')
  git update-ref refs/heads/main $new
fi
echo "[GNUPG:] SIG_CREATED " >&2
echo "-----BEGIN PGP SIGNATURE-----"
echo "-----END PGP SIGNATURE-----"
"""
    )
    program.chmod(0o755)
    shop.git("config", "gpg.program", str(program))
    shop.git("config", "commit.gpgsign", "true")
    shop.git("config", "user.signingkey", "x")


def test_a_work_tree_that_cannot_be_written_is_put_back(shop: Shop) -> None:
    """A filter that fails in the middle, as a full disk would."""
    good = shop.commit({".gitattributes": b"m* filter=trap\n", **{f"{c}{n}": b"1" for c in "amz" for n in range(9)}})
    shop.commit({"a0": None, "m0": None, "z0": None, "a10": b"n", "z10": b"n"})
    bad = shop.commit({f"{c}{n}": b"2" for c in "amz" for n in range(1, 9)})
    for name, value in {"clean": "cat", "smudge": "false", "required": "true"}.items():
        shop.git("config", f"filter.trap.{name}", value)
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "lastgood/revert-r12"
    assert "filter" in done.why
    assert shop.git("rev-parse", "main") == bad
    assert {f.name: f.read_bytes() for f in shop.path.glob("a*")} == {
        **{f"a{n}": b"2" for n in range(1, 9)},
        "a10": b"n",
    }
    shop.git("config", "filter.trap.smudge", "cat")
    shop.healthy()


def test_a_user_who_switches_away_in_the_meantime_takes_the_files_along(shop: Shop, tmp_path: Path) -> None:
    """While we look whether the work tree is clean (a filter runs then), its user goes to another branch."""
    good, bad = shop.commit({".gitattributes": b"b filter=trap\n", "a": b"1", "b": b"1"}), shop.commit({"a": b"2"})
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\n(cd {shop.path} && git symbolic-ref HEAD refs/heads/away)\nexec cat\n")
    trap.chmod(0o755)
    shop.git("branch", "away")
    shop.git("config", "filter.trap.clean", str(trap))
    os.utime(shop.path / "b", ns=(10**18, 10**18))
    done = shop.repository.revert(order(bad, good))
    assert (done.branch, done.updated_work_tree) == ("main", False)
    assert shop.git("symbolic-ref", "HEAD") == "refs/heads/away"
    assert (shop.path / "a").read_bytes() == b"2"
    assert shop.git("show", "main:a") == "1"
    shop.healthy()


def test_a_sparse_work_tree_stays_sparse(shop: Shop) -> None:
    good, bad = shop.commit({"in/a": b"1", "out/b": b"1"}), shop.commit({"in/a": b"2", "out/b": b"2", "out/c": b"2"})
    shop.git("sparse-checkout", "set", "in")
    assert not (shop.path / "out").exists()
    done = shop.repository.revert(order(bad, good))
    assert done.branch == "main", done.why
    assert (shop.path / "in/a").read_bytes() == b"1"
    assert not (shop.path / "out").exists()
    assert shop.git("diff", good, "HEAD") == ""
    shop.healthy()


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
    """A git command that outlives its caller finishes by itself; it names the repository, or works in it."""
    until = time.monotonic() + 10
    while list((shop.path / ".git").rglob("*.lock")) or _git_at_work(shop.path):
        assert time.monotonic() < until
        time.sleep(0.01)


def _git_at_work(path: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told, folder = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
        except OSError:  # it has ended
            continue
        if b"git" in told.partition(b"\0")[0] and (str(path).encode() in told or folder == path):
            return True
    return False
