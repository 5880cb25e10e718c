"""``up --follow``: commits deploy by themselves; what a person took back stays back; odd branches change nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.configuration import CATALOG, route
from tests.support.processes import eventually
from tests.support.refusals import unchanged
from tests.support.shop import Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


@pytest.fixture
def following(shop: Shop) -> Shop:
    """A shop that follows its own ``main``; r1 is good."""
    shop.begin()
    shop.commit(shop.text(), "Open the shop")
    shop.ok("up", "--detach", "--follow", "main")
    _good(shop, 1)
    return shop


def _good(shop: Shop, release: int) -> None:
    def settled() -> bool:
        status = shop.status()
        return status["live"] is not None and (status["live"]["release"], status["deployment"]) == (release, None)

    eventually(settled, bool, within_s=15)


def _noted(shop: Shop, *words: str) -> None:
    def notes() -> str:
        return "\n".join(note["what"] for note in shop.history()["notes"])

    eventually(notes, lambda text: all(word in text for word in words))


def test_a_commit_deploys_by_itself(following: Shop) -> None:
    following.commit(following.text(ORDERS), "Take orders")
    _good(following, 2)
    assert following.get("/orders/1").body == "legacy"
    assert following.history()["deployments"][0]["by"] == "follow main"


def test_the_latest_wins(following: Shop) -> None:
    """Commits that come faster than verdicts: the newest is deployed next, those between are passed over."""
    for number in range(6):
        last = following.commit(following.text(CATALOG + route(f"new{number}")), f"New {number}")
    eventually(lambda: following.status()["live"]["revision"], lambda revision: revision == last, within_s=15)
    assert following.get("/new5/1").status == 200
    assert len(following.history()["releases"]) <= 4


def test_what_was_rolled_back_is_held(following: Shop) -> None:
    """Also when the same content comes back in another commit."""
    shop = following
    shop.commit(shop.text(ORDERS), "Take orders")
    _good(shop, 2)
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    time.sleep(1.5)  # the revert commit is followed as well: nothing to do
    assert shop.live == 1
    shop.commit(shop.text(ORDERS), "Take orders once more")
    _noted(shop, "held", "r2")
    assert shop.get("/orders/1").status == 404
    assert shop.live == 1
    shop.ok("deploy", "--force", "-m", "it is right now", "--wait", "ended")
    assert shop.get("/orders/1").body == "legacy"


def test_a_commit_that_is_wrong(following: Shop) -> None:
    shop = following
    with unchanged(shop):
        shop.commit("project: [shop\n", "Break it")
        _noted(shop, "lastgood.yaml")
    shop.commit(shop.text(ORDERS), "Mend it")
    _good(shop, 2)


def test_a_rewritten_branch(following: Shop) -> None:
    """Told, and nothing is deployed until there are new commits on top."""
    shop = following
    shop.commit(shop.text(ORDERS), "Take orders")
    _good(shop, 2)
    with unchanged(shop):
        shop.git("reset", "--quiet", "--hard", "HEAD~1")
        shop.commit(shop.text(CATALOG + route("other")), "Another past")
        _noted(shop, "main was rewritten")
        time.sleep(0.5)
    assert shop.get("/other/1").status == 404


def test_a_deleted_branch(following: Shop) -> None:
    shop = following
    with unchanged(shop):
        shop.git("switch", "--quiet", "--create", "side")
        shop.git("branch", "--quiet", "-D", "main")
        _noted(shop, "main does not exist")
        time.sleep(0.3)
    shop.git("branch", "main", "side")
    time.sleep(0.5)
    assert shop.live == 1


def test_a_branch_that_is_not_there(shop: Shop) -> None:
    shop.begin()
    shop.commit(shop.text())
    shop.ok("up", "--detach", "--follow", "nowhere")
    _noted(shop, "nowhere", "does not exist")
    assert shop.live is None


def test_follow_survives_a_restart(following: Shop) -> None:
    shop = following
    shop.ok("stop")
    shop.commit(shop.text(ORDERS), "Take orders")
    assert shop.get("/orders/1").status == 404
    shop.ok("up", "--detach", "--follow", "main")
    _good(shop, 2)


def test_a_restart_does_not_bring_back_what_was_taken_back(following: Shop) -> None:
    """A rollback without a revert commit: the branch still holds the bad commit, and the next start holds it."""
    shop = following
    shop.commit(shop.text(ORDERS), "Take orders")
    _good(shop, 2)
    shop.ok("rollback", "--no-revert-commit")
    shop.ok("stop")
    shop.ok("up", "--detach", "--follow", "main")
    time.sleep(1.5)
    assert shop.live == 1
    assert shop.get("/orders/1").status == 404


@pytest.fixture
def remote(shop: Shop) -> Path:
    """A bare repository that the shop's own was cloned from, which it follows; r1 is good."""
    bare = shop.folder / "remote.git"
    shop.begin()
    shop.commit(shop.text(), "Open the shop")
    shop.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    shop.git("remote", "add", "origin", str(bare))
    shop.git("push", "--quiet", "--set-upstream", "origin", "main")
    shop.ok("up", "--detach", "--follow", "origin/main")
    _good(shop, 1)
    return bare


