"""Several services in one plan: their order, their hooks, what is left alone, and what stays warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.release.moves import HOOKS, Move, write_move
from lastgood.release.observed import Fact, Observed
from lastgood.release.plan import Plan
from lastgood.release.planner import Wanted, make_plan
from lastgood.release.release import Release
from lastgood.release.step import Step
from tests.release.folded import observed, with_facts


def release(number: int, versions: Mapping[str, str], *, gateway: str = "g", size: int = 2, **moves: Move) -> Release:
    parts = {"gateway": gateway, **{f"service:{name}": made for name, made in versions.items()}}
    written = {name: write_move(moves.get(name, Move(keep_old_s=100.0))) for name in versions}
    return Release(number, "shop", f"c{number}", parts, instances=dict.fromkeys(versions, size), moves=written)


def running(**counts: tuple[str, int, int]) -> list[Fact]:
    """``name=(version, wanted, healthy)``."""
    found = []
    for name, (version, wanted, healthy) in counts.items():
        found.append(Fact(f"service:{name}", f"wanted:{version}", wanted))
        found.append(Fact(f"service:{name}", f"healthy:{version}", healthy, stable=False))
    return found


def planned(seen: Observed, intent: Any, target: Release, source: Release, *others: Release, **more: Any) -> Plan:
    known = {each.number: each for each in (target, source, *others)}
    plan = make_plan(seen, Wanted(1, intent, target, source, **more), known.__getitem__)
    assert isinstance(plan, Plan)
    return plan


def before(plan: Plan, step: str) -> set[str]:
    found: set[str] = set()
    waiting = [step]
    while waiting:
        needs = plan.step(waiting.pop()).needs
        waiting += needs - found
        found |= needs
    return found


def of_service(plan: Plan, name: str) -> list[Step]:
    return [step for step in plan.steps if step.part == f"service:{name}"]


BOTH_ONE = {"catalog": "c1", "stock": "s1"}
LIVE = with_facts(observed(base=1), *running(catalog=("c1", 2, 2), stock=("s1", 2, 2)))


def test_who_is_depended_on_starts_first_and_ends_last() -> None:
    needing = Move(keep_old_s=100.0, depends_on=("stock",))
    one = release(1, BOTH_ONE, catalog=needing)
    two = release(2, {"catalog": "c2", "stock": "s2"}, catalog=needing)
    plan = planned(LIVE, "deploy", two, one)
    assert "start:stock" in before(plan, "start:catalog")
    assert {"drain:catalog:c1", "stop:catalog:c1"} <= before(plan, "drain:stock:s1")
    assert "start:catalog" not in before(plan, "start:stock")


def test_a_chain_is_kept_where_its_middle_did_not_change() -> None:
    moves = {"a": Move(depends_on=("b",)), "b": Move(depends_on=("c",)), "c": Move()}
    one = release(1, {"a": "a1", "b": "b1", "c": "c1"}, **moves)
    two = release(2, {"a": "a2", "b": "b1", "c": "c2"}, **moves)
    seen = with_facts(observed(base=1), *running(a=("a1", 2, 2), b=("b1", 2, 2), c=("c1", 2, 2)))
    plan = planned(seen, "deploy", two, one)
    assert "start:c" in before(plan, "start:a")
    assert not of_service(plan, "b")


def test_what_did_not_change_is_not_waited_for() -> None:
    """One of its instances restarts just now: the way back of the other service goes on without it."""
    one, two = release(1, BOTH_ONE), release(2, {**BOTH_ONE, "catalog": "c2"})
    seen = with_facts(
        observed(base=1, candidate=2, percent=100.0),
        *running(catalog=("c1", 2, 2), stock=("s1", 2, 1)),
        *running(catalog=("c2", 2, 2)),
    )
    plan = planned(seen, "rollback", one, two)
    assert plan.steps[0].id == "shift"
    assert [cond.part for cond in plan.steps[0].guard] == ["service:catalog"]
    assert not of_service(plan, "stock")


def test_what_is_missing_of_it_is_started_and_nothing_waits_for_that() -> None:
    one, two = release(1, BOTH_ONE), release(2, {**BOTH_ONE, "catalog": "c2"})
    seen = with_facts(
        observed(base=1, candidate=2, percent=100.0),
        *running(catalog=("c1", 2, 2), stock=("s1", 1, 1)),
        *running(catalog=("c2", 2, 2)),
    )
    plan = planned(seen, "rollback", one, two)
    [start] = of_service(plan, "stock")
    assert start.soft
    assert not [step.id for step in plan.steps if start.id in step.needs]


def test_more_instances_of_the_same_version_are_a_change_and_fewer_are_taken_away() -> None:
    one, more, fewer = (release(n, BOTH_ONE, size=size) for n, size in ((1, 2), (2, 3), (3, 1)))
    grown = planned(LIVE, "deploy", more, one)
    assert [(step.verb, step.args.get("instances")) for step in of_service(grown, "catalog")] == [("start", 3)]
    assert "start:catalog" in before(grown, "serve")
    shrunk = planned(LIVE, "deploy", fewer, one)
    assert [(step.verb, step.args["keep"]) for step in of_service(shrunk, "catalog")] == [("drain", 1), ("stop", 1)]
    assert "serve" in before(shrunk, "drain:catalog:c1:1")


def test_hooks_stand_where_they_belong() -> None:
    hooks = dict.fromkeys(HOOKS, 5.0)
    one = release(1, BOTH_ONE, catalog=Move(hooks=hooks))
    move = Move("canary", keep_old_s=9.0, steps=(10.0,), hold_s=60.0, hooks=hooks)
    two = release(2, {**BOTH_ONE, "catalog": "c2"}, catalog=move)
    plan = planned(LIVE, "deploy", two, one)
    assert "before:catalog" in before(plan, "start:catalog")
    assert "ask-shift:catalog" in before(plan, "shift")
    assert {"ask-full:catalog", "hold"} <= before(plan, "full")
    assert "hold" not in before(plan, "watch-hold:catalog"), "it is asked while it holds"
    assert plan.step("watch-bake:catalog").args["while"] == "bake"
    assert "bake" in before(plan, "after:catalog")
    assert not {"settle", "keep:catalog:c1"} & before(plan, "after:catalog"), "nor while the old one is warm"
    assert not [step for step in plan.steps if step.args.get("hook") == "undo"]
    seen = with_facts(
        observed(base=1, candidate=2, percent=10.0),
        *running(catalog=("c1", 2, 2), stock=("s1", 2, 2)),
        *running(catalog=("c2", 1, 1)),
    )
    back = planned(seen, "rollback", one, two)
    asked = [(step.args["hook"], step.args["release"]) for step in back.steps if step.part.startswith("hook:")]
    assert asked == [("undo", 2)]
    assert not [step.id for step in back.steps if "undo:catalog" in step.needs], "nothing waits for it"


def test_a_version_stays_warm_from_the_shift_on_and_both_routes_with_it() -> None:
    one, two = release(1, BOTH_ONE), release(2, {**BOTH_ONE, "catalog": "c2"})
    plan = planned(LIVE, "deploy", two, one)
    assert plan.step("keep:catalog:c1").needs == frozenset({"shift"})
    assert "keep:catalog:c1" in before(plan, "settle"), "the way back stays one shift"
    listed = [step.id for step in plan.steps]
    assert listed.index("keep:catalog:c1") < listed.index("settle"), "a person reads them as they come"
    changed = release(2, {**BOTH_ONE, "catalog": "c2"}, gateway="other")
    plan = planned(LIVE, "deploy", changed, one)
    assert "keep:catalog:c1" not in before(plan, "settle"), "ports and TLS must not wait for it"
    assert "keep:catalog:c1" in before(plan, "stop:catalog:c1")


def test_what_a_bad_verdict_leads_to_stays_warm_and_what_is_older_goes() -> None:
    zero, one = release(5, {"catalog": "c0", "stock": "s1"}), release(1, BOTH_ONE)
    two = release(2, {**BOTH_ONE, "catalog": "c2"})
    seen = with_facts(LIVE, *running(catalog=("c0", 2, 2)), *running(catalog=("cold", 2, 2)))
    plan = planned(seen, "deploy", two, one, zero, warm=(5,))
    kept = {step.args["digest"] for step in plan.steps if step.verb == "keep"}
    assert kept == {"c0", "c1"}
    assert {step.args["digest"] for step in plan.steps if step.verb == "stop"} == {"c0", "c1", "cold"}


def test_a_rolling_update_that_is_overtaken_first_brings_the_old_version_back_to_capacity() -> None:
    """r3 is deployed while r2 has half of the requests: all of them are r1's as soon as r3 is loaded beside it."""
    roll = Move("rolling")
    one, two, three = (release(n, {**BOTH_ONE, "catalog": f"c{n}"}, catalog=roll) for n in (1, 2, 3))
    seen = with_facts(
        observed(base=1, candidate=2, percent=50.0),
        *running(catalog=("c1", 1, 1), stock=("s1", 2, 2)),
        *running(catalog=("c2", 1, 1)),
    )
    plan = planned(seen, "deploy", three, one, two)
    load = plan.step("load")
    assert (load.args["base"], load.args["candidate"]) == (1, 3)
    assert [(cond.key, cond.value) for cond in load.guard] == [("healthy:c1", 2)]
    [rescue] = [
        step for step in of_service(plan, "catalog") if step.args.get("digest") == "c1" and step.verb == "start"
    ]
    assert rescue.id in before(plan, "load")


