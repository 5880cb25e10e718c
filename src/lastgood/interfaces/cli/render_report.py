"""Everything about one deployment, as text or as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lastgood.interfaces.cli import render_changes
from lastgood.interfaces.cli.render_deployment import name, proof, revert_commit
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
        *render_changes.changes(found["changes"], _no_changes(found)),
        "timeline",
        *(f"  {_clock(event)}  {_told(event)}" for event in found["timeline"]),
    ]


def outcome(found: Mapping[str, Any]) -> str:
    """How it ended, or that it has not."""
    if found["ended"] is None:
        return f"HALTED: {found['halted']['why']}" if found["halted"] else "it is under way"
    why = f": {found['ended']['why']}" if found["ended"]["why"] else ""
    return f"{found['ended']['outcome']}, {name(found['ended']['live'])} is live{why}"


def markdown(found: Mapping[str, Any]) -> list[str]:
    """For a ticket: headings, a table of the timeline; everything the users wrote is quoted as code."""
    asked = "deploy" if found["intent"] == "retreat" else found["intent"]  # what it does now is the way back of one
    head = f"# d{found['deployment']}: {asked} {name(found['from'])} -> {name(found['asked'])}"
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
        *(f"- {_code(line.strip())}" for line in render_changes.changes(found["changes"], _no_changes(found))),
        "",
        "## Timeline",
        "",
        "| time (UTC) | event |",
        "|---|---|",
        *(f"| {_clock(event)} | {_code(_told(event))} |" for event in found["timeline"]),
    ]


def _no_changes(found: Mapping[str, Any]) -> str:
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


def _clock(event: Mapping[str, Any]) -> str:
    return str(event["at"] or "")[11:23]


def _told(event: Mapping[str, Any]) -> str:
    kind = str(event["kind"])
    parts = [
        f"{key} {_value(event[key])}" for key in _SHOWN.get(kind, ()) if event.get(key) not in (None, "", {}, [], ())
    ]
    if event.get("attempt") == 1:
        parts = [part for part in parts if not part.startswith("attempt ")]
    return " ".join([_WORDS.get(kind, kind.lower()) + (":" if parts else ""), ", ".join(parts)]).strip()


def _tells(key: str, value: object) -> bool:
    """Moments of the boot-time clock mean nothing to a reader."""
    return key != "began_s" and value not in (None, "", [], {}, ())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_value(one)}" for key, one in value.items() if _tells(key, one))
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return str(value)
