"""Repositories in a state we cannot use, or only in part: what is asked is refused, or done and told."""

from __future__ import annotations

import zlib

import pytest

from tests.support.configuration import CATALOG, route
from tests.support.refusals import refuses, unchanged
from tests.support.shop import Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


def test_an_empty_repository(shop: Shop) -> None:
    shop.begin()
    (shop.root / "lastgood.yaml").write_text(shop.text())
    shop.ok("up", "--detach")
    refuses(shop, "deploy", code=7, saying=("no commit yet", "git commit"))
    assert shop.run("check").code == 7
    shop.commit()
    shop.ok("deploy")
    assert shop.get("/catalog/1").body == "catalog"


def test_no_repository_at_all(shop: Shop) -> None:
    (shop.root / "lastgood.yaml").write_text(shop.text())
    shop.ok("up", "--detach")
    refuses(shop, "deploy", code=7, saying=("repository",))
    assert shop.run("check").code == 7


def test_a_folder_that_is_no_project(shop: Shop) -> None:
    for command in (
        ("up", "--detach"),
        ("deploy",),
        ("rollback",),
        ("status",),
        ("doctor",),
        ("stop",),
        ("down", "--yes"),
    ):
        done = shop.run(*command)
        assert done.code == 7, (command, done)
        assert "not a Lastgood project" in done.err
        assert "lastgood init" in done.err
    assert not shop.state.exists()


def test_a_detached_head(open_shop: Shop) -> None:
    """A commit is a commit: it is deployed. On the way back there is no branch to take it out of, which is told."""
    shop = open_shop
    shop.git("checkout", "--quiet", "--detach")
    detached = shop.commit(shop.text(ORDERS), "Take orders")
    main = shop.git("rev-parse", "main")
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/orders/1").body == "legacy"
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.git("rev-parse", "main") == main
    assert shop.git("rev-parse", "HEAD") == detached
    assert shop.git("status", "--porcelain") == ""
    assert "Git is left alone: r2 came from no branch" in done.said, done.said


def test_a_corrupt_object(open_shop: Shop) -> None:
    shop = open_shop
    shop.commit(shop.text(ORDERS), "Take orders")
    blob = shop.git("rev-parse", "HEAD:lastgood.yaml")
    path = shop.root / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    for content in (b"", b"not zlib at all", zlib.compress(b"blob 3\0" + b"xyz"), path.read_bytes()[:20]):
        path.write_bytes(content)
        refuses(shop, "deploy", code=7, saying=("cannot be read", "fsck"))
    # The repository plays no part in the way back.
    shop.ok("mark", "r1", "good")
    refuses(shop, "rollback", code=4, saying=("there is no release to go back to",))


def test_a_repository_that_is_gone(open_shop: Shop) -> None:
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    (shop.root / ".git").rename(shop.folder / "elsewhere")
    refuses(shop, "deploy", code=7, saying=("repository",))
    done = shop.ok("rollback")
    assert "no revert commit" in done.said or "revert commit was not" in done.said, done.said
    assert shop.get("/orders/1").status == 404


def test_a_dirty_work_tree(open_shop: Shop) -> None:
    """The user's half-done work stays; the revert commit goes beside the branch, which is told."""
    shop = open_shop
    bad = shop.commit(shop.text(ORDERS), "Take orders")
    shop.ok("deploy", "--wait", "ended")
    (shop.root / "lastgood.yaml").write_text("half done\n")
    (shop.root / "notes.txt").write_text("untracked\n")
    warned = shop.run("plan", "deploy")
    assert "not committed" in warned.said, warned.said
    assert "lastgood.yaml" in warned.said, warned.said
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert (shop.root / "lastgood.yaml").read_text() == "half done\n"
    assert (shop.root / "notes.txt").read_text() == "untracked\n"
    assert shop.git("rev-parse", "main") == bad
    assert shop.git("show", "lastgood/revert-r2:lastgood.yaml") == shop.text().strip()
    assert "lastgood/revert-r2" in done.said


@pytest.mark.parametrize("same_place", [False, True], ids=["beside", "conflict"])
def test_a_branch_that_moved(open_shop: Shop, same_place: bool) -> None:
    """Commits that were never deployed stay: the revert is a merge onto them, or goes beside where it conflicts."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    text = shop.text(CATALOG + route("orders", "legacy", more="      timeout: 3s\n")) if same_place else None
    moved = shop.commit(text, "Move on", docs__note_txt="kept")
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.git("status", "--porcelain") == ""
    if same_place:
        assert shop.git("rev-parse", "main") == moved
        assert "lastgood/revert-r2" in done.said, done.said
        assert shop.git("rev-parse", "--verify", "lastgood/revert-r2")
    else:
        assert shop.git("rev-parse", "main~1") == moved
        assert shop.git("show", "main:docs/note.txt") == "kept"
        assert shop.git("show", "main:lastgood.yaml") == shop.text().strip()


def test_a_branch_that_moves_during_the_revert(open_shop: Shop) -> None:
    """Somebody commits at the same moment, again and again: neither their commits nor ours are lost."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    going = shop.begin_command("rollback")
    mine: list[str] = []
    while going.poll() is None and len(mine) < 200:
        tree = shop.git("rev-parse", "main^{tree}")
        head = shop.git("rev-parse", "main")
        made = shop.git("commit-tree", tree, "-p", head, "-m", f"Mine {len(mine)}")
        try:
            shop.git("update-ref", "refs/heads/main", made, head)
        except AssertionError:
            continue
        mine.append(made)
    out, err = going.communicate(timeout=30)
    assert going.returncode == 0, out + err
    assert shop.get("/orders/1").status == 404
    history = shop.git("rev-list", "main").split()
    assert set(mine) <= set(history)
    branches = shop.git("branch", "--list", "--format=%(refname:short)").split()
    reverted = "lastgood/revert-r2" if "lastgood/revert-r2" in branches else "main"
    written = "Roll back r2 to r1" in shop.git("log", "--format=%s", reverted)
    assert written or "no revert commit was written" in out, out + err


def test_a_locked_index(open_shop: Shop) -> None:
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    (shop.root / ".git/index.lock").touch()
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert "lastgood/revert-r2" in done.said or "main" in done.said, done.said
    (shop.root / ".git/index.lock").unlink()
    shop.git("fsck", "--strict", "--no-dangling")


def test_the_users_hooks_and_filters_do_not_run(open_shop: Shop) -> None:
    """A hook or filter of the repository must not delay, change or veto the way back."""
    shop = open_shop
    ran = shop.folder / "ran"
    for hook in ("pre-commit", "commit-msg", "post-commit", "post-checkout", "reference-transaction"):
        path = shop.root / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {hook} >> {ran}\nexit 1\n")
    shop.deploy(shop.text(ORDERS), "Take orders")
    for path in (shop.root / ".git/hooks").iterdir():
        path.chmod(0o700)
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.git("show", "main:lastgood.yaml") == shop.text().strip()
    assert not ran.exists(), ran.read_text()


def test_the_same_content_again_is_nothing_to_do(shared_shop: Shop) -> None:
    with unchanged(shared_shop):
        shared_shop.commit(message="Nothing new")
        done = shared_shop.ok("deploy")
    assert "nothing to do" in done.out
