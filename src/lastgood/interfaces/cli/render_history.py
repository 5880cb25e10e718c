"""Releases and deployments, the newest first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli.render_deployment import name
from lastgood.interfaces.cli.text import columns, milliseconds, moment


def history(found: Mapping[str, Any]) -> list[str]:
    """Two tables."""
    if not found["releases"]:
        return ["nothing was deployed yet"]
    releases = [_release(one) for one in found["releases"]]
    deployments = [_deployment(one) for one in found["deployments"]]
    notes = [f"  {moment(note['at'])}  {note['what']}" for note in found.get("notes", ())]
    return [
        *("releases", *columns(releases, indent="  ")),
        *("deployments", *columns(deployments, indent="  ")),
        *(["notes", *notes] if notes else []),
    ]


def _release(one: Mapping[str, Any]) -> list[str]:
    notes = [
        *(["live"] if one["live"] else []),
        *(["held"] if one["held"] else []),
        *([] if one["lived"] else ["never served"]),
        *(f"tag {tag}" for tag in one["tags"]),
    ]
    verdict = f"{one['verdict']} ({one['basis']})" if one["basis"] else one["verdict"]
    return [
        f"r{one['release']}",
        verdict,
        (one["revision"] or "")[:12],
        ", ".join(notes),
        f'"{one["subject"]}"',
    ]


def _deployment(one: Mapping[str, Any]) -> list[str]:
    moved = f"{name(one['from'])} -> {name(one['to'])}"
    outcome = str(one["outcome"])
    if one["live"] is not None and one["live"] != one["to"]:
        outcome += f", {name(one['live'])} is live"
    proof = one["convergence"] or {}
    took_ms = proof.get("effective_ms") if proof.get("effective_ms") is not None else proof.get("push_ms")
    took = milliseconds(took_ms) if took_ms is not None else ""
    why = f': "{one["why"]}"' if one["why"] else ""
    return [f"d{one['deployment']}", moment(one["at"]), one["intent"], moved, outcome, took, f"{one['by']}{why}"]
