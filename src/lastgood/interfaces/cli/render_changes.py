"""What changes, in the user's words: what loosens security comes first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.interfaces.cli.text import counted

SHOWN = 40
_ORDER = {"loosens": 0, "tightens": 1, None: 2}


def changes(found: Sequence[Mapping[str, Any]], nothing: str = "no difference") -> list[str]:
    """One line a change; a long list is cut, never what loosens."""
    if not found:
        return [nothing] if nothing else []
    ordered = sorted(found, key=lambda one: _ORDER.get(one["effect"], 2))
    loosening = sum(one["effect"] == "loosens" for one in ordered)
    shown = ordered[: max(SHOWN, loosening)]
    lines = [_line(one) for one in shown]
    if len(ordered) > len(shown):
        lines.append(f"  and {counted(len(ordered) - len(shown), 'more change')} (--json has all)")
    return lines


def _line(one: Mapping[str, Any]) -> str:
    effect = {"loosens": "LOOSENS  ", "tightens": "tightens "}.get(str(one["effect"]), "")
    return f"  {effect}{one['text']}"


def revision_notes(answer: Mapping[str, Any]) -> list[str]:
    """Warnings of a revision, and what lies in the work tree and is not in it."""
    lines = [f"warning: {warning.replace(': warning: ', ': ', 1)}" for warning in answer.get("warnings") or ()]
    uncommitted = answer.get("uncommitted") or ()
    if uncommitted:
        lines.append(f"warning: not committed, so not part of it: {', '.join(uncommitted)}")
    return lines


def restarts(answer: Mapping[str, Any]) -> list[str]:
    """What it starts, restarts and stops."""
    return [f"  {line}" for line in answer.get("restarts") or ()]


def revision(answer: Mapping[str, Any]) -> str:
    """``1a2b3c4d5e6f "Raise the limit" (main)``."""
    branch = f" ({answer['branch']})" if answer.get("branch") else ""
    return f'{str(answer.get("revision") or "")[:12]} "{answer.get("subject") or ""}"{branch}'


def ends(found: Mapping[str, Any]) -> list[str]:
    """What is under way and is ended by a deployment."""
    one = found.get("ends")
    if one is None:
        return []
    open_ = f": its bake is not over, r{one['release']} stays undecided" if one["undecided"] else ""
    return [f"d{one['deployment']}, to r{one['release']}, ends with it{open_}"]
