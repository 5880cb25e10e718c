"""From what is measured to what happens: back by itself, known good with evidence, or a question to a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import replace

from lastgood.effects.system_clock import SystemClock
from lastgood.health.reading import ProxyReading
from lastgood.health.record import replay, write_assessment
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.judging import subject_of
from lastgood.operations.rollback import RollbackAsk
from lastgood.operations.rulings import Finding, condemn
from lastgood.release import events as ev
from lastgood.testing.fake_journal import FakeJournal, Pages
from lastgood.testing.fake_measurements import FakeMeasurements
from tests.judging.court import MEASURED, Ahead, Court, court
from tests.operations.controller import controlled


async def back(court: Court) -> None:
    await court.made.until(lambda state: state.deployment is None and state.live == 1)


async def test_a_release_that_fails_goes_back_by_itself_with_its_evidence() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(5)
        await it.seconds(10, fails=0.2)
        await back(it)
        state = it.made.state
        verdict = state.verdict(2)
        assert (verdict.name, verdict.basis) == ("bad", "measured")
        assert "requests failed, of the baseline's 0 of" in verdict.evidence
        assert "gateway" in state.quarantine[2]
        kept = state.measured[2]
        assert kept.finding["outcome"] == "bad"
        last = [found for _, found in replay(it.evidence.lines(2)[: kept.lines])][-1]
        assert write_assessment(last) == dict(kept.finding)
        plan = state.deployments[2].plan
        assert plan is not None
        assert plan.intent == "retreat"


async def test_the_verdict_is_written_before_anything_moves() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(15, fails=0.5)
        await back(it)
        order = [type(event.body).__name__ for event in it.made.events]
        judged = next(
            n
            for n, event in enumerate(it.made.events)
            if isinstance(event.body, ev.Judged) and event.body.verdict == "bad"
        )
        assert order.index("Planned", judged) > judged
        assert order[judged - 1] == "Measured"


async def test_a_good_one_becomes_known_good_by_evidence_and_all_requests_move() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(120)
        await it.made.until(lambda state: state.deployment is None)
        state = it.made.state
        assert state.live == 2
        assert (state.verdict(2).name, state.verdict(2).basis) == ("good", "measured")
        assert state.measured[2].finding["good"] >= 1000
        assert it.evidence.synced


async def test_below_half_of_the_requests_nothing_is_called_good() -> None:
    async with court() as it:
        await it.second(percent=25.0)
        found = await it.seconds(120)
        assert found is not None
        assert found.outcome == "good"
        assert it.made.state.verdict(2).name == "baking"


async def test_without_objectives_time_makes_it_good_but_the_worse_still_goes_back() -> None:
    async with court() as it:
        await it.second("for: 5m, clusters: 1")
        assert it.made.state.verdict(2).basis == "timed"
        await it.seconds(10, fails=0.3)
        await back(it)
        assert it.made.state.verdict(2).basis in ("measured", "veto")


async def test_undecided_at_the_deadline_asks_and_is_never_silently_good() -> None:
    async with court() as it:
        await it.second(MEASURED, percent=100.0)
        await it.seconds(3)
        it.clock.ahead_s += 301
        it.counters.vanish()
        await it.judging.look()
        verdict = it.made.state.verdict(2)
        assert (verdict.name, verdict.basis) == ("undecided", "measured")
        assert "blind" in verdict.evidence
        assert it.made.state.deployment is not None
        assert any("lastgood mark r2 good" in note.what for _, note in it.made.state.notes)
        await it.made.verbs.mark("r2", "good", "a person", "looked at it")
        await it.made.at_rest()
        assert it.made.state.live == 2


async def test_undecided_at_the_deadline_goes_back_where_that_is_the_policy() -> None:
    async with court() as it:
        await it.second(MEASURED + ", undecided: rollback", percent=100.0)
        await it.seconds(3)
        it.clock.ahead_s += 301
        await it.judging.look()
        await back(it)
        assert it.made.state.verdict(2).name == "undecided"


async def test_extending_waits_three_times_as_long_and_then_asks() -> None:
    async with court() as it:
        await it.second(MEASURED + ", undecided: extend", percent=100.0)
        await it.seconds(3)
        it.clock.ahead_s += 301
        await it.judging.look()
        assert it.made.state.verdict(2).name == "baking"
        it.clock.ahead_s += 601
        await it.judging.look()
        assert it.made.state.verdict(2).name == "undecided"


class Slept(Ahead):
    """Keeps how long the judge sleeps between its looks."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(seconds)
        await asyncio.sleep(0)


class Slow(FakeMeasurements):
    """Proxies that take their time to answer."""

    def __init__(self, clock: Ahead) -> None:
        super().__init__()
        self._clock = clock
        self.took_s = 0.0

    async def read(self, releases: Collection[int] | None = None) -> Mapping[str, ProxyReading]:
        self._clock.ahead_s += self.took_s
        return await super().read(releases)


async def test_it_looks_once_a_second_however_long_a_look_takes() -> None:
    """What reading takes is part of the second: it sleeps for what is left of it, and always a little."""
    async with court() as it:
        it.clock = clock = Slept()
        it.counters = counters = Slow(clock)
        it.judging = it.another()
        await it.second()
        for counters.took_s, most_s in ((0.4, 0.6), (7.0, 0.1)):
            clock.slept.clear()
            reads = counters.reads
            turns = asyncio.create_task(it.judging.run())
            while len(clock.slept) < 8:
                await asyncio.sleep(0.001)
            turns.cancel()
            assert all(0.1 <= slept_s <= most_s + 1e-6 for slept_s in clock.slept)
            assert counters.reads - reads >= 8, "every look reads"


