"""Plots as SVG: no script, no font or file from elsewhere, readable without colours. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 290
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 68, 36
STYLE = (
    "svg{display:block;font:12px system-ui,sans-serif;max-width:100%;height:auto;margin:1rem 0;fill:currentColor;"
    "--one:#c2410c;--two:#0369a1}.title{font-weight:600}"
    ".grid{stroke:currentColor;stroke-opacity:.18}.limit{stroke:currentColor;stroke-opacity:.7;stroke-dasharray:2 3}"
    ".line{fill:none;stroke-width:2}.one{stroke:var(--one)}.two{stroke:var(--two);stroke-dasharray:6 3}"
    ".dot{fill:none;stroke-width:2;stroke-dasharray:none}"
    ".bar{fill:var(--two)}.bad{fill:var(--one)}"
    "@media(prefers-color-scheme:dark){svg{--one:#fb923c;--two:#38bdf8}}"
    # As wide as a telephone the picture is half as large: its words must not be.
    "@media(max-width:40rem){svg{font-size:21px}}"
)


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, and its values at each moment (None: nothing is known)."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Up to two lines over the same seconds; ``marks`` are the levels of the axis, ``limits`` those with a meaning."""

    title: str
    seconds: Sequence[float]
    series: Sequence[Series]
    top: float
    marks: Sequence[tuple[float, str]]
    limits: Sequence[tuple[float, str]] = ()


def chart(made: Chart) -> str:
    """One plot."""
    begin, end = made.seconds[0], max(made.seconds[-1], made.seconds[0] + 1.0)

    def place(at_s: float, value: float) -> str:
        x = LEFT + (at_s - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - min(max(value / made.top, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [*_axes(made, begin, end, place)]
    for kind, series in zip(("one", "two"), made.series, strict=False):
        for run in _runs(made.seconds, series.values):
            points = [place(at_s, value) for at_s, value in run]
            parts.append(_line(kind, points))
    names = "".join(
        f'<line class="line {kind}" x1="{LEFT + 300 * n}" x2="{LEFT + 24 + 300 * n}" y1="41" y2="41"/>'
        f'<text x="{LEFT + 32 + 300 * n}" y="46">{escape(series.name)}</text>'
        for n, (kind, series) in enumerate(zip(("one", "two"), made.series, strict=False))
    )
    return _svg(made.title, HEIGHT, [*parts, names])


def _line(kind: str, points: Sequence[str]) -> str:
    """Points, joined; a lone one is a dot: what is found at its first second is seen, too."""
    if len(points) == 1:
        x, y = points[0].split(",")
        return f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="4"/>'
    return f'<polyline class="line {kind}" points="{" ".join(points)}"/>'


def _axes(made: Chart, begin: float, end: float, place: Any) -> Iterator[str]:
    for value, label in made.marks:
        x, y = place(begin, value).split(",")
        yield f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    for value, means in made.limits:
        x, y = place(begin, value).split(",")
        yield f'<line class="limit" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{WIDTH - RIGHT}" y="{float(y) - 5:.1f}" text-anchor="end">{escape(means)}</text>'
    step_s = _step(end - begin, _SECONDS)
    for number in range(int((end - begin) / step_s) + 1):
        x = place(begin + number * step_s, 0.0).split(",")[0]
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 24}" text-anchor="middle">{_after(number * step_s)}</text>'


_SECONDS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
_SHARES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def _step(length: float, steps: Sequence[float]) -> float:
    """The first round step of which at most five cover a length; beyond the last one, a multiple of it."""
    fitting = next((step for step in steps if length <= 5 * step), None)
    return fitting or steps[-1] * math.ceil(length / (5 * steps[-1]))


def _after(at_s: float) -> str:
    """A moment after the beginning, in its own unit."""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if at_s >= unit_s and at_s % unit_s == 0:
            return f"{at_s / unit_s:.0f} {unit}"
    return f"{at_s:.0f} s"


def _runs(seconds: Sequence[float], values: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
    """The line without the stretches in which nothing is known."""
    run: list[tuple[float, float]] = []
    for at_s, value in zip(seconds, values, strict=True):
        if value is None or not math.isfinite(value):
            if run:
                yield run
            run = []
        else:
            run.append((at_s, value))
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took from ``begin_s`` to ``end_s``."""

    name: str
    begin_s: float
    end_s: float
    failed: bool = False


def bars(title: str, made: Sequence[Bar]) -> str:
    """When each of them was under way, one below the other."""
    row = 42
    begin, end = min(bar.begin_s for bar in made), max(bar.end_s for bar in made)
    scale = WIDTH / max(end - begin, 0.001)
    parts = []
    for n, bar in enumerate(made):
        y = 32 + n * row
        width = max((bar.end_s - bar.begin_s) * scale, 2.0)
        x = min((bar.begin_s - begin) * scale, WIDTH - width)
        kind = "bar bad" if bar.failed else "bar"
        name = bar.name if len(bar.name) <= 40 else bar.name[:39] + "…"
        took = _took(bar.end_s - bar.begin_s) + (" failed" if bar.failed else "")
        parts.append(f'<text x="0" y="{y + 16}">{escape(name)}</text>')
        parts.append(f'<text x="{WIDTH}" y="{y + 16}" text-anchor="end">{took}</text>')
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 23}" width="{width:.1f}" height="8"/>')
    return _svg(title, 36 + row * len(made), parts)


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    named = f'role="img" aria-label="{escape(title)}"'
    head = f'<text class="title" x="0" y="17">{escape(title)}</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {named}><title>{escape(title)}</title>{head}{inside}</svg>'


def alone(svg: str) -> str:
    """The same as a file of its own, with its style."""
    head, rest = svg.split("</title>", 1)
    return f"{head}</title><style>{STYLE}</style>{rest}\n"


def of_verdict(measured: Mapping[str, Any]) -> list[str]:
    """The plots of what was measured of a release: the evidence, and how many requests failed; none without points."""
    points = measured.get("points") or []
    if not points:
        return []
    seconds = [float(point[0]) for point in points]
    promise, after = measured["promise"], measured.get("after", False)
    top = math.log10(1 / promise["alpha"])
    evidence = [Series("it is worse", [math.log10(max(point[1], 1.0)) for point in points])]
    if not after:
        evidence.append(Series("it is fine", [math.log10(max(point[2], 1.0)) for point in points]))
    limits = ((top, "bad" if after else "bad, or good"),)
    powers = [(float(power), f"{10**power:,}") for power in range(math.floor(top) + 1)]
    mine, theirs = ([_percent(point[n + 1], point[n]) for point in points] for n in (3, 5))
    most = max([value for value in (*mine, *theirs) if value is not None], default=1.0)
    step = _step(max(most, 1.0), _SHARES)
    shares = [(step * n, f"{step * n:g} %") for n in range(math.ceil(max(most, 1.0) / step) + 1)]
    failed = [Series("this release", mine), Series("everything else" if after else "the release before", theirs)]
    return [
        chart(Chart("Evidence: 1 at the beginning", seconds, evidence, top * 1.25, powers, limits)),
        chart(Chart("Requests that failed", seconds, failed, shares[-1][0], shares)),
    ]


def _percent(failed: float, requests: float) -> float | None:
    return 100 * failed / requests if requests else None
