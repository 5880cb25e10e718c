"""A step of a plan: one effect, or one wait, with what must hold before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

StepId = str
WAITS = frozenset({"hold", "keep", "bake", "confirm"})
"""Verbs without an effect: they end by time (``args["for_s"]``), by a verdict or by a person."""
BESIDE = WAITS | {"watch"}
"""Verbs that move nothing while they are under way: a hook is asked for as long as its release is held or bakes."""


@dataclass(frozen=True, slots=True)
class Cond:
    """A condition on what is observed: the fact ``part/key`` exists and compares so with ``value``."""

    part: str
    key: str
    op: Literal["==", "!=", ">=", "<=", "in"]
    value: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One effect on one part, or one wait.

    ``needs`` are the steps that must have ended before. All of ``guard`` is looked at and
    must hold just before it is performed, ``until``
    must hold before it counts as ended. ``deadline_s`` counts from its start. A ``soft`` step may fail without the plan
    failing (the revert commit: traffic is back already). ``shows`` is the line a person reads.
    """

    id: StepId
    part: str
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[StepId] = frozenset()
    guard: tuple[Cond, ...] = ()
    until: Cond | None = None
    deadline_s: float | None = None
    on_timeout: Literal["retreat", "halt"] = "retreat"
    soft: bool = False
    shows: str = ""

    @property
    def waits(self) -> bool:
        """Whether it has no effect of its own."""
        return self.verb in WAITS

    @property
    def moves(self) -> bool:
        """Whether something moves while it is under way."""
        return self.verb not in BESIDE
