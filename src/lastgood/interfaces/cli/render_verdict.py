"""A verdict and what it rests on, as text. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
_REPLAYS = {
    "same": "judged again from its record: the same, bit for bit",
    "differs": "judged again from its record: NOT the same",
    "other_rules": "its record is whole, another build judged it; by the rules of this one it would be",
    "damaged": "its record is DAMAGED",
    "missing": "its record is missing",
}


def verdict(found: Mapping[str, Any], *, with_plots: bool = True) -> list[str]:
    """For a terminal."""
    basis = f" ({found['basis']})" if found["basis"] else ""
    lines = [f"r{found['release']} is {found['verdict']}{basis}"]
    if found["evidence"]:
        lines.append(f"  {found['evidence']}")
    measured = found["measured"]
    if measured is None:
        return [*lines, "  nothing was measured of it: no other release served beside it"]
    after, alone = measured.get("after", False), measured.get("alone", False)
    lines += ["", *_numbers(measured["finding"], after=after, alone=alone)]
    if with_plots and measured.get("points"):
        lines += ["", *_plots(measured)]
    if promise := measured.get("promise"):
        lines += ["", *_promise(promise)]
    lines += ["", _REPLAYS[measured["replay"]] + (f": {measured['why']}" if measured["why"] else "")]
    lines += [f"  {name}: was {was}, is {now}" for name, (was, now) in measured["differs"].items()]
    lines.append(f"  {measured['lines']} lines, SHA-256 {measured['digest'][:16]}, in the journal's chain")
    return lines


def _numbers(finding: Mapping[str, Any], *, after: bool, alone: bool) -> list[str]:
    mine, theirs = (
        f"{requests} requests, {failures} failed" + (f" ({failures / requests:.2%})" if requests else "")
        for requests, failures in zip(finding["requests"], finding["failures"], strict=True)
    )
    by = ", ".join(f"{name} {_times(value)}" for name, value in finding["by"].items())
    lines = [
        f"  {'all requests   ' if alone else 'this release   '}{mine}",
        *([] if alone else [f"  {'the rest       ' if after else 'the one before '}{theirs}"]),
        f"  watched for {finding['watched_s']:.0f} s" + (" after its bake" if after else ""),
        f"  evidence that it is worse  {_times(finding['harm'])}, of 1 at the beginning ({by})",
        *([] if after else [f"  evidence that it is fine   {_times(finding['good'])}"]),
    ]
    lines += [f"  keeps it from being good: {lack}" for lack in finding["lacks"]] if finding["outcome"] != "bad" else []
    return lines + [f"  only told: {said}" for said in finding["says"]]


def _times(value: float) -> str:
    """Wealth as people write numbers; it may be beyond anything that has a name."""
    if value >= 1e6:
        return f"10^{math.log10(value):.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plots(measured: Mapping[str, Any]) -> list[str]:
    points = measured["points"]
    promise = measured["promise"]
    worse = [math.log10(max(point[1], 1.0)) for point in points]
    fine = [math.log10(max(point[2], 1.0)) for point in points]
    mine = [point[4] / point[3] if point[3] else 0.0 for point in points]
    theirs = [point[6] / point[5] if point[5] else 0.0 for point in points]
    most = max(*mine, *theirs, 0.01)
    return [
        f"  worse      {bars(worse, math.log10(1 / promise['alpha']))}  full at 1/{promise['alpha']:g}: bad",
        f"  fine       {bars(fine, math.log10(1 / promise['beta']))}  full at 1/{promise['beta']:g}: good",
        f"  failed     {bars(mine, most)}  full at {most:.1%}",
        ("  " if measured.get("alone") else f"  the other  {bars(theirs, most)}  ")
        + f"over {measured['seconds']:.0f} s",
    ]


def bars(values: Sequence[float], full: float) -> str:
    """One character a value, between nothing and ``full``."""
    top = len(BARS) - 1
    return "".join(BARS[round(max(0.0, min(value / full, 1.0)) * top)] for value in values)


def _promise(promise: Mapping[str, Any]) -> list[str]:
    spread = ", ".join(f"{name} {value:.3g}" for name, value in promise["dispersion"].items())
    lines = [
        f"promised: a release that is no worse is called bad at most once in {1 / promise['alpha']:,.0f},",
        f"  one that fails twice as often and more than {promise['tolerated']:.1%} is called good at most once in "
        f"{1 / promise['beta']:,.0f}",
    ]
    if spread:
        lines.append(f"  failures come together in: {spread}")
    return lines + [f"  it must keep to: {name}" for name in promise["objectives"]]
