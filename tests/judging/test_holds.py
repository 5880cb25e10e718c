"""A share is not raised while nobody measures, or while what is measured speaks against it."""

from __future__ import annotations

import asyncio

from lastgood.errors import Unavailable
from lastgood.operations.reporting import deployment
from lastgood.release.state import Deployment
from tests.judging.court import MEASURED, Court, court

SHORT = MEASURED.replace("for: 5m", "for: 500ms")


def active(it: Court) -> Deployment:
    found = it.made.state.deployment
    assert found is not None
    return found


async def holds_on(it: Court) -> None:
    """Its time is over for long, and it still holds."""
    await asyncio.sleep(0.8)
    assert active(it).progress["hold"].phase == "started"
    assert (it.made.state.accepted or {}).get("percent") == 25.0


async def goes_on(it: Court) -> None:
    await it.made.until(lambda state: (state.accepted or {}).get("percent") == 100.0)


async def test_a_hold_ends_by_its_time_once_the_judge_has_nothing_against_it() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        await it.seconds(3)
        assert active(it).doubt == ""
        await goes_on(it)


async def test_a_hold_that_nobody_looked_at_does_not_end_by_its_time() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        assert active(it).doubt is None
        await holds_on(it)
        await it.seconds(3)
        await goes_on(it)


async def test_blind_it_holds_on_and_says_why_and_goes_on_when_it_sees_again() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        it.counters.vanish()
        await it.seconds(3)
        await holds_on(it)
        assert deployment(active(it), it.made.loop.view())["doubt"] == "nothing is measured"
        it.counters.come_back()
        await it.seconds(2)
        await goes_on(it)


async def test_a_judge_that_cannot_look_is_blind() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        await it.judging.look()
        it.counters.refuses = Unavailable("the proxies do not answer")
        turns = asyncio.create_task(it.judging.run())
        await it.made.until(lambda state: state.deployment is not None and state.deployment.doubt != "")
        turns.cancel()
        assert active(it).doubt == "nothing is measured"


async def test_signs_that_it_is_worse_hold_it() -> None:
    async with court() as it:
        await it.second(SHORT.replace("500ms", "3s"), percent=25.0)
        await it.seconds(5)
        for _ in range(20):
            await it.seconds(1, fails=0.08)
            if active(it).doubt:
                break
        assert active(it).doubt == "there are signs that it is worse"
        assert it.made.state.verdict(2).name == "baking"


async def test_a_shared_outage_holds_it() -> None:
    async with court() as it:
        await it.second(SHORT.replace("500ms", "2s"), percent=25.0)
        await it.seconds(20)
        await it.seconds(5, fails=0.7, base_fails=0.7)
        assert active(it).doubt == "both sides fail"
        await asyncio.sleep(2.2)
        assert (it.made.state.accepted or {}).get("percent") == 25.0


async def test_where_only_the_old_side_fails_it_is_said_so_and_the_share_is_raised() -> None:
    async with court() as it:
        await it.second(SHORT.replace("500ms", "2s"), percent=25.0)
        await it.seconds(20)
        await it.seconds(5, base_fails=0.7)
        assert active(it).doubt == ""
        told = [note.what for _, note in it.made.state.notes]
        assert any("what r2 is compared with fails, r2 does not" in what for what in told)
        assert not any("both sides fail" in what for what in told)
        await goes_on(it)


async def test_a_person_may_promote_it_all_the_same() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        it.counters.vanish()
        await it.seconds(3)
        await holds_on(it)
        await it.made.verbs.promote("a person")
        await goes_on(it)


async def test_after_three_times_its_time_a_person_is_asked_once() -> None:
    async with court() as it:
        await it.second(SHORT, percent=25.0)
        it.counters.vanish()
        await it.seconds(3)
        it.clock.ahead_s += 2
        await it.seconds(5)
        told = [note.what for _, note in it.made.state.notes if "stays at its share" in note.what]
        assert len(told) == 1
        assert "lastgood promote, or lastgood abort" in told[0]


async def test_after_three_times_its_time_it_goes_back_where_that_is_the_policy() -> None:
    async with court() as it:
        await it.second(SHORT + ", undecided: rollback", percent=25.0)
        it.counters.vanish()
        await it.seconds(6)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        assert it.made.state.verdict(2).name == "undecided"


async def test_without_objectives_time_ends_it() -> None:
    async with court() as it:
        await it.second("for: 500ms, clusters: 1", percent=25.0)
        it.counters.vanish()
        await it.judging.look()
        await goes_on(it)
