"""Where a rollback can go: numbers, tags, commits, the release before; forward again; a user's own revert."""

from __future__ import annotations

import pytest

from tests.support.configuration import CATALOG, route
from tests.support.refusals import refuses
from tests.support.shop import Shop

pytestmark = pytest.mark.slow


def test_every_way_to_name_a_release(open_shop: Shop) -> None:
    """Numbers, numbers back from one, a tag, what was live before, a commit; all three served before."""
    shop = open_shop
    shop.deploy(shop.text(CATALOG + route("two", "legacy")), "Two")
    commit = shop.git("rev-parse", "--short=12", "HEAD")
    shop.deploy(shop.text(CATALOG + route("three", "legacy")), "Three")
    shop.ok("tag", "splendid", "r1")
    for target, release in [
        ("r1", 1), ("r3~1", 2), ("splendid", 1), ("previous", 2), ("r3", 3), ("r3~2", 1), (commit, 2), ("previous", 1)
    ]:  # fmt: skip
        done = shop.ok("rollback", target, "--accept-loosening", "--no-revert-commit")
        assert f"r{release} is live" in done.out, target
        assert shop.live == release
        assert shop.get("/catalog/1").headers["x-lastgood-release"] == f"r{release}"
        assert shop.get("/two/1").status == (200 if release == 2 else 404)
        assert shop.get("/three/1").status == (200 if release == 3 else 404)
    refuses(shop, "rollback", "r1", code=4, saying=("what is live",))


def test_a_rollback_of_a_rollback(open_shop: Shop) -> None:
    """Back, and forward again: a person who chooses a release lifts its quarantine."""
    shop = open_shop
    shop.deploy(shop.text(CATALOG + route("orders", "legacy")), "Take orders")
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.history()["releases"][0]["held"]
    shop.ok("rollback", "r2", "--accept-loosening")
    assert shop.get("/orders/1").body == "legacy"
    assert not shop.history()["releases"][0]["held"]
    shop.ok("rollback")
    assert shop.live == 1


def test_the_last_known_good_passes_over_what_was_not(open_shop: Shop) -> None:
    """r2 was marked bad, r3 never got a verdict: the way back from r4 is r1, and says what it passed over."""
    shop = open_shop
    for number, name in enumerate(("two", "three", "four"), 2):
        shop.commit(shop.text(CATALOG + route(name), bake="300ms" if number == 2 else "1h"), name)
        shop.ok("deploy", "--wait", "ended" if number == 2 else "converged")
    shop.ok("mark", "r2", "bad", "-m", "it leaked")
    answer = shop.ask("rollback")
    assert (answer["from"], answer["release"]) == (4, 1)
    assert {number for number, _ in answer["skipped"]} >= {2}
    assert shop.live == 1


def test_a_users_own_revert(open_shop: Shop) -> None:
    """Content equal to an earlier good release is a rollback: at once, without a trial, with its verdict."""
    shop = open_shop
    shop.deploy(shop.text(CATALOG + route("orders", "legacy"), bake="1h").replace("1h", "300ms"), "Take orders")
    shop.git("revert", "--no-edit", "HEAD")
    done = shop.ok("deploy")
    assert "its content is that of r1" in done.out
    assert shop.get("/orders/1").status == 404
    newest = shop.history()["releases"][0]
    assert (newest["verdict"], newest["basis"]) == ("good", "inherited")


def test_a_dry_run_moves_nothing(open_shop: Shop) -> None:
    shop = open_shop
    shop.deploy(shop.text(CATALOG + route("orders", "legacy")), "Take orders")
    before = shop.standing()
    done = shop.ok("rollback", "--dry-run")
    assert "REVERTS" in done.out
    assert shop.standing() == before


def test_a_rollback_overtakes_a_rollback(open_shop: Shop) -> None:
    """The same target twice is done once; another target takes over."""
    shop = open_shop
    for name in ("two", "three"):
        shop.deploy(shop.text(CATALOG + route(name)), name)
    runs = [shop.begin_command("rollback", target, "--accept-loosening") for target in ("r1", "r1")]
    ended = [(run.communicate(timeout=30)[1], run.returncode) for run in runs]
    assert sorted(code for _, code in ended) in ([0, 4], [0, 5]), ended
    assert shop.live == 1
    assert sum(one["intent"] == "rollback" for one in shop.history()["deployments"]) == 1
