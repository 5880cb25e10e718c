"""Invariants 1, 6, 7, 10: deployments and ways back that meet each other, and what each of them leaves behind."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.errors import Conflict, Refused
from lastgood.operations import steer
from lastgood.operations.loop import Loop
from lastgood.ports import Stamp
from lastgood.release.release import Release
from lastgood.testing.simulation import Gates, Simulation, at_rest
from tests.invariants.scenes import (
    aborted,
    has_started,
    is_waiting,
    marked,
    on_first,
    played,
    retried,
    until,
)
from tests.simulation.scenario import deployed, do_deploy, do_rollback, draft


def test_a_rollback_while_another_goes_back_to_the_same_place_is_a_conflict() -> None:
    sim = on_first()
    sim.system.seconds_per_effect = 1.0

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        await do_rollback(loop)
        with pytest.raises(Conflict):
            await do_rollback(loop)
        await at_rest(loop)

    assert played(sim, script).live == 1


def test_a_rollback_during_a_rollback_goes_further_back() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        await deployed(loop, draft("three", service="v3"))
        sim.system.seconds_per_effect = 1.0
        await do_rollback(loop)
        await asyncio.sleep(0.5)
        await do_rollback(loop, "r1")
        await at_rest(loop)

    state = played(sim, script)
    assert (state.live, sim.system.base, sim.system.candidate) == (1, 1, None)
    assert sim.system.instances == {("catalog", "v1"): 2}
    assert sim.system.violations == []
    assert (state.verdict(3).name, state.verdict(2).name) == ("bad", "good")


def test_a_deployment_over_one_that_bakes_leaves_it_undecided_and_its_failure_goes_to_the_known_good() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await asyncio.sleep(1)
        await do_deploy(loop, draft("three", service="v3"))
        await until(loop, lambda state: is_waiting(state, "bake") and state.active == 3)
        await marked(loop, 3, "bad")
        await at_rest(loop)

    state = played(sim, script)
    assert (state.live, sim.system.base) == (1, 1)
    assert (state.verdict(2).name, state.verdict(3).name) == ("undecided", "bad")
    assert sim.system.violations == []


def test_a_failure_over_a_hold_never_moves_more_requests_to_what_was_held() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"), percent=10.0)
        await until(loop, lambda state: is_waiting(state, "hold"))
        sim.system.broken.add("v3")
        await deployed(loop, draft("three", service="v3"))

    played(sim, script)
    assert (sim.system.base, sim.system.candidate) != (2, None), "r2 was never judged"


def test_promote_ends_the_hold_of_the_traffic_and_not_the_keeping_of_the_old() -> None:
    sim = on_first()
    kept = draft("two", service="v2")
    kept = type(kept)(**{**vars(kept), "keep_old_s": {"catalog": 1800.0}})

    async def script(loop: Loop) -> None:
        await do_deploy(loop, kept, percent=10.0)
        await until(loop, lambda state: is_waiting(state, "hold"))
        await loop.ask(partial(steer.promote, "test"))
        await until(loop, lambda state: has_started(state, "settle"))
        await asyncio.sleep(60)
        assert ("catalog", "v1") in sim.system.instances
        await asyncio.sleep(1800)

    played(sim, script)
    assert ("catalog", "v1") not in sim.system.instances


def test_a_rollback_to_a_release_with_a_newer_schema_brings_the_schema_up_first() -> None:
    sim = on_first(schema="001")

    async def back(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="002"))
        await do_rollback(loop, "r1", with_schema=True)
        await at_rest(loop)
        assert sim.system.schema == {"main": "001"}
        await do_rollback(loop, "r2")
        await at_rest(loop)

    played(sim, back)
    assert sim.system.violations == []
    assert sim.system.schema == {"main": "002"}


def test_an_expansion_stays_when_the_release_goes_back() -> None:
    sim = on_first(schema="001")

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="002"))
        await do_rollback(loop)
        await at_rest(loop)

    played(sim, script)
    assert sim.system.schema == {"main": "002"}


def test_a_schema_version_with_more_digits_is_newer() -> None:
    sim = on_first(schema="9")

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2", schema="10"))

    played(sim, script)
    assert sim.system.schema == {"main": "10"}


def test_a_rollback_to_a_release_that_never_served_is_refused() -> None:
    sim = on_first()
    sim.system.refused.add(2)

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two"))
        await do_rollback(loop, "r2")

    with pytest.raises(Refused):
        played(sim, script)


def test_a_release_that_never_got_a_request_is_not_called_live() -> None:
    from lastgood.release.ledger import live_now

    sim = on_first()
    sim.system.broken.add("v2")
    sim.system.seconds_per_effect = 1.0
    seen: set[int | None] = set()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        while loop.state.deployment is not None:
            seen.add(live_now(loop.state))
            await asyncio.sleep(0.25)

    played(sim, script)
    assert seen == {1}


def test_marking_an_earlier_release_bad_holds_what_it_changed() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        await deployed(loop, draft("three", service="v2"))
        await marked(loop, 2, "bad")

    state = played(sim, script)
    assert state.quarantine == {2: {"service:catalog": "v2", "gateway": "gateway-two"}}


def test_a_dead_mans_switch_that_was_asked_for_is_there_or_refused() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        try:
            await do_deploy(loop, draft("one", service="v1"), confirm_within_s=10.0)
        except Refused:
            return
        assert loop.state.deployment is not None
        assert loop.state.deployment.armed

    played(sim, script)


def test_a_rollback_just_after_an_automatic_one_does_not_leave_the_good_release() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        await do_deploy(loop, draft("three", service="v3"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 3, "bad")
        await at_rest(loop)
        try:
            await do_rollback(loop)
        except (Refused, Conflict):
            return
        await at_rest(loop)

    assert played(sim, script).live == 2


def test_after_an_abort_a_rollback_to_the_same_place_is_a_conflict_and_the_end_is_the_same() -> None:
    sim = on_first()
    sim.system.seconds_per_effect = 1.0

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await asyncio.sleep(5)
        await aborted(loop)
        await until(loop, lambda state: state.deployment is not None and state.deployment.intent == "retreat")
        with pytest.raises(Conflict):
            await do_rollback(loop)
        await at_rest(loop)

    state = played(sim, script)
    assert (state.live, sim.system.base) == (1, 1)
    assert state.verdict(2).name == "undecided"


def test_marking_a_baking_release_bad_takes_it_back_and_holds_it() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 2, "bad")
        await at_rest(loop)
        with pytest.raises(Refused, match="held"):
            await do_deploy(loop, draft("two", service="v2"))
        await deployed(loop, draft("two", service="v2"), force=True, why="I know")

    state = played(sim, script)
    assert state.live == 3
    assert sim.system.reverts == [("commit-two", "commit-one")]
    assert not state.quarantine


def test_the_first_request_after_a_crash_is_decided_on_what_is_there() -> None:
    sim = on_first()

    async def bakes(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await asyncio.sleep(1)

    async def back(loop: Loop) -> None:
        await do_rollback(loop)
        plan = loop.state.deployments[3].plan
        assert plan is not None
        assert [step.id for step in plan.steps][:3] == ["shift", "converged", "settle"]
        await at_rest(loop)

    played(sim, bakes)
    assert played(sim, back).live == 1
    assert sim.system.instances == {("catalog", "v1"): 2}


def test_who_starts_has_looked_at_every_part_before_anybody_asks() -> None:
    sim = on_first()

    async def nothing(loop: Loop) -> None:
        await at_rest(loop)
        assert loop.observed.value("gateway", "base") == 1
        assert loop.observed.value("service:catalog", "healthy:v1") == 2

    played(sim, nothing)


def test_content_that_was_good_goes_live_without_bake_and_inherits_its_verdict() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        answer = await do_deploy(loop, draft("one", service="v1"))
        assert answer["same_as"] == 1
        plan = loop.state.deployments[3].plan
        assert plan is not None
        assert plan.goes_back
        await at_rest(loop)

    state = played(sim, script)
    assert state.live == 3
    assert (state.verdict(3).name, state.verdict(3).basis) == ("good", "inherited")


def test_content_that_is_live_is_nothing_to_do() -> None:
    sim = on_first()
    before = len(sim.pages.events)

    async def script(loop: Loop) -> None:
        assert (await do_deploy(loop, draft("one", service="v1")))["nothing_to_do"]

    played(sim, script)
    assert len(sim.pages.events) == before + 1


def test_a_rollback_while_instances_start_leaves_none_of_them_behind() -> None:
    sim = on_first()

    def starts_at_once(step: object, nth: int) -> None:
        """What a supervisor does: it has the order, whether or not somebody waits for its answer."""
        if getattr(step, "id", "") == "start:catalog" and step.args["digest"] == "v2":  # type: ignore[attr-defined]
            sim.system.instances[("catalog", "v2")] = 2

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"))
        await asyncio.sleep(0.005)
        await do_rollback(loop, "previous")
        await at_rest(loop)

    played(sim, script, Gates(fail=starts_at_once))
    assert sim.system.instances == {("catalog", "v1"): 2}


def test_an_effect_of_a_way_back_that_hangs_is_tried_again_or_halts() -> None:
    sim = on_first()

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("two", service="v2"))
        sim.system.seconds_per_effect = 100_000.0
        await do_rollback(loop)
        await asyncio.sleep(3600)
        deployment = loop.state.deployment
        assert deployment is not None
        assert deployment.halted is not None

    played(sim, script)


def test_a_release_record_that_was_stored_and_never_released_does_not_block_the_next(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.take_over("me", Stamp(0.0, "boot", 0.0), is_alive=False)
    journal.put_release(Release(1, "shop", "a", {"gateway": "a"}), {"route:a": "x"})
    journal.put_release(Release(1, "shop", "b", {"gateway": "b"}), {"route:b": "y"})
    assert journal.release(1).revision == "b"
    assert journal.entries(1) == {"route:b": "y"}


@pytest.mark.parametrize("early", [True, False], ids=["while it starts", "while it has a tenth"])
def test_a_revert_of_what_is_not_live_yet_takes_it_back(early: bool) -> None:
    """The content of what is live, while something else is on its way: that is a way back, not nothing to do."""
    sim = on_first()
    sim.system.seconds_per_effect = 1.0

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("two", service="v2"), percent=10.0)
        await (asyncio.sleep(0.5) if early else until(loop, lambda state: is_waiting(state, "hold")))
        await do_deploy(loop, draft("one", service="v1"), automatic=True)
        await at_rest(loop)

    played(sim, script)
    assert sim.system.base is not None
    assert sim.pages.releases[sim.system.base].parts["gateway"] == "gateway-one"
    assert sim.system.candidate is None


def test_a_first_release_that_never_worked_leaves_no_instances_behind() -> None:
    sim = Simulation()
    sim.system.broken.add("v1")

    async def script(loop: Loop) -> None:
        await deployed(loop, draft("one", service="v1"))

    state = played(sim, script)
    assert (state.live, state.active) == (None, None)
    assert sim.system.instances == {}


def test_a_first_release_that_still_starts_can_be_aborted() -> None:
    sim = Simulation()
    sim.system.broken.add("v1")

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"))
        await asyncio.sleep(1)
        await aborted(loop)
        await asyncio.sleep(1)
        assert loop.state.active is None

    played(sim, script)


def test_a_release_that_was_tried_once_more_and_is_good_is_not_held() -> None:
    sim = Simulation()

    async def script(loop: Loop) -> None:
        await do_deploy(loop, draft("one", service="v1"))
        await until(loop, lambda state: is_waiting(state, "bake"))
        await marked(loop, 1, "bad")
        await until(loop, lambda state: state.deployment is not None and state.deployment.halted is not None)
        await retried(loop)
        await at_rest(loop)

    state = played(sim, script)
    assert state.verdict(1).name == "good"
    assert dict(state.quarantine) == {}