def _colleague(shop: Shop, bare: Path) -> Path:
    clone = shop.folder / "colleague"
    shop.git("clone", "--quiet", str(bare), str(clone), at=shop.folder)
    for key, value in (("user.name", "Bob"), ("user.email", "bob@shop.example")):
        shop.git("config", key, value, at=clone)
    return clone


def _push(shop: Shop, clone: Path, text: str, *options: str) -> str:
    (clone / "lastgood.yaml").write_text(text)
    shop.git("commit", "--quiet", "--all", "--allow-empty", "-m", "From afar", at=clone)
    shop.git("push", "--quiet", *options, "origin", "HEAD:main", at=clone)
    return shop.git("rev-parse", "HEAD", at=clone)


@pytest.mark.slow
def test_the_way_back_reaches_the_remote(shop: Shop, remote: Path) -> None:
    """The bad commit came from afar: the remote's branch is reverted, and what is built on top of it does not bring
    the bad change back."""
    clone = _colleague(shop, remote)
    bad = _push(shop, clone, shop.text(ORDERS))
    eventually(lambda: shop.get("/orders/1").body, lambda body: body == "legacy", within_s=15)
    _good(shop, 2)
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    branches = shop.git("branch", "--list", "--format=%(refname:short)", at=remote).split()
    told = "lastgood/revert-r2" if "lastgood/revert-r2" in branches else "main"
    assert shop.git("show", f"{told}:lastgood.yaml", at=remote) == shop.text().strip(), done.said
    assert bad in shop.git("rev-list", told, at=remote).split()


@pytest.mark.slow
def test_a_remote(shop: Shop, remote: Path) -> None:
    """Fetched every ten seconds; a force-push and a deleted branch change nothing."""
    clone = _colleague(shop, remote)
    _push(shop, clone, shop.text(ORDERS))
    eventually(lambda: shop.get("/orders/1").body, lambda body: body == "legacy", within_s=15)
    _good(shop, 2)
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    shop.git("fetch", "--quiet", at=clone)
    shop.git("reset", "--quiet", "--hard", "HEAD~1", at=clone)
    with unchanged(shop):
        _push(shop, clone, shop.text(CATALOG + route("other")), "--force")
        time.sleep(11)
    _noted(shop, "was rewritten")
    with unchanged(shop):
        shop.git("update-ref", "-d", "refs/heads/main", at=remote)
        time.sleep(11)
    assert shop.get("/catalog/1").body == "catalog"


def test_a_remote_that_is_gone(shop: Shop, remote: Path) -> None:
    """Told; everything else works."""
    shop.ok("stop")
    remote.rename(shop.folder / "gone.git")
    shop.ok("up", "--detach", "--follow", "origin/main")
    _noted(shop, "origin/main")
    shop.deploy(shop.text(ORDERS), "Take orders")
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
