"""What every driver of a database keeps; run each clause of ``CLAUSES`` with a new world.

A world is an empty database behind a ``Driver`` for ``database:main``, whose step ``release`` has two migrations:
``1`` makes a table ``a (x)`` and ``2`` makes a table ``b (x)``; both have a way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lastgood.errors import Refused
from lastgood.ports import Driver
from lastgood.release.step import Step

PART = "database:main"


@dataclass(frozen=True)
class DatabaseWorld:
    """The port; a hand that puts a row into a table; and one that says which of ``a`` and ``b`` are there."""

    driver: Driver
    put_row: Callable[[str], None]
    tables: Callable[[], set[str]]


def _step(verb: str, to: str, **more: Any) -> Step:
    return Step("s1", PART, verb, {"to": to, "release": 12, **more})


async def _seen(world: DatabaseWorld) -> dict[str, Any]:
    return {fact.key: fact.value for fact in await world.driver.observe() if fact.part == PART and fact.stable}


async def it_goes_up_to_a_version_and_no_further(world: DatabaseWorld) -> None:
    """And says so as a stable fact."""
    assert await _seen(world) == {"schema": "", "applied": []}
    await world.driver.perform(_step("migrate_up", "1"), "k1")
    assert (await _seen(world), world.tables()) == ({"schema": "1", "applied": ["1"]}, {"a"})
    await world.driver.perform(_step("migrate_up", "2"), "k2")
    assert (await _seen(world), world.tables()) == ({"schema": "2", "applied": ["1", "2"]}, {"a", "b"})


async def the_same_key_again_is_harmless(world: DatabaseWorld) -> None:
    """Up and down alike."""
    for _ in range(2):
        await world.driver.perform(_step("migrate_up", "2"), "k1")
    for _ in range(2):
        await world.driver.perform(_step("migrate_down", "1"), "k2")
    assert (await _seen(world), world.tables()) == ({"schema": "1", "applied": ["1"]}, {"a"})


async def a_schema_that_is_ahead_stays_ahead_on_the_way_up(world: DatabaseWorld) -> None:
    """An expansion is not taken back by going up to an older version."""
    await world.driver.perform(_step("migrate_up", "2"), "k1")
    await world.driver.perform(_step("migrate_up", "1"), "k2")
    assert world.tables() == {"a", "b"}


async def it_goes_back_to_nothing(world: DatabaseWorld) -> None:
    """An empty version undoes everything."""
    await world.driver.perform(_step("migrate_up", "2"), "k1")
    await world.driver.perform(_step("migrate_down", ""), "k2")
    assert (await _seen(world), world.tables()) == ({"schema": "", "applied": []}, set())


async def rows_go_only_when_told(world: DatabaseWorld) -> None:
    """A refusal leaves everything, whatever else would have gone with it."""
    await world.driver.perform(_step("migrate_up", "2"), "k1")
    world.put_row("a")
    said = ""
    try:
        await world.driver.perform(_step("migrate_down", ""), "k2")
    except Refused as refusal:
        said = refusal.what
    assert "1 rows of" in said, "a row was dropped without a word"
    assert world.tables() == {"a", "b"}
    await world.driver.perform(_step("migrate_down", "", accept_loss=True), "k3")
    assert world.tables() == set()


CLAUSES = (
    it_goes_up_to_a_version_and_no_further,
    the_same_key_again_is_harmless,
    a_schema_that_is_ahead_stays_ahead_on_the_way_up,
    it_goes_back_to_nothing,
    rows_go_only_when_told,
)
