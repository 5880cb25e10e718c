"""How long a way back takes, by what earlier moves took. Pure.

A way back is one shift of the requests where the old versions are warm; before that come the starts where they are not.
Both are medians of what the journal says of the newest deployments; what nobody has measured is named, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import median

from lastgood.release.moves import move_of
from lastgood.release.release import Release, services_of
from lastgood.release.state import Deployment, Progress, State

NEWEST = 50
"""Deployments that are looked at: what was measured long ago was another machine, or another load."""
MOVES_REQUESTS = ("shift", "push", "full", "serve")
"""The steps after which requests go to the other release."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``shift_s``: until every proxy has acknowledged, None where nothing was measured; ``measured`` shifts say so.

    ``start_s``: until the versions that do not run are healthy, along the longest chain of what depends on what; the
    starts of ``unknown`` services were never measured and are not in it.
    """

    shift_s: float | None
    measured: int
    start_s: float
    unknown: tuple[str, ...] = ()


def time_back(state: State, target: Release, cold: Iterable[str], tried_s: Mapping[str, float]) -> Estimate:
    """The estimate for a release whose services ``cold`` have to be started; ``tried_s`` are starts just measured."""
    shifts = shift_times_s(state)
    names = sorted(cold)
    known = {name: start_s for name in names if (start_s := _start_s(state, target, name, tried_s)) is not None}
    longest_s = max((_chain_s(name, target, known, frozenset()) for name in names), default=0.0)
    unknown = tuple(name for name in names if name not in known)
    return Estimate(median(shifts) if shifts else None, len(shifts), longest_s, unknown)


def shift_times_s(state: State) -> list[float]:
    """What shifts back took; where there were none, what those forward took, which are the same push."""
    back: list[float] = []
    forward: list[float] = []
    for deployment in _newest(state):
        if deployment.plan is None:
            continue
        found = [_took_s(deployment.progress.get(step)) for step in MOVES_REQUESTS]
        times = [took_s for took_s in found if took_s is not None]
        (back if deployment.plan.goes_back else forward).extend(times[:1])
    return back or forward


def _newest(state: State) -> Iterator[Deployment]:
    numbers = sorted(state.deployments, reverse=True)
    return (state.deployments[number] for number in islice(numbers, NEWEST))


def _took_s(progress: Progress | None) -> float | None:
    """None for what has not ended well, or ended after a restart of the machine."""
    if progress is None or progress.phase != "ended" or progress.ended is None:
        return None
    if progress.ended.boot_id != progress.started.boot_id:
        return None
    return progress.ended.boot_s - progress.started.boot_s


def _start_s(state: State, target: Release, name: str, tried_s: Mapping[str, float]) -> float | None:
    """What it took just now, else the newest start of this version, else that of any version of this service."""
    if name in tried_s:
        return tried_s[name]
    any_version: float | None = None
    for deployment in _newest(state):
        for step in deployment.plan.steps if deployment.plan else ():
            if step.verb != "start" or step.part != f"service:{name}":
                continue
            result = deployment.progress[step.id].result if step.id in deployment.progress else {}
            if "ready_ms" not in result or result.get("already"):
                continue  # it ran already: that says nothing of how long a start takes
            took_s = float(result["ready_ms"]) / 1000
            if step.args["digest"] == services_of(target).get(name):
                return took_s
            any_version = took_s if any_version is None else any_version
    return any_version


def _chain_s(name: str, target: Release, known: Mapping[str, float], above: frozenset[str]) -> float:
    """A service starts when those it depends on are healthy."""
    before = [
        _chain_s(other, target, known, above | {name})
        for other in move_of(target, name).depends_on
        if other in known and other not in above
    ]
    return known.get(name, 0.0) + max(before, default=0.0)
