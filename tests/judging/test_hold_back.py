"""A share stays with the old release for the bake, so that there is something to compare with."""

from __future__ import annotations

from lastgood.operations.deploy import DeployAsk
from tests.judging.court import MEASURED, court


async def test_a_share_is_held_back_until_the_judge_is_sure() -> None:
    async with court() as it:
        await it.first()
        it.commit("/new/*", MEASURED + ", hold_back: 10%")
        await it.made.verbs.deploy("main", DeployAsk(by="test"))
        await it.made.until(lambda state: (state.accepted or {}).get("percent") == 90.0)
        plan = it.made.state.deployments[2].plan
        assert plan is not None
        holds = [step for step in plan.steps if step.verb == "hold"]
        assert [step.args["for_s"] for step in holds] == [300.0]
        assert plan.wish["hold_back"] == 10.0
        it.percent = 90.0
        await it.seconds(60)
        await it.made.at_rest()
        assert it.made.state.live == 2
        assert it.made.state.verdict(2).basis == "measured"


async def test_nothing_is_held_back_where_nothing_is_said() -> None:
    async with court() as it:
        await it.second(MEASURED, percent=100.0)
        plan = it.made.state.deployments[2].plan
        assert plan is not None
        assert not [step for step in plan.steps if step.verb == "hold"]
