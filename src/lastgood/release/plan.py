"""A plan: the steps from what is observed to a release, and the places where it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lastgood.release.step import Cond, Step, StepId

Intent = Literal["deploy", "rollback", "retreat", "finalize"]
"""``deploy`` goes forward and is judged; ``rollback`` (asked for) and ``retreat`` (after a failure) go back at once."""


@dataclass(frozen=True)
class Plan:
    """A graph of steps, made for one observed state.

    ``basis`` is the digest of the stable facts it was made for; ``source`` and ``target`` are release numbers
    (``source`` is None where nothing was live); ``retreat_to`` is where a failure leads, None when there is nothing to
    go back to. ``rest_points`` are the releases the system may be left at: it never ends anywhere else.
    """

    id: str
    deployment: int
    basis: str
    intent: Intent
    source: int | None
    target: int
    retreat_to: int | None
    steps: tuple[Step, ...]
    rest_points: tuple[int, ...]
    wish: Mapping[str, Any] = field(default_factory=dict)
    to_nothing: bool = False
    """What was started for ``target`` is stopped, and nothing is live in the end: there is nothing to go back to."""

    def step(self, step_id: StepId) -> Step:
        """The step of that id."""
        return next(step for step in self.steps if step.id == step_id)

    @property
    def number(self) -> int:
        """Which plan of its deployment it is, from 1."""
        return int(self.id.rpartition(".")[2])

    @property
    def goes_back(self) -> bool:
        """Whether it is a way back: such a plan waits for nobody and is retried rather than reversed."""
        return self.intent in ("rollback", "retreat")


@dataclass(frozen=True)
class Refusal:
    """Why there is no plan, and what to do instead."""

    why: str
    next: str


def write_plan(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values; what it holds is not copied."""
    return {**_fields(plan), "steps": [_write_step(step) for step in plan.steps]}


def _write_step(step: Step) -> dict[str, Any]:
    guard = [_fields(cond) for cond in step.guard]
    until = _fields(step.until) if step.until else None
    return {**_fields(step), "needs": sorted(step.needs), "guard": guard, "until": until}


def _fields(value: Plan | Step | Cond) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def read_plan(raw: Mapping[str, Any]) -> Plan:
    """The inverse of :func:`write_plan`."""
    return Plan(**{**raw, "steps": tuple(map(_read_step, raw["steps"])), "rest_points": tuple(raw["rest_points"])})


def _read_step(raw: Mapping[str, Any]) -> Step:
    guard = tuple(Cond(**cond) for cond in raw["guard"])
    until = Cond(**raw["until"]) if raw["until"] else None
    return Step(**{**raw, "guard": guard, "until": until, "needs": frozenset(raw["needs"])})
