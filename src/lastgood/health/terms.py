"""What is asked of a release while it is judged: the promises, the stakes, the patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Metric = Literal["errors", "latency", "refused", "volume"]
STAKES: Mapping[str, float] = {"errors": 0.4, "latency": 0.3, "refused": 0.2, "volume": 0.1}
"""How the stakes are divided between the metrics where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A limit that holds whatever the baseline does: at most ``share`` (0 to 1) of the requests are bad.

    ``edge_ms`` is None for failures; else those slower than that bucket's bound are the bad ones. One that only
    ``reports`` decides nothing.
    """

    name: str
    share: float
    edge_ms: int | None = None
    reports: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one judgement.

    ``alpha`` is the chance at most that a release no worse than the baseline is ever called bad, ``beta`` that one
    which fails twice as often *and* more than ``tolerated`` is called good. ``dispersion`` (at least 1) per metric says
    how much failures come in clusters. After each rise of its share a release is not judged for ``warm_up_s``, save by
    vetoes. ``at_least_s`` must be watched and ``enough`` requests seen before it can be good; ``row`` failures in a row
    (more where failures come in clusters) are a veto. ``references`` are shares that known good releases stayed
    below, for when there is no baseline. Where the candidate is ``shielded`` an attempt that failed is followed by
    one on the baseline's side: that the user got an answer says nothing about the candidate.
    """

    alpha: float = 1e-3
    beta: float = 1e-3
    stakes: Mapping[str, float] = field(default_factory=lambda: dict(STAKES))
    dispersion: Mapping[str, float] = field(default_factory=dict)
    start_every_s: float | None = 30.0
    warm_up_s: float = 0.0
    at_least_s: float = 60.0
    tolerated: float = 0.01
    enough: int = 500
    row: int = 10
    silent_s: float = 10.0
    references: Mapping[str, float] = field(default_factory=dict)
    objectives: tuple[Objective, ...] = ()
    routes: tuple[str, ...] = ()
    shielded: bool = False


def write_terms(terms: Terms) -> dict[str, Any]:
    """As JSON values."""
    return {**asdict(terms), "objectives": [asdict(one) for one in terms.objectives], "routes": list(terms.routes)}


def read_terms(raw: Mapping[str, Any]) -> Terms:
    """The inverse of :func:`write_terms`."""
    objectives = tuple(Objective(**one) for one in raw["objectives"])
    return Terms(**{**raw, "objectives": objectives, "routes": tuple(raw["routes"])})
