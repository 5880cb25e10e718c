"""kill -9 at every gate of every story, and every effect that fails: where the system comes to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from lastgood.operations.loop import Loop
from lastgood.release.events import Halted
from lastgood.release.step import Step
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft

Script = Callable[[Loop], Awaitable[None]]


async def first_release(loop: Loop) -> None:
    await deployed(loop, draft("one", service="v1", schema="001"))


async def second_release(loop: Loop) -> None:
    await deployed(loop, draft("two", service="v2", schema="002"))


async def back_while_it_bakes(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2", schema="002"))
    await asyncio.sleep(5)
    await do_rollback(loop)
    await at_rest(loop)


async def back_after_the_bake(loop: Loop) -> None:
    await second_release(loop)
    await do_rollback(loop, "previous")
    await at_rest(loop)


async def back_while_it_starts(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2", schema="002"))
    await asyncio.sleep(0.015)
    await do_rollback(loop, "previous")
    await at_rest(loop)


async def nobody_confirms(loop: Loop) -> None:
    await deployed(loop, draft("two", service="v2"), confirm_within_s=10.0)


async def a_third_while_the_second_bakes(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2"))
    await asyncio.sleep(5)
    await deployed(loop, draft("three", service="v3"))


async def a_tenth_first(loop: Loop) -> None:
    await deployed(loop, draft("two", service="v2"), percent=10.0)


@dataclass(frozen=True)
class Story:
    script: Script
    may_end_at: frozenset[int]


STORIES = {
    "forward": Story(second_release, frozenset({1, 2})),
    "back while it bakes": Story(back_while_it_bakes, frozenset({1, 2})),
    "back after the bake": Story(back_after_the_bake, frozenset({1, 2})),
    "back while it starts": Story(back_while_it_starts, frozenset({1, 2})),
    "nobody confirms": Story(nobody_confirms, frozenset({1})),
    "superseded": Story(a_third_while_the_second_bakes, frozenset({1, 2, 3})),
    "a tenth first": Story(a_tenth_first, frozenset({1, 2})),
}


def told(story: Story, gates: Gates) -> tuple[Simulation, BaseException | None]:
    sim = Simulation()
    assert sim.live(first_release) is None
    return sim, sim.live(story.script, gates)


def gates_of(story: Story) -> int:
    gates = Gates()
    _, error = told(story, gates)
    assert error is None
    return gates.passed


def assert_at_rest(sim: Simulation, story: Story, where: str) -> None:
    assert sim.loop is not None
    state = sim.loop.state
    assert state.deployment is None, f"{where}: {state.deployment}"
    assert sim.system.candidate is None, where
    assert sim.system.base == state.live, where
    assert sim.system.base in story.may_end_at | {1}, where
    assert sim.system.violations == [], where
    assert state.served == state.accepted, where


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_gate_ends_at_a_rest_point(name: str) -> None:
    story = STORIES[name]
    for n in range(1, gates_of(story) + 1):
        gates = Gates(crash_at=n)
        sim, error = told(story, gates)
        assert error is not None
        assert sim.live(at_rest) is None, f"{name}: does not recover from a crash at {n} {gates.log[n - 1]}"
        assert_at_rest(sim, story, f"{name}: crash at {n} {gates.log[n - 1]}")


@pytest.mark.parametrize("name", ["forward", "back while it bakes", "nobody confirms"])
def test_a_second_crash_while_recovering_changes_nothing(name: str) -> None:
    story = STORIES[name]
    for n in range(1, gates_of(story) + 1, 5):
        for again in range(1, 12):
            sim, _ = told(story, Gates(crash_at=n))
            sim.live(at_rest, Gates(crash_at=again))
            assert sim.live(at_rest) is None
            assert_at_rest(sim, story, f"{name}: crashes at {n} and {again}")


def test_a_rollback_that_was_decided_is_finished_after_a_crash() -> None:
    """Once the request is in the journal the system never ends at the release that was left."""
    story = STORIES["back while it bakes"]
    for n in range(1, gates_of(story) + 1):
        gates = Gates(crash_at=n)
        sim, _ = told(story, gates)
        decided = any("Requested,Planned" in line and line.startswith("after Superseded") for line in gates.log) or any(
            line.startswith("after Judged,Superseded") for line in gates.log
        )
        assert sim.live(at_rest) is None
        if decided:
            assert sim.system.base == 1, gates.log[n - 1]


@pytest.mark.parametrize("name", ["forward", "a tenth first", "superseded"])
def test_any_effect_of_a_way_forward_may_fail_and_the_system_goes_back(name: str) -> None:
    story = STORIES[name]
    counted = Gates()
    told(story, counted)
    for nth in range(1, counted.effects + 1):
        sim, error = told(story, Gates(fail=lambda step, now, nth=nth: "it failed" if now == nth else None))
        assert error is None
        assert_at_rest(sim, story, f"{name}: effect {nth} fails")


def test_an_effect_of_a_way_back_is_tried_again() -> None:
    failed: list[str] = []

    def twice(step: Step, nth: int) -> str | None:
        if step.id == "shift" and step.args["percent"] == 0.0 and len(failed) < 2:
            failed.append(step.id)
            return "the proxies do not answer"
        return None

    sim, error = told(STORIES["back while it bakes"], Gates(fail=twice))
    assert error is None
    assert len(failed) == 2
    assert sim.system.base == 1
    assert_at_rest(sim, STORIES["back while it bakes"], "retried")


def test_a_way_back_that_cannot_succeed_halts_with_choices_and_retry_goes_on() -> None:
    from functools import partial

    from lastgood.operations import steer

    sim, error = told(
        STORIES["back while it bakes"],
        Gates(fail=lambda step, nth: "no answer" if step.args.get("percent") == 0.0 and step.id == "shift" else None),
    )
    assert error is None
    assert sim.loop is not None
    halted = sim.loop.state.deployment
    assert halted is not None
    assert isinstance(halted.halted, Halted)
    assert halted.halted.choices
    assert sim.system.base == 1
    assert sim.system.percent == 100.0, "traffic stays where it is"

    async def retry(loop: Loop) -> None:
        await loop.ask(partial(steer.retry, "test"))
        await at_rest(loop)

    assert sim.live(retry) is None
    assert sim.system.base == 1
    assert sim.system.candidate is None


def test_a_release_that_never_becomes_healthy_gets_no_request() -> None:
    sim = Simulation()
    assert sim.live(first_release) is None
    sim.system.broken.add("v2")
    assert sim.live(second_release) is None
    assert_at_rest(sim, STORIES["nobody confirms"], "never healthy")
    assert sim.loop is not None
    assert sim.loop.state.verdict(2).name == "bad"
    assert sim.system.reverts == [], "no request ever met it, so Git is left alone"


def test_a_release_the_proxies_refuse_is_bad_and_held() -> None:
    sim = Simulation()
    assert sim.live(first_release) is None
    sim.system.refused.add(2)

    async def refused(loop: Loop) -> None:
        await deployed(loop, draft("two"))
        with pytest.raises(Exception, match="held"):
            await do_deploy(loop, draft("two"))

    assert sim.live(refused) is None
    assert sim.loop is not None
    verdict = sim.loop.state.verdict(2)
    assert (verdict.name, verdict.basis) == ("bad", "veto")
    assert "bad regex" in verdict.evidence
    assert sim.system.base == 1
    assert sim.system.reverts == []


def test_with_neither_side_healthy_requests_stay_and_a_person_is_asked() -> None:
    sim = Simulation()
    assert sim.live(first_release) is None

    async def both_die(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await asyncio.sleep(5)
        sim.system.broken.add("v1")
        await loop.observe()
        await do_rollback(loop)
        await at_rest(loop)

    assert sim.live(both_die) is None
    assert sim.loop is not None
    halted = sim.loop.state.deployment
    assert halted is not None
    assert halted.halted is not None
    assert "not so within 300 s" in halted.halted.why
    assert halted.halted.choices == ("lastgood retry", "lastgood rollback r2")
    assert (sim.system.candidate, sim.system.percent) == (2, 100.0), "what answers goes on answering"
    assert sim.system.violations == []
