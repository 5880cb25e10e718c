"""What a deployment or a rollback would do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli import render_changes
from lastgood.interfaces.cli.render_deployment import name


def way_back(found: Mapping[str, Any]) -> list[str]:
    """REVERTS, KEEPS, LOOSENS, BLOCKED."""
    bad = " (bad)" if found.get("verdict") == "bad" else ""
    lines = [f"{name(found['from'])} -> {name(found['to'])}{bad}: {found['why']}"]
    lines += skipped(found["skipped"])
    lines += [f"BLOCKED  {reason}" for reason in found["blocked"]]
    lines += [f"LOOSENS  {text}" for text in found["loosens"]]
    lines += [f"LOSES    {text}" for text in found.get("loses", ())]
    reverts = [one for one in found["reverts"] if one["effect"] != "loosens"]
    if reverts:
        lines += ["REVERTS", *render_changes.changes(reverts)]
    if found["keeps"]:
        lines.append(f"KEEPS    {', '.join(found['keeps'])}")
    lines += ["steps", *(f"  {step['shows'] or step['id']}" for step in found["steps"])]
    accept = " --accept-loosening" if found["loosens"] else ""
    schema = " --with-schema" if found.get("with_schema") else " --keep-schema" if found.get("keep_schema") else ""
    accept += schema + (" --accept-loss" if found.get("loses") else "")
    only = f" --only {found['only']['part']}" if found.get("only") else ""
    command = f"lastgood rollback r{meant(found)}{only}{accept} --basis {found['basis']}"
    lines.append(f"nothing was changed; to go exactly this way: {command}")
    return lines


def meant(found: Mapping[str, Any]) -> int:
    """The release a person would name: the one to go to, or the one whose part is taken."""
    target: int = found["only"]["of"] if found.get("only") else found["to"]
    return target


def begun_back(answer: Mapping[str, Any]) -> list[str]:
    """The way back that was begun: where it goes, why there, and what was passed over."""
    head = f"d{answer['deployment']}: r{answer['from']} -> r{answer['release']}, {answer['why']}"
    return [head, *skipped(answer["skipped"])]


def skipped(found: list[Any]) -> list[str]:
    """Newer releases that were passed over."""
    return [f"  passed over: r{number}, it is {verdict}" for number, verdict in found]


def way_forward(found: Mapping[str, Any]) -> list[str]:
    """What deploying a revision would change."""
    lines = [
        f"{render_changes.revision(found)}, compared to {name(found['live'])}",
        *render_changes.changes(found["changes"], _nothing(found)),
        *render_changes.restarts(found),
        *render_changes.revision_notes(found),
        *render_changes.ends(found),
    ]
    if found.get("forecast"):
        lines.append(found["forecast"])
    if found["held_by"] is not None:
        lines.append(f"held: it contains what made r{found['held_by']} bad (lastgood deploy --force -m WHY)")
    lines.append(
        f"nothing was changed; to deploy it: lastgood deploy {found['revision'][:12]} --basis {found['basis']}"
    )
    return lines


def _nothing(found: Mapping[str, Any]) -> str:
    return "" if found.get("restarts") else "  no difference: there would be nothing to do"
