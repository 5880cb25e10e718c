"""Schemas: expanded before anything new starts, taken back last and only when that is asked for.

Fact of ``database:NAME``: ``schema``, the version that is applied (stable).
"""

from __future__ import annotations

import re

from lastgood.release.observed import Observed
from lastgood.release.release import Release
from lastgood.release.step import Cond, Step, StepId

MIGRATE_DEADLINE_S = 3600.0


def is_older(version: str, other: str) -> bool:
    """Whether one version comes before another; digits count as numbers (9 before 10)."""
    return _key(version) < _key(other)


def _key(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", version)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def expand(observed: Observed, target: Release) -> list[Step]:
    """Bring every database of the target to the version it needs; one that is ahead stays ahead."""
    return [
        _migrate(name, "migrate_up", version, target, frozenset())
        for name, version in sorted(target.schemas.items())
        if is_older(observed.value(f"database:{name}", "schema") or "", version)
    ]


def contract(observed: Observed, target: Release, needs: frozenset[StepId]) -> list[Step]:
    """Take every database that is ahead back to the target's version."""
    return [
        _migrate(name, "migrate_down", version, target, needs)
        for name, version in sorted(target.schemas.items())
        if is_older(version, observed.value(f"database:{name}", "schema") or "")
    ]


def _migrate(name: str, verb: str, version: str, target: Release, needs: frozenset[StepId]) -> Step:
    part = f"database:{name}"
    return Step(
        f"{verb}:{name}",
        part,
        verb,
        {"to": version, "release": target.number},
        needs=needs,
        until=Cond(part, "schema", "==", version),
        deadline_s=MIGRATE_DEADLINE_S,
        shows=f"bring the schema of {name} {'up' if verb == 'migrate_up' else 'down'} to {version or 'empty'}",
    )
