"""States and plans for the tests of the engine, made the way the journal makes them."""

from __future__ import annotations

from typing import Any

from lastgood.release import events as ev
from lastgood.release.observed import Fact, Observed
from lastgood.release.plan import Intent, Plan
from lastgood.release.release import Release
from lastgood.release.state import State, fold
from lastgood.release.step import Step
from lastgood.stamp import Stamp

Owned = tuple[int | None, ev.Body]


def at(seconds: float, boot: str = "boot") -> Stamp:
    """A moment."""
    return Stamp(1_700_000_000.0 + seconds, boot, seconds)


def journal(*bodies: Owned, start_s: float = 0.0, epoch: int = 1) -> list[ev.Event]:
    """Events a second apart."""
    return [ev.Event(n, epoch, owner, at(start_s + n), body) for n, (owner, body) in enumerate(bodies, 1)]


def plan(*steps: Step, intent: Intent = "deploy", source: int | None = 1, target: int = 2, **more: Any) -> Plan:
    """A plan of deployment 1."""
    fields: dict[str, Any] = {"retreat_to": source, "rest_points": (1, 2), **more}
    return Plan("d1.1", 1, "basis", intent, source, target, steps=steps, **fields)


def begun(*steps: Step, ask: dict[str, Any] | None = None, **fields: Any) -> list[Owned]:
    """A deployment that was asked for and planned."""
    made = plan(*steps, **fields)
    asked = ev.Requested(made.intent, made.target, made.source, "test", **(ask or {}))
    return [(1, asked), (1, ev.Planned(made))]


def state(*bodies: Owned) -> State:
    """The state after them."""
    return fold(journal(*bodies))


def observed(*, unknown: tuple[str, ...] = (), **gateway: Any) -> Observed:
    """A gateway that serves this, and nothing else."""
    facts = {"base": None, "candidate": None, "percent": 0.0, **gateway}
    return Observed.of((Fact("gateway", key, value) for key, value in facts.items()), unknown)


def with_facts(before: Observed, *facts: Fact) -> Observed:
    """The same and these."""
    return Observed.of([*before.facts.values(), *facts], before.unknown)


def release(number: int, service: str | None = None, **fields: Any) -> Release:
    """A release whose gateway differs from every other one's."""
    parts = {"gateway": fields.pop("gateway", f"gateway-{number}")}
    if service:
        parts["service:catalog"] = service
    return Release(number, "shop", f"commit-{number}", parts, branch="main", **fields)
