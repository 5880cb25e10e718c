"""What the tests of the invariants share: a system on its first release, and what is asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from lastgood.operations import steer
from lastgood.operations.loop import Loop
from lastgood.release.events import Event
from lastgood.release.state import State
from lastgood.testing.simulation import Gates, Simulation
from tests.simulation.scenario import deployed, draft

Script = Callable[[Loop], Awaitable[None]]


def defect(why: str) -> pytest.MarkDecorator:
    """A test of something that is known to be broken; the mark goes when it is mended."""
    return pytest.mark.xfail(strict=True, reason=why)


def on_first(service: str = "v1", schema: str | None = None) -> Simulation:
    """A system on which r1 is live and good."""
    sim = Simulation()

    async def first(loop: Loop) -> None:
        await deployed(loop, draft("one", service=service, schema=schema))

    played(sim, first)
    return sim


def played(sim: Simulation, script: Script, gates: Gates | None = None) -> State:
    """The state after one controller carried the script out; what ended it is raised."""
    error = sim.live(script, gates)
    if error is not None:
        raise error
    return state_of(sim)


def state_of(sim: Simulation) -> State:
    """What the newest controller knows."""
    assert sim.loop is not None
    return sim.loop.state


def events_of(sim: Simulation, kind: type[Any]) -> list[Event]:
    """The journal's events of one kind."""
    return [event for event in sim.pages.events if isinstance(event.body, kind)]


async def marked(loop: Loop, release: int, verdict: Any) -> None:
    """A person's verdict."""
    await loop.ask(partial(steer.mark, release, verdict, "test", ""))


async def aborted(loop: Loop) -> None:
    """A person's abort."""
    await loop.ask(partial(steer.abort, "test", "no"))


async def retried(loop: Loop) -> None:
    """A person's retry."""
    await loop.ask(partial(steer.retry, "test"))


async def until(loop: Loop, reached: Callable[[State], bool], limit_s: float = 3600.0) -> None:
    """Let virtual time pass in small pieces until a state is reached."""
    waited_s = 0.0
    while not reached(loop.state):
        assert waited_s < limit_s, "never reached"
        await asyncio.sleep(0.005)
        waited_s += 0.005


def has_started(state: State, step: str) -> bool:
    """Whether a step of the active deployment is under way or over."""
    return state.deployment is not None and step in state.deployment.progress


def is_waiting(state: State, step: str) -> bool:
    """Whether a wait of the active deployment is under way."""
    deployment = state.deployment
    return deployment is not None and step in deployment.progress and deployment.progress[step].phase == "started"
