"""What a verdict rests on: its record, judged again, and whether that gives the same bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.health.judge import Assessment
from lastgood.health.record import RULES, Case, Digest, retrace, write_assessment
from lastgood.health.terms import Terms
from lastgood.health.ticks import Tick
from lastgood.operations.rulings import replayed
from lastgood.ports import Evidence
from lastgood.release import events as ev
from lastgood.release.state import State

POINTS = 60
"""How many points a plot has at most."""
Point = tuple[float, float, float, int, int, int, int]
"""Seconds, harm, good, and ``(requests, failures)`` of both sides within the tick."""


def explain(release: int, state: State, evidence: Evidence | None) -> dict[str, Any]:
    """The verdict of a release, and what was measured: JSON values.

    ``measured`` is None where nothing was. ``replay`` is ``same``, ``differs``, ``damaged`` or ``missing``; or
    ``other_rules``: the record is whole, and another build of Lastgood judged it by its own rules.
    """
    verdict = state.verdict(release)
    answer: dict[str, Any] = {
        "release": release,
        "verdict": verdict.name,
        "basis": verdict.basis,
        "evidence": verdict.evidence,
        "wall_s": verdict.at.wall_s if verdict.at else None,
        "measured": None,
    }
    kept = state.measured.get(release)
    if kept is not None:
        answer["measured"] = _measured(kept, evidence)
    return answer


def _measured(kept: ev.Measured, evidence: Evidence | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "lines": kept.lines,
        "digest": kept.digest,
        "finding": dict(kept.finding),
        "replay": "missing",
        "why": "",
        "differs": {},
        "points": [],
    }
    try:
        lines = list(evidence.lines(kept.release))[: kept.lines] if evidence is not None else []
    except LastgoodError as error:
        return {**found, "why": error.what}
    if not lines:
        return {**found, "why": "none of its lines is left; a record is kept as long as its release"}
    if len(lines) < kept.lines:
        return {**found, "why": f"{len(lines)} of {kept.lines} lines are there"}
    digest = Digest()
    for line in lines:
        digest.add(line)
    if digest.hex != kept.digest:
        return {**found, "replay": "damaged", "why": "the record is not the one the journal has the digest of"}
    return {**found, **_replayed(kept, lines)}


def _replayed(kept: ev.Measured, lines: Sequence[str]) -> dict[str, Any]:
    points: list[Point] = []
    terms, last, trials, case = Terms(), Assessment(), 0, Case(0, None, Terms())
    current: object = None
    for trial, tick, last in retrace(lines):
        if trial is not current:
            current, terms, trials, points = trial, trial.case.terms, trials + 1, []
            case = trial.case
        if tick is not None:
            points.append(_point(tick, last))
    differs = replayed(kept, last)
    changed = "other_rules" if case.rules != RULES else "differs"
    return {
        "replay": changed if differs else "same",
        "differs": dict(differs),
        "again": write_assessment(last),
        "after": case.after,
        "alone": case.alone,
        "promise": _promise(terms),
        "trials": trials,
        "seconds": points[-1][0] - points[0][0] if points else 0.0,
        "points": [list(point) for point in thinned(points)],
    }


def _point(tick: Tick, found: Assessment) -> Point:
    mine, theirs = tick.sides
    return tick.at_s, found.harm, found.good, mine.finished, mine.failures, theirs.finished, theirs.failures


def _promise(terms: Terms) -> Mapping[str, Any]:
    return {
        "alpha": terms.alpha,
        "beta": terms.beta,
        "tolerated": terms.tolerated,
        "at_least_s": terms.at_least_s,
        "warm_up_s": terms.warm_up_s,
        "dispersion": dict(terms.dispersion),
        "objectives": [limit.name for limit in terms.objectives],
    }


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most ``POINTS``: of neighbours the one with the most harm stays, their requests are summed."""
    size = max(1, math.ceil(len(points) / POINTS))
    made: list[Point] = []
    for begin in range(0, len(points), size):
        group = points[begin : begin + size]
        harm, good = max(point[1] for point in group), group[-1][2]
        counts = [sum(int(point[n]) for point in group) for n in (3, 4, 5, 6)]
        made.append((group[-1][0], harm, good, counts[0], counts[1], counts[2], counts[3]))
    return made
