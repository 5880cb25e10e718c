"""What goes wrong around the judge, through the loop: nothing of it makes a release good, or takes a good one back."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from lastgood.health.reading import ProxyReading
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.vetoes import LOOKS, Lookout
from lastgood.release.observed import Fact, Observed
from lastgood.stamp import Stamp
from tests.judging.court import MEASURED, Ahead, Court, court


async def back(court: Court) -> None:
    await court.made.until(lambda state: state.deployment is None and state.live == 1)


class Jumping(Ahead):
    """Its wall clock is set, by somebody or by NTP; boot time is not."""

    def __init__(self) -> None:
        super().__init__()
        self.wall_s = 0.0

    def now(self) -> Stamp:
        """This moment."""
        now = super().now()
        return Stamp(now.wall_s + self.wall_s, now.boot_id, now.boot_s)


@pytest.mark.parametrize("jump_s", [86_400.0, -3600.0, -1.0])
async def test_a_wall_clock_that_jumps_hurries_and_delays_nothing(jump_s: float) -> None:
    async with court() as it:
        clock = it.clock = Jumping()
        it.judging = it.another()
        await it.second()
        before = await it.seconds(10)
        clock.wall_s = jump_s
        after = await it.seconds(5)
        assert before is not None
        assert after is not None
        assert 4 <= after.watched_s - before.watched_s <= 6
        assert it.made.state.verdict(2).name == "baking"
        await it.seconds(10, fails=0.5)
        await back(it)


@pytest.mark.parametrize("up_s", [math.nan, math.inf, -5.0])
async def test_readings_that_make_no_sense_are_dropped_and_the_verdict_is_judged_again_all_the_same(
    up_s: float,
) -> None:
    async with court() as it:
        await it.second()
        await it.seconds(10)
        sane = it.counters._proxies["one"]
        it.counters._proxies["one"] = ProxyReading(up_s, sane.arms)
        it.clock.ahead_s += 1
        found = await it.judging.look()
        assert found is not None
        assert any("blind" in lack for lack in found.lacks)
        it.counters._proxies["one"] = sane
        await it.seconds(12, fails=0.5)
        await back(it)
        it.made.verbs.evidence = it.evidence
        assert it.made.verbs.verdict("r2")["measured"]["replay"] == "same"


async def test_counts_that_go_backwards_are_a_gap_and_no_failure() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(10)
        proxy = it.counters._proxies["one"]
        less = replace(proxy.arms["r2"], attempts=1, answered=1, failed=1)
        it.counters._proxies["one"] = replace(proxy, arms={**proxy.arms, "r2": less})
        it.clock.ahead_s += 1
        await it.judging.look()
        found = await it.seconds(3)
        assert found is not None
        assert found.outcome == "undecided"
        assert found.failures[0] == 0


async def test_a_silent_release_is_never_good_by_what_the_other_side_does() -> None:
    async with court() as it:
        await it.second(MEASURED, percent=60.0)
        lacks: list[str] = []
        for _ in range(200):
            it.counters.requests("r1", 1)
            it.clock.ahead_s += 1
            if (found := await it.judging.look()) is None:
                break
            lacks += found.lacks
        assert any("got no request" in lack for lack in lacks)
        await back(it)  # it gets less than its share: that is a metric, too
        assert "fewer requests" in it.made.state.verdict(2).evidence


async def test_where_nobody_comes_nothing_is_decided() -> None:
    async with court() as it:
        await it.second(MEASURED, percent=60.0)
        for _ in range(60):
            it.clock.ahead_s += 1
            found = await it.judging.look()
        assert found is not None
        assert found.outcome == "undecided"
        assert it.made.state.verdict(2).name == "baking"


async def test_requests_that_a_header_sent_to_it_neither_condemn_nor_acquit_it() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(5)
        for _ in range(60):
            it.counters.requests("r2-asked", 500, failed=500)
            await it.seconds(1)
            if it.made.state.deployment is None:
                break
        assert it.made.state.verdict(2).name == "good"
        assert it.made.state.measured[2].finding["failures"] == [0, 0]


async def test_a_promotion_races_the_decision_and_the_decision_stands() -> None:
    """Somebody ends the hold at the moment in which it is found bad: whoever is first, all requests end on r1."""
    for first in (True, False):
        async with court() as it:
            await it.second()
            await it.seconds(6, fails=0.03)
            promoting = it.made.verbs.promote("a person", full=True)
            judging = it.seconds(10, fails=0.9)
            await asyncio.gather(*((promoting, judging) if first else (judging, promoting)), return_exceptions=True)
            await back(it)
            assert it.made.state.verdict(2).name == "bad"
            served = it.made.proxies.pushes[-1]
            assert (served.base.release, served.candidate) == (1, None)


async def test_where_the_release_before_is_no_known_good_it_goes_back_to_it_all_the_same() -> None:
    """It served before, and nothing better is known; a person hears of it."""
    async with court() as it:
        await it.first()
        await it.made.verbs.mark("r1", "bad", "a person", "slow")
        it.percent = 95.0
        it.commit("/new/*")
        await it.made.verbs.deploy("main", DeployAsk(by="test", percent=95.0, force=True, why="try"))
        await it.made.until(lambda state: (state.accepted or {}).get("candidate") == 2)
        await it.seconds(12, fails=0.6)
        await back(it)
        assert it.made.state.verdict(2).name == "bad"


NEW, OLD = {"catalog": "n1", "stock": "s1"}, {"catalog": "o1", "stock": "s1"}


def seen(**facts: object) -> Observed:
    """Facts of ``catalog``: ``healthy_n1=0`` is ``healthy:n1``."""
    return Observed.of(
        Fact("service:catalog", key.replace("_", ":"), value, stable=False) for key, value in facts.items()
    )


def test_a_version_that_crashes_is_a_veto_as_long_as_the_old_one_lives() -> None:
    failing = {"wanted_n1": 2, "healthy_n1": 0, "failing_n1": "ended 3 times with 3"}
    assert Lookout(NEW, OLD).veto(seen(**failing, healthy_o1=2)) == "catalog: ended 3 times with 3"
    assert Lookout(NEW, OLD).veto(seen(**failing, healthy_o1=0)) == "", "the old version is dead: nowhere to go"
    assert Lookout(NEW, {}).veto(seen(**failing)) == "catalog: ended 3 times with 3"


def test_nothing_healthy_is_a_veto_when_it_lasts() -> None:
    lookout = Lookout(NEW, OLD)
    empty = seen(wanted_n1=2, healthy_n1=0, healthy_o1=2)
    assert [lookout.veto(empty) for _ in range(LOOKS)] == ["", "", "catalog: none of its instances is healthy"]
    again = Lookout(NEW, OLD)
    again.veto(empty)
    assert again.veto(seen(wanted_n1=2, healthy_n1=1, healthy_o1=2)) == ""
    assert [again.veto(empty) for _ in range(LOOKS - 1)] == ["", ""]


def test_what_did_not_change_is_no_reason() -> None:
    assert not Lookout({"stock": "s1"}, {"stock": "s1"}).changed
    assert Lookout(NEW, OLD).veto(seen()) == ""


def test_a_version_that_cannot_be_gone_back_to_is_told_once_and_so_is_its_return() -> None:
    lookout = Lookout(NEW, OLD)
    dead, both = {"wanted_o1": 2, "healthy_o1": 0, "healthy_n1": 1}, {"wanted_o1": 2, "healthy_o1": 0, "healthy_n1": 0}
    told = [lookout.alarm(seen(**dead)) for _ in range(LOOKS + 3)]
    assert [said != "" for said in told] == [False] * (LOOKS - 1) + [True] + [False] * 3
    assert "catalog: no instance of the version before is healthy, there is nothing to go back to" in told[LOOKS - 1]
    assert "no instance of either version is healthy" in lookout.alarm(seen(**both))
    assert lookout.alarm(seen(wanted_o1=2, healthy_o1=1, healthy_n1=1)) == "catalog: there is a way back again"
    assert [lookout.alarm(seen(healthy_n1=1)) for _ in range(LOOKS)] == [""] * LOOKS, "one that was left is not wanted"
