"""The rehearsal of a way back as a short table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.interfaces.cli.text import counted, listed, milliseconds

SHOWN = 6
"""Checks of a kind that are ready and shown one by one; a larger release has one line for all of them."""
_WORDS = {"ready": "ready", "limited": "note", "blocked": "BLOCKED"}


def way_back(found: Mapping[str, Any]) -> list[str]:
    """Where it leads, a line for each thing it needs, and how long it takes."""
    blocked = sum(check["standing"] == "blocked" for check in found["checks"])
    head = "ready" if not blocked else f"BLOCKED by {counted(blocked, 'thing')}"
    lines = [f"the way back leads to r{found['to']}, {found['why']}: {head}"]
    rows = _folded(found["checks"])
    width = max((len(_subject(check)) for check in rows), default=0)
    for check in rows:
        lines.append(f"  {_WORDS[check['standing']]:7}  {_subject(check):{width}}  {check['says']}")
        if check["next"] and check["standing"] != "ready":
            lines.append(f"  {'':7}  {'':{width}}  next: {check['next']}")
    return [*lines, f"  {estimate(found['estimate'])}"]


def estimate(found: Mapping[str, Any]) -> str:
    """How long it takes, from what was measured; what was not is named."""
    if found["shift_s"] is None:
        return "how long it takes: nothing was measured yet"
    shift = milliseconds(found["shift_s"] * 1000)
    told = f"it takes about {shift}, the median of {counted(found['measured'], 'shift')}"
    if found["start_s"]:
        told += f", and {milliseconds(found['start_s'] * 1000)} before that to start what does not run"
    if found["unknown"]:
        told += f"; no start of {listed(found['unknown'])} was ever measured"
    return told


def _subject(check: Mapping[str, Any]) -> str:
    name = "" if check["kind"] == "release" else f"{check['kind']} "
    return f"{name}{check['name']}"


def _folded(checks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for kind in dict.fromkeys(check["kind"] for check in checks):
        mine = [check for check in checks if check["kind"] == kind]
        ready = [check for check in mine if check["standing"] == "ready"]
        rows += [check for check in mine if check["standing"] != "ready"]
        if len(ready) > SHOWN:
            says = f"{counted(len(ready), kind)} ready"
            rows.append({"kind": kind, "name": "(all others)", "standing": "ready", "says": says, "next": None})
        else:
            rows += ready
    return rows
