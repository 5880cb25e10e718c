"""A deployment as one HTML page that needs nothing else: no script, no picture from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from lastgood.interfaces.cli import plots, render_changes, render_verdict
from lastgood.interfaces.cli.render_deployment import name, proof, revert_commit
from lastgood.interfaces.cli.render_report import clock, no_changes, outcome, told, was_asked
from lastgood.interfaces.cli.text import escaped

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #8884;padding:.25rem .5rem;text-align:left;vertical-align:top}"
    "pre,code{font:13px ui-monospace,monospace}pre{overflow-x:auto}dt{float:left;clear:left;width:9rem;opacity:.7}"
    "dd{margin-left:9rem}"
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
        *_steps(found["timeline"]),
        *(_judgement(verdict) if verdict is not None else ()),
        "<h2>Timeline</h2>",
        "<table><thead><tr><th>time (UTC)</th><th>event</th></tr></thead><tbody>",
        *(f"<tr><td>{clock(event)}</td><td>{_text(told(event))}</td></tr>" for event in found["timeline"]),
        "</tbody></table></body></html>",
    ]


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
    made = list(_bars(timeline))
    if made:
        yield "<h2>Steps</h2>"
        yield plots.bars("When each step was under way", made)


def _bars(timeline: Sequence[Mapping[str, Any]]) -> Iterator[plots.Bar]:
    begun: dict[str, float] = {}
    for event in timeline:
        at_s = _seconds(event["at"])
        if event["kind"] == "StepStarted" and at_s is not None:
            begun[str(event["step"])] = at_s
        elif event["kind"] == "StepEnded" and at_s is not None and str(event["step"]) in begun:
            step = str(event["step"])
            yield plots.Bar(escaped(step), begun.pop(step), at_s, bool(event.get("error")))


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
