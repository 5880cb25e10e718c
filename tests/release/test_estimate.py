"""How long a way back takes, from what the journal measured."""

from __future__ import annotations

from lastgood.release import events as ev
from lastgood.release.estimate import NEWEST, shift_times_s, time_back
from lastgood.release.moves import Move, write_move
from lastgood.release.plan import Intent, Plan
from lastgood.release.release import Release
from lastgood.release.state import State, fold
from lastgood.release.step import Step
from tests.release.folded import at

ENDED = ev.Ended(1, "done")


def moved(state: State, took_s: float, intent: Intent = "rollback", boot: str = "boot") -> State:
    """One more deployment, whose shift took so long; ``boot`` is that of its end."""
    number = len(state.deployments) + 1
    plan = Plan(f"d{number}.1", number, "", intent, 2, 1, 2, (Step("shift", "gateway", "serve", GATEWAY),), (1, 2))
    bodies: list[tuple[ev.Body, float, str]] = [
        (ev.Requested(intent, 1, 2, "test"), 0.0, "boot"),
        (ev.Planned(plan), 0.0, "boot"),
        (ev.StepStarted("shift"), 0.0, "boot"),
        (ev.StepEnded("shift"), took_s, boot),
        (ENDED, took_s, boot),
    ]
    return fold((ev.Event(0, 1, number, at(100 * number + s, where), body) for body, s, where in bodies), state)


GATEWAY = {"base": 1, "candidate": 2, "percent": 0.0}


def started(state: State, name: str, digest: str, ready_ms: float, already: int = 0) -> State:
    number = len(state.deployments) + 1
    step = Step(f"start:{name}", f"service:{name}", "start", {"release": 1, "digest": digest, "instances": 1})
    plan = Plan(f"d{number}.1", number, "", "deploy", 2, 1, 2, (step,), (1, 2))
    result = {"instances": 1, "already": already, "ready_ms": ready_ms}
    bodies: list[ev.Body] = [
        ev.Requested("deploy", 1, 2, "test"), ev.Planned(plan), ev.StepStarted(step.id), ev.StepEnded(step.id, result)
    ]  # fmt: skip
    return fold((ev.Event(0, 1, number, at(100 * number), body) for body in bodies), state)


def release(**depends_on: tuple[str, ...]) -> Release:
    moves = {name: write_move(Move(depends_on=others)) for name, others in depends_on.items()}
    return Release(1, "shop", None, {f"service:{name}": f"{name}-v1" for name in depends_on}, moves=moves)


def test_shifts_back_count_and_those_forward_only_where_there_are_none() -> None:
    state = moved(moved(State(), 0.030, "deploy"), 0.050, "deploy")
    assert round(time_back(state, release(), (), {}).shift_s or 0, 6) == 0.040
    for took_s in (0.004, 0.009, 0.005):
        state = moved(state, took_s)
    found = time_back(state, release(), (), {})
    assert (round(found.shift_s or 0, 6), found.measured) == (0.005, 3)


def test_nothing_measured_is_nothing_known() -> None:
    found = time_back(State(), release(), (), {})
    assert (found.shift_s, found.measured) == (None, 0)
    assert shift_times_s(moved(State(), 5.0, boot="another")) == [], "the machine was started anew in between"


def test_only_the_newest_are_looked_at() -> None:
    state = moved(State(), 9.0)
    for _ in range(NEWEST):
        state = moved(state, 0.001)
    assert len(shift_times_s(state)) == NEWEST
    assert max(shift_times_s(state)) < 1


def test_a_cold_version_takes_its_newest_start_and_what_it_depends_on_comes_before() -> None:
    state = started(State(), "catalog", "catalog-v1", 2000)
    state = started(state, "catalog", "catalog-v2", 9000)
    state = started(state, "catalog", "catalog-v1", 1, already=1)
    state = started(state, "prices", "prices-v7", 500)
    target = release(catalog=("prices",), prices=("catalog",), stock=())
    found = time_back(state, target, ["catalog", "prices", "stock"], {})
    assert (found.start_s, found.unknown) == (2.5, ("stock",)), "of its own version, else of any; a circle ends"
    assert time_back(state, target, ["catalog"], {}).start_s == 2.0
    assert time_back(state, target, ["catalog", "prices", "stock"], {"stock": 4.0}).start_s == 4.0
