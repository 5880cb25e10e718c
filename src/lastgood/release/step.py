"""A step of a plan: one effect, or one wait, with what must hold before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

StepId = str


@dataclass(frozen=True, slots=True)
class Cond:
    """A condition on what is observed: the fact ``part/key`` exists and compares so with ``value``."""

    part: str
    key: str
    op: Literal["==", "!=", ">=", "<=", "in"]
    value: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One effect on one part.

    ``verb`` names the effect, or one of the waits ``hold``, ``bake``, ``confirm`` which have no effect and end by
    time (``args["for_s"]``), verdict or a person. ``needs`` are the steps that must have ended before. ``guard`` is
    checked just before it is performed, ``until`` must hold before it counts as ended. ``deadline_s`` counts from its
    start. ``shows`` is the line a person reads.
    """

    id: StepId
    part: str
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[StepId] = frozenset()
    guard: Cond | None = None
    until: Cond | None = None
    deadline_s: float | None = None
    on_timeout: Literal["retreat", "halt", "retry"] = "retreat"
    shows: str = ""
