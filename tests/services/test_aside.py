"""A version that is started beside everything: seen to be healthy, ended again, and never one of the instances."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lastgood.config.model import SmokeCheck
from lastgood.effects.instances.aside import KEYS, Aside
from lastgood.effects.instances.launch import Launch
from lastgood.errors import Failed, LastgoodError, Unavailable
from lastgood.process import ProcessSpec
from tests.services.town import ONE, Town


def aside(town: Town, argv: tuple[str, ...] = ("python", "main.py"), patience_s: float = 5.0) -> Aside:
    launch = Launch(argv, town.folder, town.folder, town.health, {}, {}, 1.0, town.smoke)
    return Aside(
        town.processes,
        lambda name, digest, release: launch,
        redact=lambda text: text.replace("hunter2", "[redacted]"),
        patience_s=patience_s,
    )


async def test_it_is_healthy_and_gone_and_no_instance_ever(town: Town) -> None:
    started = asyncio.create_task(aside(town).start("catalog", ONE, 1))
    while not started.done():
        assert await town.services.observe() == []
        await asyncio.sleep(0)
    assert await started >= 0
    (key,) = town.processes.starts
    assert key.startswith(f"{KEYS}catalog.")
    assert await town.processes.list() == ()


async def test_one_that_ends_is_told_with_its_last_words_and_no_secret(town: Town) -> None:
    (town.folder / f"catalog@{ONE[:8]}.log").write_text("cannot log in with hunter2\n")
    with pytest.raises(Failed, match="catalog ended with 1") as failure:
        await aside(town, ("false", "deaf")).start("catalog", ONE, 1)
    assert "cannot log in with [redacted]" in failure.value.what
    assert failure.value.next == "lastgood logs catalog"
    assert await town.processes.list() == ()


async def test_one_that_never_answers_is_given_up_and_ended(town: Town) -> None:
    with pytest.raises(Failed, match="not healthy within"):
        await aside(town, ("python", "deaf"), patience_s=0.2).start("catalog", ONE, 1)
    assert await town.processes.list() == ()


async def test_its_smoke_checks_are_asked_too(town: Town) -> None:
    town.smoke = (SmokeCheck.model_validate({"path": "/", "contains": "goodbye"}),)
    with pytest.raises(Failed, match="does not contain 'goodbye'"):
        await aside(town).start("catalog", ONE, 1)
    assert await town.processes.list() == ()


async def test_who_stops_waiting_leaves_nothing_running(town: Town) -> None:
    started = asyncio.create_task(aside(town, ("python", "deaf"), patience_s=60).start("catalog", ONE, 1))
    async with asyncio.timeout(5):
        while not await town.processes.list():
            await asyncio.sleep(0.005)
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    assert await town.processes.list() == ()


async def test_what_a_killed_controller_left_is_swept_up_and_nothing_else(town: Town) -> None:
    spec = ProcessSpec(f"{KEYS}catalog.20001", ("python", "deaf"), str(town.folder / "x.log"))
    await town.processes.start(spec)
    await town.processes.start(replace(spec, key=f"catalog@{ONE}.20002"))
    await aside(town).sweep()
    assert [state.key for state in await town.processes.list()] == [f"catalog@{ONE}.20002"]
    town.processes.refusals = [Unavailable("no supervisor")]
    await aside(town).sweep()


async def test_what_is_missing_is_said(town: Town) -> None:
    def gone(name: str, digest: str, release: int | None) -> Launch:
        raise Unavailable("the artifact is not on this machine")

    with pytest.raises(LastgoodError, match="not on this machine"):
        await Aside(town.processes, gone).start("catalog", ONE, 1)