async def test_a_shared_outage_rolls_nothing_back_and_says_so() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(20)
        await it.seconds(20, fails=0.7, base_fails=0.7)
        assert it.made.state.verdict(2).name == "baking"
        assert any("both sides fail" in note.what for _, note in it.made.state.notes)
        timeline = it.made.verbs.report("d2")["timeline"]
        assert [event["what"] for event in timeline if event["kind"] == "Noted"] == [
            "r2: both sides fail; nothing is rolled back for what they share"
        ]


async def test_an_automatic_rollback_is_never_rolled_back_automatically() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(15, fails=0.5)
        assert subject_of(it.made.state) is None
        await back(it)
        deployments = len(it.made.state.deployments)
        for _ in range(20):
            it.counters.requests("r1", 40, failed=40)
            it.clock.ahead_s += 1
            assert await it.judging.look() is None
        assert len(it.made.state.deployments) == deployments


async def test_a_rollback_somebody_asked_for_is_not_judged() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(3)
        await it.made.verbs.rollback(RollbackAsk(by="test", accept_loosening=True))
        assert subject_of(it.made.state) is None
        await back(it)


async def test_a_ruling_that_comes_too_late_changes_nothing() -> None:
    """The decision races a rollback that a person asked for: whoever is second finds nothing to do."""
    async with court() as it:
        await it.second()
        await it.seconds(12, fails=0.02)
        now = it.judging.now
        assert now is not None
        await it.made.verbs.rollback(RollbackAsk(by="test", accept_loosening=True))
        bad = replace(now.found, outcome="bad", why="too late")
        outcome = condemn(Finding(now.case, bad, now.lines, now.digest), it.made.loop.view())
        assert outcome.events == ()
        await back(it)


async def test_the_controller_dies_between_decision_and_push() -> None:
    """The reading that decides was kept, the ruling was not written: the next judge rules at its first look."""
    async with court() as it:
        await it.second()
        await it.seconds(5)
        under = it.judging._open
        assert under is not None
        for _ in range(10):
            it.counters.requests("r2", 40, failed=20)
            it.counters.requests("r1", 40)
            it.clock.ahead_s += 1
            await it.judging._measure(under)
        assert it.made.state.verdict(2).name == "baking"
        it.judging = it.another()
        await it.judging.look()
        assert it.made.state.verdict(2).name == "bad"
        await back(it)


async def test_a_restart_goes_on_with_what_was_measured() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(60)
        before = it.judging.now
        it.judging = it.another()
        it.clock.ahead_s += 30
        after = await it.seconds(3)
        assert before is not None
        assert after is not None
        assert after.requests[0] >= before.found.requests[0]
        assert after.watched_s < before.found.watched_s + 10


async def test_nothing_is_healthy_because_nobody_measured() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(10)
        it.counters.vanish()
        for _ in range(300):
            it.clock.ahead_s += 1
            found = await it.judging.look()
        assert found is not None
        assert any("blind" in lack for lack in found.lacks)
        assert it.made.state.verdict(2).name == "baking"


async def test_a_proxy_that_restarts_and_a_suspended_machine_flip_no_verdict() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(10)
        it.counters.restart()
        await it.seconds(3)
        it.clock.ahead_s += 600
        found = await it.seconds(3)
        assert found is not None
        assert found.watched_s < 20
        assert found.outcome == "undecided"


async def test_without_room_for_evidence_it_is_not_good_but_may_be_bad() -> None:
    async with court() as it:
        await it.second()
        it.evidence.full = True
        await it.seconds(120)
        assert it.made.state.verdict(2).name == "baking"
        assert any("no room" in note.what for _, note in it.made.state.notes)
        await it.seconds(15, fails=0.5)
        await back(it)
        assert it.made.state.verdict(2).name == "bad"


async def test_a_record_holds_its_terms_and_a_retry_is_a_new_trial() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(3)
        first = json.loads(it.evidence.lines(2)[0])
        assert (first["release"], first["baseline"], first["deployment"]) == (2, 1, 2)
        assert first["terms"]["dispersion"]["errors"] == 1.0
        await it.seconds(15, fails=0.5)
        await back(it)
        it.commit("/new/*", MEASURED + ", undecided: extend")
        await it.made.verbs.deploy("main", DeployAsk(by="test", percent=95.0, force=True, why="mended"))
        await it.made.until(lambda state: (state.accepted or {}).get("candidate") == 3)
        await it.judging.look()
        now = it.judging.now
        assert now is not None
        assert now.case.release == 3
        assert now.found.outcome == "undecided"


async def test_a_ruling_that_was_written_is_the_first_thing_a_new_controller_carries_out() -> None:
    """The controller dies after the verdict is durable, and before anything is planned or pushed."""
    pages = Pages()
    async with controlled(pages) as first:
        it = Court(first, pages)
        await it.second()
        await it.seconds(3)
        repository = first.repository
    journal, now = FakeJournal(pages), SystemClock().now()
    journal.take_over("the one that dies", now, is_alive=False)
    journal.append(now, [(None, ev.Judged(2, "bad", "measured", "half of its requests failed", "the judge"))])
    async with controlled(pages, repository) as again:
        await again.until(lambda state: state.deployment is None and state.live == 1)
        bodies = [event.body for event in again.events]
        assert isinstance(bodies[0], ev.TookOver)
        planned = next(body for body in bodies if isinstance(body, ev.Planned))
        assert planned.plan.intent == "retreat"
        before = bodies[1 : bodies.index(planned)]
        assert not [body for body in before if isinstance(body, ev.StepStarted)]
        assert again.state.verdict(2).evidence == "half of its requests failed"
