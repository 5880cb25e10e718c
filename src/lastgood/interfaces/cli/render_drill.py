"""What came of a drill. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli.text import lasting, listed, milliseconds, moment


def told(found: Mapping[str, Any]) -> str:
    """One line for ``status``."""
    head = f"r{found['of']} -> r{found['to']} -> r{found['of']}, {moment(found['at'])}"
    match found["standing"]:
        case "done":
            return f"{head}: back in {_time(found['back'])}, forward again in {_time(found['forth'])}"
        case "rests":
            return f"{head}: RESTS at r{found['to']}; it goes forward by itself, or lastgood rollback r{found['of']}"
        case "halted":
            return f"{head}: halted: {found['why']}"
        case "superseded":
            return f"{head}: another deployment came in between"
    return f"{head}: under way"


def leg(way: Mapping[str, Any], name: str, release: int) -> str:
    """One line for a half that is over."""
    proof = way["convergence"]
    line = f"{name} r{release} (d{way['deployment']})"
    if proof is not None:
        line += f": effective in {_time(way)} on {len(proof['acknowledged'])} of {proof['of']} proxies"
    if way["started"]:
        line += f", after {listed(way['started'])} was started"
    return f"{line}; all of it took {lasting(way['took_s'])}"


def _time(way: Mapping[str, Any]) -> str:
    """From the request to the last acknowledgement: what the users feel of it."""
    proof = way["convergence"] or {}
    felt_ms = proof.get("effective_ms", proof.get("push_ms"))
    return milliseconds(felt_ms) if felt_ms is not None else "no shift"
