"""A Sqitch plan: ``sqitch.plan`` gives the order, ``deploy/`` and ``revert/`` the scripts.

Format: https://sqitch.org/docs/manual/sqitch-plan/. A reworked change keeps its old scripts as ``NAME@TAG.sql``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lastgood.database.drafts import Draft, read_half
from lastgood.database.script import decode
from lastgood.errors import Problem

PLAN = "sqitch.plan"
_CHANGE = re.compile(r"(?P<name>[^\s@#:\[\]]+)(?:\s|$)")
_TAG = re.compile(r"@(?P<name>\S+)")


def read_plan(files: Mapping[str, bytes], problems: list[Problem], place: str) -> list[Draft]:
    """Drafts in the plan's order; their version is their place in it, so that no change slips in between unseen."""
    text = decode(files[PLAN], place + PLAN)
    if isinstance(text, Problem):
        problems.append(text)
        return []
    changes: list[tuple[int, str]] = []
    tags: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line[0] in "%#":
            continue
        if tag := _TAG.match(line):
            tags.append((number, tag["name"]))
        elif change := _CHANGE.match(line):
            changes.append((number, change["name"]))
        else:
            problems.append(Problem(place + PLAN, number, "neither a change nor a tag"))
    drafts = []
    for position, (number, name) in enumerate(changes, 1):
        file = _file_name(number, name, changes, tags)
        deploy, revert = f"deploy/{file}.sql", f"revert/{file}.sql"
        if deploy not in files:
            problems.append(Problem(place + PLAN, number, f"{deploy} does not exist"))
            continue
        up = read_half(files[deploy], place + deploy, problems)
        down = read_half(files[revert], place + revert, problems) if revert in files else None
        if up:
            drafts.append(Draft(f"{position:04d}", name, up, down))
    return drafts


def _file_name(number: int, name: str, changes: list[tuple[int, str]], tags: list[tuple[int, str]]) -> str:
    if not any(other == name and later > number for later, other in changes):
        return name
    tag = next((tag for line, tag in tags if line > number), None)
    return f"{name}@{tag}" if tag else name
