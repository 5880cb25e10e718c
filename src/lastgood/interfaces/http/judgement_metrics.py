"""What Prometheus reads of judgements: verdicts, what was counted, how long bad releases took to find and to leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lastgood.release.state import Deployment, State
from lastgood.stamp import elapsed_s

NEWEST = 5
"""Releases whose counts are told; older ones lie in the evidence."""


def judgements(state: State) -> Iterator[str]:
    """The lines, each name with its help and type first."""
    verdicts = Counter((state.verdict(n).name, state.verdict(n).basis or "none") for n in state.releases)
    yield from _head("lastgood_verdicts", "Releases by verdict and its basis")
    for (name, basis), count in sorted(verdicts.items()):
        yield f'lastgood_verdicts{{verdict="{name}",basis="{basis}"}} {count}'
    newest = sorted(state.measured)[-NEWEST:]
    yield from _head("lastgood_measured_requests", "Requests that were measured while a release was judged")
    for number in newest:
        finding = state.measured[number].finding
        for side, requests, failed in zip(("new", "old"), finding["requests"], finding["failures"], strict=True):
            labels = f'release="r{number}",side="{side}"'
            yield f'lastgood_measured_requests{{{labels},outcome="failed"}} {failed}'
            yield f'lastgood_measured_requests{{{labels},outcome="well"}} {requests - failed}'
    yield from _head("lastgood_harm", "Evidence that a release is worse, of 1 at the beginning; bad at 1000")
    for number in newest:
        yield f'lastgood_harm{{release="r{number}"}} {state.measured[number].finding["harm"]:.6g}'
    yield from _seconds("lastgood_detection_seconds", "Measured until found bad, newest such release", _detected(state))
    yield from _seconds("lastgood_rollback_seconds", "From the decision to the end, newest way back", _back(state))


def _detected(state: State) -> float | None:
    found = [n for n, measured in state.measured.items() if measured.finding["outcome"] == "bad"]
    return float(state.measured[max(found)].finding["watched_s"]) if found else None


def _back(state: State) -> float | None:
    ended = [one for one in state.deployments.values() if one.plan and one.plan.goes_back and one.ended_at]
    return _took_s(state, max(ended, key=lambda one: one.number)) if ended else None


def _took_s(state: State, one: Deployment) -> float | None:
    """A retreat begins with the verdict on what is left, a rollback when somebody asks."""
    judged = state.verdict(one.asked.target).at
    begun = judged if one.plan and one.plan.intent == "retreat" and judged else one.requested_at
    return elapsed_s(begun, one.ended_at) if one.ended_at else None


def _seconds(name: str, told: str, value: float | None) -> Iterator[str]:
    yield from _head(name, told)
    if value is not None:
        yield f"{name} {value:.6f}"


def _head(name: str, told: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} gauge"
