"""A regression that begins after the bake: back by itself where that is certain, told where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lastgood.health.judge import Assessment
from lastgood.health.reading import WHOLE
from lastgood.operations.configurations import Configurations
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.watching import Watching, watched
from lastgood.release import events as ev
from lastgood.testing.fake_journal import FakeJournal
from tests.judging.court import MEASURED, Court, court

OWN = 300
REST = 2000


class Guard:
    """The watch of a court, whose clock goes ten seconds on with every look."""

    def __init__(self, of: Court) -> None:
        self.court = of
        self.watching = self.another()

    def another(self) -> Watching:
        """One that knows nothing but the journal and the evidence."""
        it = self.court
        configurations = Configurations(FakeJournal(it.pages))
        sources = (it.counters, it.evidence, it.clock, configurations.of)
        return Watching(it.made.loop, *sources, it.made.verbs.back_by_itself)

    async def looks(
        self, n: int, *, fails: float = 0.0, rest_fails: float = 0.0, rest: int = REST
    ) -> Assessment | None:
        found = None
        for _ in range(n):
            counters, failed = self.court.counters, round(fails * OWN)
            counters.requests("r2", OWN, failed=failed)
            counters.requests(WHOLE, OWN + rest, failed=failed + round(rest_fails * rest))
            self.court.clock.ahead_s += 10
            found = await self.watching.look()
            await asyncio.sleep(0.001)
        return found

    @property
    def notes(self) -> list[str]:
        return [note.what for _, note in self.court.made.state.notes]


@asynccontextmanager
async def on_guard(bake: str = MEASURED, paths: tuple[str, str] = ("/new/*", "/*")) -> AsyncIterator[Guard]:
    """r2 is live, known good by evidence and settled on."""
    async with court() as it:
        await it.second(bake, paths=paths)
        await it.seconds(120)
        await it.made.at_rest()
        assert (it.made.state.live, it.made.state.verdict(2).name) == (2, "good")
        yield Guard(it)


async def back(guard: Guard) -> None:
    await guard.court.made.until(lambda state: state.deployment is None and state.live == 1)


async def test_what_it_changed_stays_counted_after_the_bake() -> None:
    async with on_guard() as guard:
        state = guard.court.made.state
        assert dict(state.served or {}) == {"base": 2, "candidate": None, "percent": 0.0, "before": 1}
        pushed = guard.court.made.proxies.pushes[-1]
        assert pushed.before is not None
        assert pushed.before.release == 1


async def test_a_regression_after_the_bake_goes_back_with_its_evidence() -> None:
    async with on_guard() as guard:
        await guard.looks(70)
        await guard.looks(6, fails=0.2)
        await back(guard)
        state = guard.court.made.state
        verdict = state.verdict(2)
        assert (verdict.name, verdict.basis) == ("bad", "measured")
        assert "more failures than ever" in verdict.evidence
        assert "gateway" in state.quarantine[2]
        newest = state.deployments[max(state.deployments)]
        assert (newest.asked.intent, newest.asked.by) == ("rollback", "the judge")
        guard.court.made.verbs.evidence = guard.court.evidence
        assert guard.court.made.verbs.verdict("r2")["measured"]["replay"] == "same"


async def test_a_limit_that_a_user_set_holds_from_the_first_look() -> None:
    async with on_guard(MEASURED[:-2] + " }, { errors: { below: 2% } }]") as guard:
        await guard.looks(3)
        await guard.looks(6, fails=0.2)
        await back(guard)
        assert "errors below 2%" in guard.court.made.state.verdict(2).evidence


async def test_the_verdict_is_written_with_the_way_back_in_one_commit() -> None:
    async with on_guard() as guard:
        await guard.looks(70)
        await guard.looks(6, fails=0.5)
        await back(guard)
        bodies = [event.body for event in guard.court.made.events]
        planned = next(n for n, body in enumerate(bodies) if isinstance(body, ev.Planned) and body.plan.goes_back)
        measured = max(n for n, body in enumerate(bodies) if isinstance(body, ev.Measured))
        started = next(n for n, body in enumerate(bodies) if isinstance(body, ev.StepStarted) and n > planned)
        assert measured < planned < started


async def test_an_outage_that_the_rest_shares_is_told_once_and_rolls_nothing_back() -> None:
    async with on_guard() as guard:
        await guard.looks(70)
        await guard.looks(30, fails=0.5, rest_fails=0.5)
        assert guard.court.made.state.live == 2
        assert guard.court.made.state.verdict(2).name == "good"
        assert sum("cannot be told" in note for note in guard.notes) == 1


async def test_what_was_gone_back_to_is_not_watched() -> None:
    async with on_guard() as guard:
        await guard.looks(70)
        await guard.looks(6, fails=0.5)
        await back(guard)
        deployments = len(guard.court.made.state.deployments)
        assert await guard.looks(20, fails=1.0) is None
        assert len(guard.court.made.state.deployments) == deployments


async def test_where_only_telling_is_wanted_it_is_bad_and_stays() -> None:
    async with on_guard(MEASURED + ", regression: tell") as guard:
        await guard.looks(70)
        await guard.looks(6, fails=0.5)
        state = guard.court.made.state
        assert (state.live, state.verdict(2).name) == (2, "bad")
        assert any("no rollback by itself" in note for note in guard.notes)
        assert await guard.looks(1) is None


async def test_with_nothing_known_good_it_says_so_and_stays() -> None:
    async with on_guard() as guard:
        await guard.court.made.verbs.mark("r1", "bad", "a person", "found out later")
        await guard.looks(70)
        await guard.looks(6, fails=0.5)
        assert guard.court.made.state.live == 2
        assert any("no rollback by itself" in note and "known good" in note for note in guard.notes)


async def test_what_would_loosen_security_waits_for_a_person() -> None:
    async with on_guard(paths=("/*", "/new/*")) as guard:
        await guard.looks(70)
        await guard.looks(6, fails=0.5)
        state = guard.court.made.state
        assert (state.live, state.verdict(2).name) == (2, "bad")
        assert any("loosen security" in note for note in guard.notes)


async def test_a_restart_goes_on_with_the_watch() -> None:
    async with on_guard() as guard:
        before = await guard.looks(75)
        guard.watching = guard.another()
        after = await guard.looks(2)
        assert before is not None
        assert after is not None
        assert after.watched_s > before.watched_s
        await guard.looks(6, fails=0.5)
        await back(guard)


async def test_it_ends_with_its_time_and_begins_with_no_deployment_under_way() -> None:
    async with on_guard(MEASURED + ", watch: 1h") as guard:
        state, now = guard.court.made.state, guard.court.clock.now()
        assert watched(state, now, lambda live: 3600.0) is not None
        assert await guard.looks(1) is not None
        guard.court.clock.ahead_s += 3600
        assert await guard.looks(1, fails=1.0) is None
        guard.court.commit("/third/*")
        await guard.court.made.verbs.deploy("main", DeployAsk(by="test", percent=50.0))
        assert watched(guard.court.made.state, now, lambda live: 3600.0) is None


async def test_without_room_for_evidence_it_does_not_go_back_by_itself() -> None:
    async with on_guard() as guard:
        await guard.looks(70)
        guard.court.evidence.full = True
        await guard.looks(6, fails=0.5)
        assert guard.court.made.state.live == 2
        assert any("no room for the evidence" in note for note in guard.notes)
