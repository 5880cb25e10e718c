"""A schema that the release before cannot live with: down before its requests come back, whatever dies meanwhile."""

from __future__ import annotations

import asyncio

from lastgood.operations.loop import Loop
from lastgood.release.step import Step
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft

RENAMES = {"002": "renames price"}


async def first(loop: Loop) -> None:
    await deployed(loop, draft("one", service="v1", schema="001"))


async def back_while_it_bakes(loop: Loop) -> None:
    await do_deploy(loop, draft("two", service="v2", schema="002", breaks=RENAMES))
    await asyncio.sleep(5)
    await do_rollback(loop)
    await at_rest(loop)


async def back_to_what_is_cold(loop: Loop) -> None:
    await deployed(loop, draft("two", service="v2", schema="002", breaks=RENAMES))
    await do_rollback(loop, "previous")
    await at_rest(loop)


def told(gates: Gates, story: object = back_while_it_bakes) -> tuple[Simulation, BaseException | None]:
    sim = Simulation()
    assert sim.live(first) is None
    return sim, sim.live(story, gates)  # type: ignore[arg-type]


def test_a_crash_at_any_gate_sends_no_request_to_code_on_a_schema_that_breaks_it() -> None:
    for story in (back_while_it_bakes, back_to_what_is_cold):
        counted = Gates()
        sim, error = told(counted, story)
        assert error is None
        assert (sim.system.base, sim.system.schema, sim.system.violations) == (1, {"main": "001"}, [])
        for n in range(1, counted.passed + 1):
            gates = Gates(crash_at=n)
            sim, _ = told(gates, story)
            assert sim.live(at_rest) is None
            where = f"{story.__name__}: crash at {n} {gates.log[n - 1]}"
            assert sim.system.violations == [], where
            assert sim.system.schema == {"main": "001" if sim.system.base == 1 else "002"}, where


def test_a_release_that_never_serves_takes_its_schema_along() -> None:
    sim = Simulation()
    assert sim.live(first) is None
    sim.system.broken.add("v2")

    async def fails(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="002", breaks=RENAMES))

    assert sim.live(fails) is None
    assert (sim.system.base, sim.system.schema, sim.system.violations) == (1, {"main": "001"}, [])


def test_a_schema_that_cannot_go_down_leaves_the_requests_where_they_are_and_names_the_choices() -> None:
    def no_way_down(step: Step, nth: int) -> str | None:
        return "2 values of goods.cost would be lost" if step.verb == "migrate_down" else None

    sim, error = told(Gates(fail=no_way_down))
    assert error is None
    assert sim.loop is not None
    deployment = sim.loop.state.deployment
    assert deployment is not None
    assert deployment.halted is not None
    assert "2 values of goods.cost would be lost" in deployment.halted.why
    assert deployment.halted.choices == (
        "lastgood retry",
        "lastgood rollback r2",
        "lastgood rollback r1 --accept-loss",
        "lastgood rollback r1 --keep-schema",
    )
    assert (sim.system.candidate, sim.system.percent, sim.system.schema) == (2, 100.0, {"main": "002"})

    async def keep(loop: Loop) -> None:
        await do_rollback(loop, "r1", keep_schema=True)
        await at_rest(loop)

    assert sim.live(keep) is None
    assert (sim.system.base, sim.system.schema) == (1, {"main": "002"}), "a person has chosen so"


def test_a_later_release_knows_what_an_earlier_one_was_found_to_break() -> None:
    sim = Simulation()
    assert sim.live(first) is None

    async def third(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="002", breaks=RENAMES))
        await deployed(loop, draft("three", service="v3", schema="002"))
        await do_rollback(loop, "r1")
        await at_rest(loop)

    assert sim.live(third) is None
    assert (sim.system.base, sim.system.schema, sim.system.violations) == (1, {"main": "001"}, [])
