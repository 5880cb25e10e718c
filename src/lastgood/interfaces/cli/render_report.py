"""Everything about one deployment, as text or as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lastgood.interfaces.cli import render_changes, render_verdict
from lastgood.interfaces.cli.render_deployment import name, proof, revert_commit, was_asked
from lastgood.interfaces.cli.render_status import deployment
from lastgood.interfaces.cli.text import escaped

_SHOWN = {
    "Requested": ("intent", "by", "why"),
    "Planned": ("intent", "why"),
    "StepStarted": ("step", "attempt"),
    "StepEnded": ("step", "error", "result"),
    "Confirmed": ("by", "extend_s"),
    "Promoted": ("by",),
    "Paused": ("by",),
    "Doubted": ("why",),
    "AbortAsked": ("by", "why"),
    "Superseded": ("by",),
    "Halted": ("why", "choices"),
    "Ended": ("outcome", "live", "why"),
}
_WORDS = {
    "Requested": "asked for",
    "Planned": "planned",
    "StepStarted": "begins",
    "StepEnded": "ends",
    "Doubted": "the judge speaks against more requests",
    "AbortAsked": "abort asked for",
}


def text(found: Mapping[str, Any]) -> list[str]:
    """For a terminal."""
    return [
        *deployment(found),
        outcome(found),
        f"proof: {proof(found)}",
        *revert_commit(found),
        "changes",
        *render_changes.changes(found["changes"], no_changes(found)),
        *left_behind(found),
        "timeline",
        *(f"  {clock(event)}  {told(event)}" for event in found["timeline"]),
    ]


def outcome(found: Mapping[str, Any]) -> str:
    """How it ended, or that it has not."""
    if found["ended"] is None:
        return f"HALTED: {found['halted']['why']}" if found["halted"] else "it is under way"
    why = f": {found['ended']['why']}" if found["ended"]["why"] else ""
    return f"{found['ended']['outcome']}, {name(found['ended']['live'])} was live after it{why}"


def markdown(found: Mapping[str, Any], verdict: Mapping[str, Any] | None = None) -> list[str]:
    """For a ticket: headings, a table of the timeline, the plots as text; what users wrote is quoted as code."""
    head = f"# d{found['deployment']}: {was_asked(found)} {name(found['from'])} -> {name(found['asked'])}"
    return [
        head,
        "",
        f"- Asked for by {_code(found['by'])} at {found['at']}" + (f": {_code(found['why'])}" if found["why"] else ""),
        f"- Outcome: {_code(outcome(found))}",
        f"- Proof: {_code(proof(found))}",
        f"- Verdict on {name(found['asked'])}: {found['verdict']}",
        *(f"- Git: {_code(line.strip())}" for line in revert_commit(found)),
        "",
        "## Changes",
        "",
        *(f"- {_code(line.strip())}" for line in render_changes.changes(found["changes"], no_changes(found))),
        "",
        *_judgement(verdict),
        *_left_in_markdown(found),
        "## Timeline",
        "",
        "| time (UTC) | event |",
        "|---|---|",
        *(f"| {clock(event)} | {_code(told(event))} |" for event in found["timeline"]),
    ]


def left_behind(found: Mapping[str, Any]) -> list[str]:
    """What is kept of the release that was left: counts, the proxies' words, what its services printed last."""
    left = found.get("left")
    if left is None or found["intent"] == "deploy":
        return []
    counted = left.get("counted")
    lines = [f"what {name(left['release'])} left behind"]
    if counted is None:
        lines.append("  its answers were not counted")
    else:
        of = f"{counted['answers']} answers, {counted['failed']} failed (5xx), {counted['refused']} refused (4xx)"
        lines.append(f"  {of}, since the proxies started")
    lines += [f"  {line}" for line in left.get("log") or ()]
    return lines + [f"  printed by {line}" for line in left.get("printed") or ()]


def _left_in_markdown(found: Mapping[str, Any]) -> Iterator[str]:
    head, *lines = left_behind(found) or [""]
    if lines:
        yield f"## {head[:1].upper()}{head[1:]}"
        yield ""
        yield from (f"- {_code(line.strip())}" for line in lines)
        yield ""


def _judgement(verdict: Mapping[str, Any] | None) -> Iterator[str]:
    """What the verdict rests on. No line of it begins a fence: each is indented."""
    if verdict is None or verdict["measured"] is None:
        return
    yield f"## Verdict on r{verdict['release']}"
    yield ""
    yield from (f"    {escaped(line)}" for line in render_verdict.verdict(verdict))
    yield ""


def no_changes(found: Mapping[str, Any]) -> str:
    """What stands where nothing changed."""
    return "  none" if found["from"] is not None else "  everything: nothing was live before"


def _code(value: object) -> str:
    """Code marks longer than any run of them inside; a bar would end the cell of a table."""
    clean = escaped(value).replace("|", "\\|")
    runs = max((len(run) for run in _runs(clean)), default=0)
    marks = "`" * (runs + 1)
    pad = " " if clean[:1] == "`" or clean[-1:] == "`" else ""
    return f"{marks}{pad}{clean}{pad}{marks}"


def _runs(clean: str) -> Iterator[str]:
    run = ""
    for letter in clean + " ":
        if letter == "`":
            run += letter
        elif run:
            yield run
            run = ""


def clock(event: Mapping[str, Any]) -> str:
    """The time of day of an event, in UTC."""
    return str(event["at"] or "")[11:23]


def told(event: Mapping[str, Any]) -> str:
    """An event in one line."""
    kind = str(event["kind"])
    if kind == "Noted":
        return f"note: {event['what']}"
    parts = [
        f"{key} {_value(event[key])}" for key in _SHOWN.get(kind, ()) if event.get(key) not in (None, "", {}, [], ())
    ]
    if event.get("attempt") == 1:
        parts = [part for part in parts if not part.startswith("attempt ")]
    return " ".join([_WORDS.get(kind, kind.lower()) + (":" if parts else ""), ", ".join(parts)]).strip()


def _tells(key: str, value: object) -> bool:
    """Moments of the boot-time clock mean nothing to a reader, and what was left behind is told by itself."""
    return key not in ("began_s", "log", "printed", "counted") and value not in (None, "", [], {}, ())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_value(one)}" for key, one in value.items() if _tells(key, one))
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return str(value)
