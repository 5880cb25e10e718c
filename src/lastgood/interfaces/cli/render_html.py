"""A deployment as one HTML page that needs nothing else: no script, no picture from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from lastgood.interfaces.cli import plots, render_changes, render_verdict
from lastgood.interfaces.cli.render_deployment import name, proof, revert_commit, was_asked
from lastgood.interfaces.cli.render_report import clock, left_behind, no_changes, outcome, told
from lastgood.interfaces.cli.text import escaped

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "background:Canvas;color:CanvasText;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #8884;padding:.25rem .5rem;text-align:left;vertical-align:top}"
    "td:first-child{white-space:nowrap}pre{font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap}"
    "dl{display:grid;grid-template-columns:9rem 1fr}dt{opacity:.75}dd{margin:0}"
    "@media(max-width:40rem){body{margin-top:1rem}dl{display:block}dd{margin-bottom:.5rem}td,th{padding:.25rem}}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> list[str]:
    """The whole page, a line each; ``verdict`` is what is known of the release that was asked for."""
    title = f"d{found['deployment']}: {was_asked(found)} {name(found['from'])} to {name(found['asked'])}"
    return [
        "<!DOCTYPE html>",
        '<html xmlns="http://www.w3.org/1999/xhtml" lang="en">',
        f'<head><meta charset="utf-8"/><meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>',
        '<meta name="viewport" content="width=device-width"/>',
        f"<title>{_text(title)}</title><style>{_STYLE}{plots.STYLE}</style></head>",
        f"<body><h1>{_text(title)}</h1>",
        *_facts(found),
        "<h2>Changes</h2>",
        *_lines(render_changes.changes(found["changes"], no_changes(found))),
        *(_left(*behind) if (behind := left_behind(found)) else ()),
        *_steps(found["timeline"]),
        *(_judgement(verdict) if verdict is not None else ()),
        "<h2>Timeline</h2>",
        "<table><thead><tr><th>time (UTC)</th><th>event</th></tr></thead><tbody>",
        *(f"<tr><td>{clock(event)}</td><td>{_text(told(event))}</td></tr>" for event in found["timeline"]),
        "</tbody></table></body></html>",
    ]


def _left(head: str, *lines: str) -> Iterator[str]:
    yield f"<h2>{_text(head[:1].upper() + head[1:])}</h2>"
    yield from _lines([line.strip() for line in lines])


def _facts(found: Mapping[str, Any]) -> Iterator[str]:
    facts = [
        ("Asked for by", found["by"]),
        ("at", found["at"]),
        ("Why", found["why"]),
        ("Outcome", outcome(found)),
        ("Proof", proof(found)),
        (f"Verdict on {name(found['asked'])}", found["verdict"]),
        *(("Git", line.strip()) for line in revert_commit(found)),
    ]
    yield "<dl>"
    yield from (f"<dt>{_text(what)}</dt><dd>{_text(value)}</dd>" for what, value in facts if value)
    yield "</dl>"


def _lines(lines: Sequence[str]) -> Iterator[str]:
    yield "<pre>"
    yield from (_text(line) for line in lines)
    yield "</pre>"


def _steps(timeline: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    made = _bars(timeline)
    if made:
        yield "<h2>Steps</h2>"
        yield plots.bars("When each step was under way", made)


def _bars(timeline: Sequence[Mapping[str, Any]]) -> list[plots.Bar]:
    """In the order in which they began. What had not ended when another plan took over was under way until then."""
    begun: dict[str, float] = {}
    made = []
    for event in timeline:
        at_s, step = _seconds(event["at"]), str(event.get("step"))
        if at_s is None:
            continue
        if event["kind"] == "StepStarted":
            begun[step] = at_s
        elif event["kind"] == "StepEnded" and step in begun:
            made.append(plots.Bar(escaped(step), begun.pop(step), at_s, bool(event.get("error"))))
        elif event["kind"] in ("Planned", "Ended"):
            made += [plots.Bar(f"{escaped(left)}, left", since_s, at_s) for left, since_s in begun.items()]
            begun.clear()
    return sorted(made, key=lambda bar: bar.begin_s)


def _seconds(at: str | None) -> float | None:
    return None if at is None else datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def _judgement(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>Verdict on r{verdict['release']}</h2>"
    measured = verdict["measured"]
    if measured is not None:
        yield from plots.of_verdict(measured)
    yield from _lines(render_verdict.verdict(verdict, with_plots=False))


def _text(value: object) -> str:
    return escape(escaped(value))
