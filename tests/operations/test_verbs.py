"""The verbs end to end, in memory: what is asked, what moves, what Git says afterwards."""

from __future__ import annotations

import pytest

from lastgood.errors import ConfigError, Refused, Unavailable, UsageError
from lastgood.interfaces.cli.deploy import begun
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.rollback import RollbackAsk
from lastgood.release import events as ev
from tests.operations.controller import Controlled, controlled

ME = DeployAsk(by="test")
BACK = RollbackAsk(by="test")


async def two_releases(shop: Controlled, *, bake: str = "50ms") -> tuple[str, str]:
    """r1 is good, r2 is live."""
    first = shop.commit("/one", "one")
    await shop.verbs.deploy("HEAD", ME)
    await shop.at_rest()
    second = shop.commit("/two", "two", bake=bake)
    await shop.verbs.deploy("HEAD", ME)
    if bake == "50ms":
        await shop.at_rest()
    else:
        await shop.baking()
    return first, second


async def test_deploy_serves_a_commit_and_says_what_changed() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        assert shop.proxies.request("one", 10) == {2: 10}
        assert (shop.state.live, shop.state.verdict(2).name) == (2, "good")
        changes = shop.verbs.report("d2")["changes"]
        assert any("/two" in change["text"] for change in changes)


async def test_rollback_moves_the_requests_then_writes_the_revert_then_holds_the_content() -> None:
    async with controlled() as shop:
        first, second = await two_releases(shop)
        answer = await shop.verbs.rollback(BACK)
        assert (answer["release"], answer["from"]) == (1, 2)
        await shop.at_rest()
        assert shop.proxies.request("one", 10) == {1: 10}
        order = [
            (type(event.body).__name__, getattr(event.body, "step", ""))
            for event in shop.events
            if event.deployment == 3 and isinstance(event.body, ev.StepEnded | ev.StepStarted)
        ]
        assert order.index(("StepEnded", "push")) < order.index(("StepStarted", "revert"))
        head = shop.repository.commits[shop.repository.branches["main"]]
        assert head.files == shop.repository.commits[first].files
        assert head.parent == second
        with pytest.raises(Refused, match="held"):
            await shop.verbs.deploy(second, ME)


async def test_rollback_needs_neither_the_repository_nor_git() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        shop.verbs.drafting = None
        shop.verbs.why_no_repository = "it is gone"
        shop.repository.branches.clear()
        await shop.verbs.rollback(BACK)
        await shop.at_rest()
        assert shop.proxies.request("one", 10) == {1: 10}
        assert shop.state.live == 1
        with pytest.raises(Unavailable, match="it is gone"):
            await shop.verbs.deploy("HEAD", ME)


async def test_a_repository_that_comes_back_is_found_when_it_is_asked_for() -> None:
    async with controlled() as shop:
        away, shop.verbs.drafting = shop.verbs.drafting, None
        found = [(None, "still away"), (away, "")]
        shop.verbs.look_again = lambda: found.pop(0)
        shop.commit("/one", "one")
        with pytest.raises(Unavailable, match="still away"):
            await shop.verbs.deploy("HEAD", ME)
        assert (await shop.verbs.deploy("HEAD", ME))["release"] == 1
        await shop.at_rest()


async def test_rollback_of_a_baking_release_reuses_what_is_loaded() -> None:
    async with controlled() as shop:
        await two_releases(shop, bake="10m")
        await shop.verbs.rollback(BACK)
        await shop.at_rest()
        steps = [step.id for step in shop.state.deployments[3].plan.steps]  # type: ignore[union-attr]
        assert steps == ["shift", "converged", "settle", "revert"]
        assert shop.state.verdict(2).name == "bad"


async def test_a_refused_release_leaves_the_accepted_one_serving_and_is_bad() -> None:
    async with controlled() as shop:
        shop.commit("/one", "one")
        await shop.verbs.deploy("HEAD", ME)
        await shop.at_rest()
        shop.proxies.refuse(2, "bad regex")
        shop.commit("/two", "two")
        await shop.verbs.deploy("HEAD", ME)
        await shop.at_rest()
        assert shop.proxies.request("one", 10) == {1: 10}
        assert (shop.state.live, shop.state.verdict(2).name, shop.state.verdict(2).basis) == (1, "bad", "veto")
        assert "bad regex" in shop.state.verdict(2).evidence


async def test_loosening_needs_a_person_who_accepts_it() -> None:
    async with controlled() as shop:
        shop.commit("/*", "open", security="public: true")
        await shop.verbs.deploy("HEAD", ME)
        await shop.at_rest()
        shop.commit("/*", "closed")
        await shop.verbs.deploy("HEAD", ME)
        await shop.at_rest()
        planned = await shop.verbs.plan_rollback(BACK)
        assert planned["loosens"]
        assert planned["verdict"] == "good"
        assert planned["blocked"] == [f"it loosens security ({len(planned['loosens'])}): --accept-loosening"]
        with pytest.raises(Refused, match="loosen") as refused:
            await shop.verbs.rollback(BACK)
        assert "--accept-loosening" in (refused.value.next or "")
        assert shop.state.live == 2
        await shop.verbs.rollback(RollbackAsk(by="test", accept_loosening=True))
        await shop.at_rest()
        assert shop.state.live == 1