def test_ids_are_never_given_twice() -> None:
    for kind, more in (
        ("rolling", {}),
        ("rolling", {"surge": 0, "unavailable": 1}),
        ("canary", {"steps": (5.0, 50.0)}),
    ):
        move = Move(kind, **more)  # type: ignore[arg-type]
        one, two = (
            release(1, BOTH_ONE, size=5, catalog=move),
            release(2, {**BOTH_ONE, "catalog": "c2"}, size=5, catalog=move),
        )
        for old, new, percent in ((5, 0, 0.0), (3, 2, 40.0), (0, 5, 100.0), (4, 2, 33.3333)):
            seen = with_facts(
                observed(base=1, candidate=2, percent=percent),
                *running(catalog=("c1", old, old), stock=("s1", 5, 5)),
                *running(catalog=("c2", new, new)),
            )
            for intent, target, source in (("deploy", two, one), ("rollback", one, two)):
                steps = planned(seen, intent, target, source).steps
                assert len({step.id for step in steps}) == len(steps), (kind, intent, percent)
                known: set[str] = set()
                for step in steps:
                    assert step.needs <= known | {s.id for s in steps}
                    known.add(step.id)


def test_back_takes_as_many_at_once_as_there_is_room_for_whatever_the_batch_was() -> None:
    roll = Move("rolling", batch=1, surge=3)
    one, two = (release(n, {**BOTH_ONE, "catalog": f"c{n}"}, size=6, catalog=roll) for n in (1, 2))
    seen = with_facts(observed(base=2), *running(catalog=("c2", 6, 6), stock=("s1", 6, 6)))
    plan = planned(seen, "rollback", one, two)
    assert [step.args["instances"] for step in plan.steps if step.verb == "start"] == [3, 6]
    assert [step.args["percent"] for step in plan.steps if step.verb == "serve"] == [0.0, 50.0, 100.0, 0.0]
