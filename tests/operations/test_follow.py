"""Following a branch: new commits deploy by themselves, what is held does not, what a person moved is respected."""

from __future__ import annotations

import contextlib

from lastgood.operations.deploy import DeployAsk
from lastgood.operations.follow import Follower
from lastgood.operations.rollback import RollbackAsk
from lastgood.ports import JournalFull
from tests.operations.controller import Controlled, controlled, text


def notes(shop: Controlled) -> list[str]:
    return [note.what for _, note in shop.state.notes]


async def test_a_new_commit_is_deployed_and_a_second_look_does_nothing() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.commit("/one")
        await follower.look()
        await shop.at_rest()
        assert shop.state.live == 1
        await follower.look()
        assert shop.state.releases == (1,)
        assert shop.state.deployments[1].asked.by == "follow main"


async def test_commits_that_come_during_a_bake_wait_and_only_the_newest_is_deployed() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.commit("/one", bake="300ms")
        await follower.look()
        await shop.baking()
        shop.commit("/two")
        await follower.look()
        shop.commit("/three")
        await follower.look()
        assert follower.pending == shop.repository.branches["main"]
        await shop.at_rest()
        await follower.look()
        await shop.at_rest()
        assert (shop.state.live, shop.state.releases) == (2, (1, 2))
        assert shop.verbs.configurations.of(2).routes["all"].match.path == "/three"


async def rolled_back(shop: Controlled, *, revert_commit: bool) -> None:
    """r1 live again, r2 bad, and the branch still says r2 unless Git was told."""
    shop.commit("/one")
    await shop.verbs.deploy("HEAD", DeployAsk(by="test"))
    await shop.at_rest()
    shop.commit("/two")
    await shop.verbs.deploy("HEAD", DeployAsk(by="test"))
    await shop.at_rest()
    await shop.verbs.rollback(RollbackAsk(by="test", revert_commit=revert_commit))
    await shop.at_rest()


async def test_content_that_was_bad_is_held_and_said_so_once() -> None:
    async with controlled() as shop:
        await rolled_back(shop, revert_commit=False)
        for _ in range(2):
            await shop.follower().look()
        await shop.at_rest()
        assert (shop.state.live, shop.state.releases) == (1, (1, 2))
        assert any("held" in note for note in notes(shop))


async def test_a_new_commit_that_still_contains_what_was_bad_is_held() -> None:
    async with controlled() as shop:
        await rolled_back(shop, revert_commit=False)
        shop.repository.commit({"README.md": b"nothing that runs"}, "Write a page")
        follower = shop.follower()
        await follower.look()
        await shop.at_rest()
        assert (shop.state.live, shop.state.releases, follower.pending) == (1, (1, 2), None)
        assert any("held" in note for note in notes(shop))


async def test_our_own_revert_commit_is_nothing_to_do() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        await rolled_back(shop, revert_commit=True)
        await follower.look()
        await shop.at_rest()
        assert (shop.state.live, shop.state.releases) == (1, (1, 2))


async def test_a_rewritten_branch_is_reported_and_changes_nothing() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        first = shop.commit("/one")
        shop.commit("/two")
        await follower.look()
        await shop.at_rest()
        shop.repository.reset("main", first)
        shop.commit("/other")
        await follower.look()
        await follower.look()
        assert shop.state.releases == (1,)
        assert any("was rewritten" in note for note in notes(shop))


async def test_a_branch_that_is_gone_is_reported_and_changes_nothing() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.commit("/one")
        await follower.look()
        await shop.at_rest()
        shop.repository.remove_branch("main")
        await follower.look()
        assert any("does not exist" in note for note in notes(shop))
        assert shop.state.live == 1


async def test_a_wrong_commit_is_reported_once_and_the_next_is_deployed() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.repository.commit({"lastgood.yaml": b"project: 7\n"}, "wrong")
        await follower.look()
        await follower.look()
        assert len([note for note in notes(shop) if "cannot be deployed" in note]) == 1
        shop.commit("/one")
        await follower.look()
        await shop.at_rest()
        assert shop.state.live == 1


async def test_a_users_own_revert_of_a_baking_release_goes_back_at_once() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.commit("/one")
        await follower.look()
        await shop.at_rest()
        shop.commit("/two", bake="10m")
        await follower.look()
        await shop.baking()
        shop.repository.commit(
            {"lastgood.yaml": shop.repository.read(shop.repository.resolve("main~1").oid, "lastgood.yaml")}, "Revert"
        )
        await follower.look()
        await shop.at_rest()
        assert shop.state.live == 3
        assert shop.state.verdict(3).basis == "inherited"


async def test_a_branch_that_comes_back_rewritten_changes_nothing() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        first = shop.commit("/one")
        shop.commit("/two")
        await follower.look()
        await shop.at_rest()
        shop.repository.remove_branch("main")
        await follower.look()
        shop.repository.reset("main", first)
        shop.commit("/other")
        await follower.look()
        await shop.at_rest()
        assert shop.state.releases == (1,)


async def test_a_rewritten_branch_changes_nothing_after_a_restart_either() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        first = shop.commit("/one")
        shop.commit("/two")
        await follower.look()
        await shop.at_rest()
        shop.repository.reset("main", first)
        shop.commit("/other")
        await follower.look()
        await shop.follower().look()
        await shop.at_rest()
        assert shop.state.releases == (1,)


async def test_a_commit_refused_for_want_of_room_is_tried_again() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.pages.full = True
        shop.commit("/one")
        with contextlib.suppress(JournalFull):
            await follower.look()
        shop.pages.full = False
        await follower.look()
        await shop.at_rest()
        assert shop.state.live == 1


async def test_what_a_person_aborted_is_not_deployed_again_by_itself() -> None:
    async with controlled() as shop:
        follower = shop.follower()
        shop.commit("/one")
        await follower.look()
        await shop.at_rest()
        shop.commit("/two", bake="10m")
        await follower.look()
        await shop.baking()
        await shop.verbs.abort("me", "no")
        await shop.at_rest()
        await shop.follower().look()
        assert shop.state.releases == (1, 2)


async def test_a_branch_with_a_slash_in_its_name_is_reverted_by_its_whole_name() -> None:
    async with controlled() as shop:
        shop.repository.commit({"lastgood.yaml": text("/one")}, "one", branch="feature/x")
        await Follower(shop.verbs, shop.repository, "feature/x").look()
        await shop.at_rest()
        assert shop.loop.release_of(1).branch == "feature/x"
