"""Plots as SVG: no script, no font or file from elsewhere, readable without colours. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 28, 36
STYLE = (
    "svg{font:12px system-ui,sans-serif;max-width:100%;height:auto;fill:currentColor}"
    ".grid{stroke:currentColor;stroke-opacity:.18}.limit{stroke:currentColor;stroke-opacity:.7;stroke-dasharray:2 3}"
    ".line{fill:none;stroke-width:2}.one{stroke:#c2410c}.two{stroke:#0369a1;stroke-dasharray:6 3}"
    ".bar{fill:#0369a1;fill-opacity:.65}.bad{fill:#c2410c}"
)


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, and its values at each moment (None: nothing is known)."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Up to two lines over the same seconds; ``limits`` are marked levels with what they mean."""

    title: str
    seconds: Sequence[float]
    series: Sequence[Series]
    unit: str
    top: float
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
            points = " ".join(place(at_s, value) for at_s, value in run)
            parts.append(f'<polyline class="line {kind}" points="{points}"/>')
    names = "".join(
        f'<line class="line {kind}" x1="{LEFT + 170 * n}" x2="{LEFT + 24 + 170 * n}" y1="13" y2="13"/>'
        f'<text x="{LEFT + 30 + 170 * n}" y="17">{escape(series.name)}</text>'
        for n, (kind, series) in enumerate(zip(("one", "two"), made.series, strict=False))
    )
    return _svg(made.title, HEIGHT, [*parts, names])


def _axes(made: Chart, begin: float, end: float, place: Any) -> Iterator[str]:
    for part in (0.0, 0.5, 1.0):
        value = part * made.top
        x, y = place(begin, value).split(",")
        yield f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{_number(value)}{made.unit}</text>'
    for value, means in made.limits:
        x, y = place(begin, value).split(",")
        yield f'<line class="limit" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{WIDTH - RIGHT}" y="{float(y) - 4:.1f}" text-anchor="end">{escape(means)}</text>'
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        at_s = begin + part * (end - begin)
        x = place(at_s, 0.0).split(",")[0]
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_number(at_s - begin)} s</text>'


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
    row, left = 22, 260
    begin, end = min(bar.begin_s for bar in made), max(max(bar.end_s for bar in made), 0.001)
    scale = (WIDTH - left - 90) / max(end - begin, 0.001)
    parts = []
    for n, bar in enumerate(made):
        y = 8 + n * row
        x, width = left + (bar.begin_s - begin) * scale, max((bar.end_s - bar.begin_s) * scale, 1.5)
        kind = "bar bad" if bar.failed else "bar"
        name = bar.name if len(bar.name) <= 40 else bar.name[:39] + "…"
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="12"/>')
        took = f"{_number(bar.end_s - bar.begin_s)} s" + (" failed" if bar.failed else "")
        parts.append(f'<text x="{x + width + 5:.1f}" y="{y + 13}">{took}</text>')
    return _svg(title, 16 + row * len(made), parts)


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    named = f'role="img" aria-label="{escape(title)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {named}><title>{escape(title)}</title>{inside}</svg>'


def alone(svg: str) -> str:
    """The same as a file of its own, with its style."""
    head, rest = svg.split("</title>", 1)
    return f"{head}</title><style>{STYLE}</style>{rest}\n"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def of_verdict(measured: Mapping[str, Any]) -> list[str]:
    """The plots of what was measured of a release: the evidence, and how many requests failed; none without points."""
    points = measured.get("points") or []
    if len(points) < 2:
        return []
    seconds = [float(point[0]) for point in points]
    promise, after = measured["promise"], measured.get("after", False)
    top = math.log10(1 / promise["alpha"])
    evidence = [Series("it is worse", [math.log10(max(point[1], 1.0)) for point in points])]
    if not after:
        evidence.append(Series("it is fine", [math.log10(max(point[2], 1.0)) for point in points]))
    limits = ((top, f"1/{promise['alpha']:g}: bad" + ("" if after else ", good")),)
    mine, theirs = ([_percent(point[n + 1], point[n]) for point in points] for n in (3, 5))
    most = max([value for value in (*mine, *theirs) if value is not None], default=1.0)
    other = "everything else" if after else "the release before"
    return [
        chart(Chart("Evidence, as powers of ten", seconds, evidence, "", top * 1.15, limits)),
        chart(
            Chart(
                "Failed requests", seconds, [Series("this release", mine), Series(other, theirs)], " %", max(most, 1.0)
            )
        ),
    ]


def _percent(failed: float, requests: float) -> float | None:
    return 100 * failed / requests if requests else None
