"""The order of steps, forward and back (invariants 5, 6, 7, 9)."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.release.observed import Fact, Observed, holds
from lastgood.release.plan import Plan, Refusal
from lastgood.release.planner import Revert, Wanted, make_plan
from lastgood.release.release import Release
from lastgood.release.step import WAITS
from tests.release.folded import observed, release, with_facts

ONE = release(1, "v1", schemas={"main": "001"}, instances={"catalog": 2})
TWO = release(2, "v2", schemas={"main": "002"}, instances={"catalog": 2})
RELEASES: Mapping[int, Release] = {1: ONE, 2: TWO}
REVERT = Revert("commit-2", "commit-1", "main")


def running(version: str, healthy: int = 2) -> tuple[Fact, Fact]:
    part = "service:catalog"
    return Fact(part, f"wanted:{version}", 2), Fact(part, f"healthy:{version}", healthy, stable=False)


def made(seen: Observed, intent: str, target: Release, source: Release | None, **more: object) -> Plan:
    wanted = Wanted(1, intent, target, source, **more)  # type: ignore[arg-type]
    plan = make_plan(seen, wanted, RELEASES.__getitem__)
    assert isinstance(plan, Plan)
    return plan


def before(plan: Plan, step: str) -> set[str]:
    """Every step that has to have ended before this one starts."""
    found: set[str] = set()
    waiting = [step]
    while waiting:
        needs = plan.step(waiting.pop()).needs
        waiting += needs - found
        found |= needs
    return found


FIRST = with_facts(observed(base=1), *running("v1"), Fact("database:main", "schema", "001"))
BAKING = with_facts(
    observed(base=1, candidate=2, percent=100.0),
    *running("v1"),
    *running("v2"),
    Fact("database:main", "schema", "002"),
)
SETTLED = with_facts(observed(base=2), *running("v2"), Fact("database:main", "schema", "002"))


def test_forward_in_its_order() -> None:
    plan = made(FIRST, "deploy", TWO, ONE, retreat_to=ONE, confirm=True)
    assert "migrate_up:main" in before(plan, "start:catalog")
    assert {"migrate_up:main", "start:catalog", "preflight", "load"} <= before(plan, "shift")
    assert {"shift"} <= before(plan, "bake")
    assert {"bake", "confirm", "converged"} <= before(plan, "settle")
    assert {"bake", "settle"} <= before(plan, "stop:catalog:v1")
    assert not {step.verb for step in plan.steps} & {"migrate_down"}
    assert plan.rest_points == (1, 2)


def test_requests_move_only_to_what_has_enough_capacity() -> None:
    for plan in (
        made(FIRST, "deploy", TWO, ONE, percent=10.0),
        made(BAKING, "rollback", ONE, TWO),
        made(SETTLED, "rollback", ONE, TWO),
    ):
        for step in plan.steps:
            if step.id in ("shift", "full", "serve", "push"):
                [cond] = step.guard
                digest = "v2" if plan.intent == "deploy" else "v1"
                assert (cond.key, cond.op, cond.value) == (f"healthy:{digest}", ">=", 2), step.id


def test_a_share_is_held_before_the_rest() -> None:
    plan = made(FIRST, "deploy", TWO, ONE, percent=10.0, bake_s=30.0)
    assert plan.step("shift").args["percent"] == 10.0
    assert "hold" in before(plan, "full")
    assert plan.step("full").args["percent"] == 100.0
    assert "full" in before(plan, "bake")


def test_a_way_back_never_waits_for_time_or_a_person() -> None:
    for intent in ("rollback", "retreat"):
        for seen in (BAKING, SETTLED, with_facts(SETTLED, Fact("database:main", "schema", "002"))):
            for schema in (False, True):
                wish = {"bake_s": 600.0, "percent": 10.0, "confirm": True, "keep_old_s": {"catalog": 60.0}}
                plan = made(seen, intent, ONE, TWO, revert=REVERT, with_schema=schema, **wish)
                assert not [step.id for step in plan.steps if step.verb in WAITS | {"preflight"}]


def test_back_to_what_is_warm_is_one_shift_first() -> None:
    plan = made(BAKING, "rollback", ONE, TWO, revert=REVERT)
    assert plan.steps[0].id == "shift"
    assert plan.steps[0].needs == frozenset()
    assert plan.steps[0].args == {"base": 1, "candidate": 2, "percent": 0.0}


def test_back_to_what_is_cold_brings_it_up_first() -> None:
    plan = made(SETTLED, "rollback", ONE, TWO)
    start = plan.step("start:catalog")
    assert start.args == {"release": 1, "digest": "v1", "instances": 2}
    assert start.until is not None
    assert start.until.value == 2
    assert "start:catalog" in before(plan, "push")


def test_half_the_capacity_is_not_warm() -> None:
    seen = with_facts(BAKING, Fact("service:catalog", "healthy:v1", 1, stable=False))
    assert made(seen, "rollback", ONE, TWO).step("start:catalog").args["instances"] == 2


def test_git_is_told_after_the_requests_have_moved() -> None:
    for seen in (BAKING, SETTLED):
        plan = made(seen, "rollback", ONE, TWO, revert=REVERT)
        moves = {"shift", "push"} & {step.id for step in plan.steps}
        assert moves <= before(plan, "revert")
        assert plan.step("revert").soft


def test_the_schema_goes_back_last_and_only_when_asked() -> None:
    assert not [step for step in made(BAKING, "rollback", ONE, TWO).steps if step.verb.startswith("migrate")]
    plan = made(BAKING, "rollback", ONE, TWO, with_schema=True)
    down = plan.step("migrate_down:main")
    assert down.args == {"to": "001", "release": 1}
    assert {"shift", "settle", "stop:catalog:v2"} <= before(plan, "migrate_down:main")


BREAKS = release(2, "v2", schemas={"main": "003"}, instances={"catalog": 2}, breaks={"main": {"002": "renames price"}})
AHEAD = (Fact("database:main", "schema", "003"), Fact("database:main", "applied", ["001", "002", "003"]))


def test_what_the_target_cannot_live_with_goes_down_before_its_requests_come_back() -> None:
    for seen in (with_facts(BAKING, *AHEAD), with_facts(SETTLED, *AHEAD)):
        for intent in ("rollback", "retreat"):
            plan = made(seen, intent, ONE, BREAKS, revert=REVERT)
            lower = plan.step("lower:main")
            assert (lower.verb, lower.args, lower.needs) == ("migrate_down", {"to": "001", "release": 1}, frozenset())
            assert lower.shows == "bring the schema of main down to 001: r1 cannot live with 002 (renames price)"
            moves = {"shift", "push", "start:catalog"} & {step.id for step in plan.steps}
            assert moves
            for step in moves:
                assert "lower:main" in before(plan, step)
            assert plan.step("revert").args["lowered"] == {"main": "001"}


def test_the_schema_goes_down_no_further_than_the_target_needs() -> None:
    tolerant = release(2, "v2", schemas={"main": "003"}, instances={"catalog": 2}, breaks={"main": {"003": "drops it"}})
    seen = with_facts(BAKING, *AHEAD)
    assert made(seen, "rollback", ONE, tolerant).step("lower:main").args["to"] == "002", "002 disturbs nobody"
    whole = made(seen, "rollback", ONE, tolerant, with_schema=True)
    assert [step.args["to"] for step in whole.steps if step.verb == "migrate_down"] == ["002", "001"]
    assert {"lower:main", "shift"} <= before(whole, "migrate_down:main"), "the rest is last, as ever"
    once = made(seen, "rollback", ONE, BREAKS, with_schema=True)
    assert [step.id for step in once.steps if step.verb == "migrate_down"] == ["lower:main"]
    kept = made(seen, "rollback", ONE, BREAKS, keep_schema=True)
    assert not [step.id for step in kept.steps if step.verb == "migrate_down"]
    assert not [step.id for step in made(seen, "rollback", ONE, TWO).steps if step.verb == "migrate_down"]
    same = release(3, "v1", schemas={"main": "002"}, instances={"catalog": 2})
    assert not [step for step in made(seen, "rollback", same, BREAKS).steps if step.verb == "migrate_down"]


def test_what_is_half_applied_goes_down_too_and_a_plan_made_anew_still_tells_git() -> None:
    half = (Fact("database:main", "schema", "002"), Fact("database:main", "applied", ["001"]))
    plan = made(with_facts(BAKING, *half), "retreat", ONE, BREAKS, revert=REVERT)
    assert plan.step("lower:main").args["to"] == "001"
    gone = (Fact("database:main", "schema", "001"), Fact("database:main", "applied", ["001"]))
    again = made(with_facts(BAKING, *gone), "retreat", ONE, BREAKS, revert=REVERT, plan_number=2)
    assert not [step for step in again.steps if step.verb == "migrate_down"]
    assert again.step("revert").args["lowered"] == {"main": "001"}


def test_a_part_that_did_not_change_is_not_touched() -> None:
    same = release(3, "v1", schemas={"main": "001"}, instances={"catalog": 2})
    plan = made(FIRST, "deploy", same, ONE)
    assert {step.part for step in plan.steps} == {"gateway"}


def test_a_change_behind_the_same_routes_only_is_no_shift_of_routes() -> None:
    more = Release(2, "shop", "c", {**ONE.parts, "database:main": "x"}, schemas={"main": "002"})
    plan = made(FIRST, "deploy", more, ONE)
    assert "migrate_up:main" in before(plan, "serve")
    assert not [step for step in plan.steps if step.id in ("load", "shift")]


def test_forward_without_sight_of_the_gateway_is_refused_and_back_is_not() -> None:
    blind = with_facts(observed(base=1, unknown=("gateway",)), *running("v1"))
    refusal = make_plan(blind, Wanted(1, "deploy", TWO, ONE), RELEASES.__getitem__)
    assert isinstance(refusal, Refusal)
    assert made(blind, "rollback", ONE, TWO).steps is not None


def test_a_plan_names_what_it_was_made_for() -> None:
    plan = made(FIRST, "deploy", TWO, ONE)
    assert plan.basis == FIRST.basis()
    restarted = with_facts(FIRST, Fact("service:catalog", "healthy:v1", 1, stable=False))
    assert restarted.basis() == FIRST.basis(), "an instance that restarted is not a stable fact"
    assert with_facts(FIRST, Fact("database:main", "schema", "002")).basis() != FIRST.basis()
    assert observed(unknown=("database",)).basis() != observed().basis()


def test_health_seen_before_the_services_went_out_of_sight_is_not_trusted() -> None:
    """Nobody knows whether the old version still lives: it is brought up (that is harmless) before it gets requests."""
    blind = BAKING.unseen("service")
    plan = made(blind, "rollback", ONE, TWO)
    assert "start:catalog" in before(plan, "shift")
    assert blind.value("service:catalog", "wanted:v1") == 2, "what does not change by itself stays known"
    assert not holds(plan.step("start:catalog").until, blind)


def test_a_way_back_that_pushes_counts_what_the_left_release_still_gets() -> None:
    """An acknowledgement alone does not prove it, whether the old routes were loaded still or not."""
    plan = made(SETTLED, "rollback", ONE, TWO)
    proof = plan.step("converged")
    assert (proof.verb, proof.args["release"], proof.soft) == ("silent", 2, True)
    assert "push" in before(plan, "converged")
    assert "converged" in before(plan, "stop:catalog:v2")
    nothing_before = made(with_facts(observed(), *running("v1")), "rollback", ONE, None)
    assert "converged" not in {step.id for step in nothing_before.steps}