async def test_a_plan_that_was_shown_is_refused_when_what_it_was_made_for_changed() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        basis = (await shop.verbs.plan_rollback(BACK))["basis"]
        shop.commit("/three", "three")
        forward = (await shop.verbs.plan_deploy("HEAD"))["basis"]
        assert forward == basis
        await shop.verbs.deploy("HEAD", DeployAsk(by="test", basis=forward))
        await shop.at_rest()
        with pytest.raises(Refused, match="has changed since"):
            await shop.verbs.rollback(RollbackAsk(by="test", basis=basis))
        shop.commit("/four", "four")
        with pytest.raises(Refused, match="has changed since"):
            await shop.verbs.deploy("HEAD", DeployAsk(by="test", basis=basis))
        assert shop.state.live == 3


async def test_what_a_deployment_ends_is_said_before_and_when_it_begins() -> None:
    async with controlled() as shop:
        shop.commit("/one", "one", bake="10m")
        assert (await shop.verbs.deploy("HEAD", ME))["ends"] is None
        await shop.until(
            lambda state: state.live == 1 or "bake" in (state.deployment.progress if state.deployment else ())
        )
        shop.commit("/two", "two", bake="10m")
        ends = {"deployment": 1, "release": 1, "undecided": True}
        assert (await shop.verbs.plan_deploy("HEAD"))["ends"] == ends
        answer = await shop.verbs.deploy("HEAD", ME)
        assert answer["ends"] == ends
        told = begun({**answer, "deployment": 2})
        assert "d1, to r1, ends with it: its bake is not over, r1 stays undecided" in told


async def test_a_plan_changes_nothing() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        shop.commit("/three", "three")
        before = len(shop.events)
        planned = await shop.verbs.plan_rollback(RollbackAsk(by="test", target="r1"))
        await shop.verbs.plan_deploy("HEAD")
        await shop.verbs.check("HEAD")
        assert (planned["from"], planned["to"], planned["keeps"]) == (2, 1, [])
        assert len(shop.events) == before


async def test_a_wrong_configuration_is_refused_with_every_problem() -> None:
    async with controlled() as shop:
        shop.repository.commit({"lastgood.yaml": b"project: shop\ngateway: { routs: [] }\nnonsense: 1\n"}, "wrong")
        with pytest.raises(ConfigError) as wrong:
            await shop.verbs.deploy("HEAD", ME)
        assert len(wrong.value.problems) >= 2
        assert shop.state.releases == ()


async def test_force_needs_a_reason_and_lifts_the_quarantine() -> None:
    async with controlled() as shop:
        _, second = await two_releases(shop)
        await shop.verbs.rollback(BACK)
        await shop.at_rest()
        with pytest.raises(Refused, match="reason"):
            await shop.verbs.deploy(second, DeployAsk(by="test", force=True))
        await shop.verbs.deploy(second, DeployAsk(by="test", force=True, why="it was the weather"))
        await shop.at_rest()
        assert (shop.state.live, dict(shop.state.quarantine)) == (3, {})


async def test_the_small_verbs_refuse_when_there_is_nothing_to_steer() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        for asked in (
            shop.verbs.confirm("me"),
            shop.verbs.promote("me"),
            shop.verbs.abort("me"),
            shop.verbs.retry("me"),
        ):
            with pytest.raises(Refused):
                await asked
        with pytest.raises(UsageError):
            await shop.verbs.mark("r9", "bad", "me")
        for name in ("r12", "d1", "previous", "live", "HEAD", "main", "a b", "-x", ""):
            with pytest.raises(UsageError):
                await shop.verbs.tag(name, "r1")


async def test_tags_and_live_name_releases() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        await shop.verbs.tag("stable", "r1")
        assert shop.verbs.release_named("stable") == 1
        assert shop.verbs.release_named("live") == 2
        assert shop.verbs.diff("stable", "live")["changes"]
        await shop.verbs.tag("stable", None)
        with pytest.raises(UsageError):
            shop.verbs.release_named("stable")


async def test_a_controller_that_starts_serves_what_the_journal_says() -> None:
    async with controlled() as shop:
        await two_releases(shop)
        pages, repository = shop.pages, shop.repository
    async with controlled(pages, repository) as again:
        assert again.proxies.request("one", 10) == {2: 10}
        await again.verbs.rollback(BACK)
        await again.at_rest()
        assert again.proxies.request("one", 10) == {1: 10}
