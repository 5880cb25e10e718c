"""Memory that refers to itself is freed between moves, and never while something moves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from lastgood.interfaces import sweeping
from tests.operations.controller import controlled


class Ring:
    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def ring() -> weakref.ref[Ring]:
    return weakref.ref(Ring())


def test_what_refers_to_itself_is_freed() -> None:
    gc.disable()
    lost = ring()
    assert lost() is not None
    sweeping.sweep_once(fully=False)
    assert lost() is None


def test_what_was_kept_is_looked_through_now_and_then() -> None:
    kept = Ring()
    lost = weakref.ref(kept)
    sweeping.sweep_once(fully=False)
    del kept
    sweeping.sweep_once(fully=False)
    assert lost() is not None
    sweeping.sweep_once(fully=True)
    assert lost() is None


async def test_the_interpreter_sweeps_no_more_while_a_controller_runs() -> None:
    async with controlled() as shop:
        task = asyncio.create_task(sweeping.sweep(shop.loop))
        await asyncio.sleep(0)
        assert not gc.isenabled()
        task.cancel()
        await asyncio.wait([task])
        assert gc.isenabled()
