"""A drill: there and back for real, nothing held against anybody, and at rest wherever its controller dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from lastgood.errors import Conflict, LastgoodError, Refused
from lastgood.interfaces.http.metrics import render_metrics
from lastgood.operations.drilling import DrillAsk, begin, half_way, keep_drilling, last_drill
from lastgood.operations.loop import Loop
from lastgood.operations.world import Outcome
from lastgood.release import events as ev
from lastgood.release.release import Release
from lastgood.release.step import Step
from lastgood.testing.simulation import Gates, Simulation, at_rest
from lastgood.testing.virtual_time import VirtualClock
from tests.invariants.scenes import events_of, marked, on_first, played
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft, move, shop

ASK = DrillAsk("test")


def nothing_loosens(one: Release, other: Release) -> tuple[str, ...]:
    return ()


async def drilled(loop: Loop, ask: DrillAsk = ASK) -> None:
    await loop.ask(partial(begin, ask, nothing_loosens))


async def over(loop: Loop) -> None:
    """Until the drill is done, or rests for want of anybody who goes forward."""
    for _ in range(2000):
        await at_rest(loop)
        found = last_drill(loop.state)
        if found is None or found["standing"] not in ("under way", "rests"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(last_drill(loop.state))


def attended(script: Callable[[Loop], Awaitable[None]]) -> Callable[[Loop], Awaitable[None]]:
    """The script, beside what a controller has running for drills."""

    async def beside(loop: Loop) -> None:
        keeping = asyncio.create_task(keep_drilling(loop, VirtualClock()))
        try:
            await script(loop)
        finally:
            keeping.cancel()

    return beside


async def whole_drill(loop: Loop) -> None:
    await drilled(loop)
    await over(loop)


def on_second() -> Simulation:
    """r1 and r2 are good, r2 is live and nothing of r1 runs."""
    sim = on_first("v1", schema="001")

    async def second(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="002"))

    played(sim, second)
    assert sim.system.instances == {("catalog", "v2"): 2}
    return sim


def untouched(sim: Simulation, where: str = "") -> None:
    """Nobody holds anything against r2, and nothing was written to Git or the schema."""
    assert sim.loop is not None
    state = sim.loop.state
    assert (state.verdict(1).name, state.verdict(2).name) == ("good", "good"), where
    assert (dict(state.quarantine), dict(state.held)) == ({}, {}), where
    assert (sim.system.reverts, sim.system.violations) == ([], []), where
    assert sim.system.schema == {"main": "002"}, where


def test_there_and_back_and_everything_is_as_before() -> None:
    sim = on_second()
    state = played(sim, attended(whole_drill))
    assert state.live == 2
    assert sim.system.instances == {("catalog", "v2"): 2}
    untouched(sim)
    assert [(d.asked.source, d.asked.target, d.asked.drill) for d in state.deployments.values()][2:] == [
        (2, 1, 2),
        (1, 2, 2),
    ]
    found = last_drill(state)
    assert found is not None
    assert (found["standing"], found["of"], found["to"]) == ("done", 2, 1)
    assert found["back"]["started"] == ["service:catalog"]
    assert found["forth"]["started"] == [], "what serves now stays warm for as long as the drill lasts"
    assert 0 < found["forth"]["took_s"] < 60
    assert 0 < found["back"]["took_s"] < 60


def test_its_times_are_metrics_once_it_has_come_back() -> None:
    sim = on_second()
    pages: list[str] = []

    async def story(loop: Loop) -> None:
        await drilled(loop)
        pages.append(render_metrics(loop.view(), (), 0))
        await over(loop)
        pages.append(render_metrics(loop.view(), (), 0))

    played(sim, attended(story))
    assert "lastgood_drill_seconds" not in pages[0]
    found = last_drill(sim.loop.state) if sim.loop is not None else None
    assert found is not None
    for way in ("back", "forth"):
        assert f'lastgood_drill_seconds{{way="{way}"}} {found[way]["took_s"]:.6f}' in pages[1]


def test_a_crash_at_any_gate_comes_to_rest_and_then_goes_forward() -> None:
    counted = Gates()
    played(on_second(), attended(whole_drill), counted)
    assert counted.passed > 20
    for n in range(1, counted.passed + 1):
        sim, gates = on_second(), Gates(crash_at=n)
        assert sim.live(attended(whole_drill), gates) is not None
        where = f"crash at {n}: {gates.log[n - 1]}"
        assert sim.live(at_rest) is None, where
        assert sim.loop is not None
        state = sim.loop.state
        assert state.live in (1, 2), where
        assert sim.system.base == state.live, where
        found = last_drill(state)
        assert (half_way(state) is not None) == (state.live == 1), where
        assert found is None or found["standing"] == {1: "rests", 2: "done"}[state.live or 0], where
        untouched(sim, where)
        assert sim.live(attended(over)) is None, where
        assert sim.loop.state.live == 2, where
        untouched(sim, where)


@pytest.mark.parametrize("service", ["v1", "v2"])
def test_a_half_that_cannot_be_gone_halts_and_names_the_ways(service: str) -> None:
    sim = on_second()

    def fails(step: Step, nth: int) -> str | None:
        serves = step.verb == "serve" and step.args["base"] == {"v1": 1, "v2": 2}[service]
        return "no answer" if serves else None

    state = played(sim, attended(whole_drill), Gates(fail=fails))
    assert state.deployment is not None
    assert state.deployment.halted is not None
    assert "lastgood retry" in state.deployment.halted.choices
    found = last_drill(state)
    assert found is not None
    assert (found["standing"], sim.system.base) == ("halted", {"v1": 2, "v2": 1}[service])
    untouched(sim)


def test_a_person_who_comes_in_between_is_not_undone() -> None:
    sim = on_second()

    async def begun(loop: Loop) -> None:
        await drilled(loop)
        await at_rest(loop)

    async def another(loop: Loop) -> None:
        await deployed(loop, draft("three", service="v3", schema="002"))

    played(sim, begun)
    played(sim, another)

    async def later(loop: Loop) -> None:
        await asyncio.sleep(60)

    state = played(sim, attended(later))
    assert state.live == 3
    found = last_drill(state)
    assert found is not None
    assert found["standing"] == "superseded"


def test_after_a_drill_a_rollback_needs_no_target_and_hooks_heard_nothing() -> None:
    sim = Simulation()
    hooked = {"catalog": move("blue_green", hooks={"undo": 10.0, "on_rollback": 10.0})}

    async def story(loop: Loop) -> None:
        await deployed(loop, shop("one", {"catalog": "v1"}, hooked))
        await deployed(loop, shop("two", {"catalog": "v2"}, hooked))
        before = list(sim.system.hooks)
        await drilled(loop)
        await over(loop)
        assert sim.system.hooks == before, "nothing is undone"
        await do_rollback(loop)
        await at_rest(loop)
        assert sim.system.hooks != before

    assert played(sim, attended(story)).live == 1


# --- no moment for a drill -----------------------------------------------------------------------------------------


async def refusal(loop: Loop, ask: DrillAsk = ASK) -> LastgoodError:
    with pytest.raises(LastgoodError) as found:
        await drilled(loop, ask)
    return found.value


def test_while_something_bakes_or_waits_for_a_person_it_conflicts() -> None:
    sim = on_second()

    async def story(loop: Loop) -> None:
        await do_deploy(loop, draft("three", service="v3", schema="002"))
        await asyncio.sleep(5)
        found = await refusal(loop)
        assert isinstance(found, Conflict)
        assert found.what == "d3 bakes r3"
        await at_rest(loop)
        await do_deploy(loop, draft("four", service="v4", schema="002"), confirm_within_s=600.0)
        await asyncio.sleep(5)
        assert (await refusal(loop)).what == "d4 waits for its confirmation"

    played(sim, story)


def test_without_a_known_good_or_where_automation_holds_back_it_is_refused() -> None:
    empty = Simulation()

    async def nothing(loop: Loop) -> None:
        assert "nothing is live" in (await refusal(loop)).what

    played(empty, nothing)
    first = on_first()

    async def only_one(loop: Loop) -> None:
        assert "no release to go back to" in (await refusal(loop)).what

    played(first, only_one)
    sim = on_second()

    async def held(loop: Loop) -> None:
        await marked(loop, 1, "bad")
        assert "no release is known good" in (await refusal(loop)).what
        await marked(loop, 1, "good")
        await marked(loop, 2, "bad")
        assert (await refusal(loop)).what.startswith("r2 is bad")
        await marked(loop, 2, "good")
        await loop.ask(lambda view: Outcome(((None, ev.Held("service:catalog", 2, "one part back")),)))
        assert "automation leaves service:catalog in r2 alone" in (await refusal(loop)).what

    played(sim, held)
    assert not any(event.body.drill for event in events_of(sim, ev.Requested))


def test_what_would_loosen_security_meanwhile_waits_for_a_person() -> None:
    sim = on_second()

    def loosens(one: Release, other: Release) -> tuple[str, ...]:
        return ("route orders: public",)

    async def story(loop: Loop) -> None:
        with pytest.raises(Refused, match="loosen security: route orders: public"):
            await loop.ask(partial(begin, ASK, loosens))
        await loop.ask(partial(begin, DrillAsk("test", accept_loosening=True), loosens))
        await over(loop)

    assert played(sim, attended(story)).live == 2
