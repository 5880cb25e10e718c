"""Every strategy forward and back, kill -9 at every gate, every effect failing: capacity is kept throughout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from lastgood.operations import steer
from lastgood.operations.deploy import Draft
from lastgood.operations.loop import Loop
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.simulation.scenario import deployed, do_deploy, do_rollback, move, shop

Script = Callable[[Loop], Awaitable[None]]
WAYS: dict[str, dict[str, Any]] = {
    "blue-green": move("blue_green", keep_old_s=120.0),
    "rolling": move("rolling"),
    "rolling in twos": move("rolling", batch=2, surge=2),
    "rolling without room": move("rolling", surge=0, unavailable=1),
    "canary": move("canary", steps=(10.0, 50.0), hold_s=30.0, keep_old_s=120.0),
}
MOST = {"blue-green": 6, "rolling": 4, "rolling in twos": 5, "rolling without room": 3, "canary": 6}
"""Instances of the service there may be at once."""


@dataclass(frozen=True)
class Story:
    """From r1, which is good, by these drafts and this script."""

    script: Script
    may_end_at: frozenset[int] = field(default=frozenset({1, 2}))


def version(way: str, name: str) -> Draft:
    return shop(name, {"catalog": name, "stock": "s1"}, {"catalog": WAYS[way], "stock": WAYS[way]})


def stories(way: str) -> Iterator[tuple[str, Story]]:
    two = version(way, "v2")

    async def forward(loop: Loop) -> None:
        await deployed(loop, two)

    def after(seconds: float) -> Script:
        async def back(loop: Loop) -> None:
            await do_deploy(loop, two)
            await asyncio.sleep(seconds)
            await do_rollback(loop, "r1")
            await at_rest(loop)

        return back

    async def aborted(loop: Loop) -> None:
        await do_deploy(loop, two)
        await asyncio.sleep(0.075)
        if loop.state.deployment is not None:
            await loop.ask(partial(steer.abort, "test", ""))
        await at_rest(loop)

    async def overtaken(loop: Loop) -> None:
        await do_deploy(loop, two)
        await asyncio.sleep(40)
        await deployed(loop, version(way, "v3"))

    yield "forward", Story(forward)
    yield "back while it starts", Story(after(0.015))
    yield "back in the middle", Story(after(0.085))
    yield "back while it is held or bakes", Story(after(20.0))
    yield "back when it is good", Story(after(500.0))
    yield "aborted", Story(aborted)
    yield "overtaken", Story(overtaken, frozenset({1, 2, 3}))


STORIES = {(way, name): story for way in WAYS for name, story in stories(way)}


def told(way: str, story: Story, gates: Gates) -> tuple[Simulation, BaseException | None]:
    sim = Simulation()

    async def first(loop: Loop) -> None:
        await deployed(loop, version(way, "v1"))

    assert sim.live(first) is None
    return sim, sim.live(story.script, gates)


def assert_at_rest(sim: Simulation, way: str, story: Story, where: str) -> None:
    assert sim.loop is not None
    state, system = sim.loop.state, sim.system
    assert state.deployment is None, f"{where}: {state.deployment}"
    assert system.violations == [], where
    assert system.candidate is None, where
    assert system.base == state.live, where
    assert system.base in story.may_end_at, where
    live = sim.pages.releases[system.base or 0]
    assert system.instances == {("catalog", live.parts["service:catalog"]): 3, ("stock", "s1"): 3}, where
    assert system.drained == {}, where


@pytest.mark.parametrize("stride", [pytest.param(5, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("way", "name"), STORIES, ids=str)
def test_a_crash_at_any_gate_ends_at_a_rest_point(way: str, name: str, stride: int) -> None:
    story, whole = STORIES[way, name], Gates()
    sim, error = told(way, story, whole)
    assert error is None
    assert_at_rest(sim, way, story, "no crash")
    if name == "forward":
        assert sim.system.base == 2
    if name.startswith("back"):
        assert sim.system.base == 1
    assert name == "overtaken" or sim.system.most["catalog"] <= MOST[way]
    assert sim.system.most["stock"] == 3, "what did not change is not touched"
    for n in range(1, whole.passed + 1, stride):
        gates = Gates(crash_at=n)
        sim, error = told(way, story, gates)
        assert error is not None
        where = f"{way}, {name}: crash at {n} {gates.log[n - 1]}"
        assert sim.live(at_rest) is None, where
        assert_at_rest(sim, way, story, where)


@pytest.mark.parametrize("way", WAYS)
def test_any_effect_of_a_way_forward_may_fail_and_the_system_goes_back(way: str) -> None:
    story, counted = STORIES[way, "forward"], Gates()
    told(way, story, counted)
    for nth in range(1, counted.effects + 1):
        sim, error = told(way, story, Gates(fail=lambda step, now, nth=nth: "it failed" if now == nth else None))
        assert error is None
        assert sim.loop is not None
        assert sim.loop.state.deployment is None
        assert sim.system.violations == [], f"effect {nth} fails"
        assert sim.system.base == sim.loop.state.live


@pytest.mark.parametrize("way", WAYS)
def test_back_from_every_moment_and_the_capacity_is_kept(way: str) -> None:
    """A rollback a little later each time: it meets every batch and every step, begun or done."""
    met = set()
    for tick in range(40):
        sim = Simulation()

        async def story(loop: Loop, after_s: float = 0.005 + tick * 0.01, sim: Simulation = sim) -> None:
            await deployed(loop, version(way, "v1"))
            await do_deploy(loop, version(way, "v2"))
            await asyncio.sleep(after_s)
            met.add((sim.system.percent, sim.system.instances.get(("catalog", "v2"), 0)))
            await do_rollback(loop, "r1")
            await at_rest(loop)

        assert sim.live(story) is None
        assert sim.system.base == 1
        assert sim.system.violations == [], tick
        assert sim.system.instances == {("catalog", "v1"): 3, ("stock", "s1"): 3}
        assert sim.system.most["catalog"] <= MOST[way]
    assert len(met) >= (3 if way in ("blue-green", "canary") else 5), met
