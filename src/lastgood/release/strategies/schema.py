"""Schemas: expanded before anything new starts, taken back last and only when that is asked for.

What the target of a way back cannot live with is taken back first, and no further (decision 0034).

Facts of ``database:NAME``, both stable: ``schema``, the newest version that is applied or half applied (``""`` for
none), and ``applied``, all that are wholly applied, in their order. Versions have no order of their own (Alembic's are
hashes): a schema is ahead of a release when the release's version is applied and is not the newest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lastgood.release.observed import Observed
from lastgood.release.release import Release
from lastgood.release.step import Cond, Step, StepId

MIGRATE_DEADLINE_S = 3600.0


def is_older(version: str, other: str) -> bool:
    """Whether one numbered version comes before another; digits count as numbers (9 before 10)."""
    return _key(version) < _key(other)


def _key(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", version)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def is_behind(observed: Observed, name: str, version: str) -> bool:
    """Whether a database lacks what a release needs; one that was not seen lacks everything."""
    applied = observed.value(f"database:{name}", "applied")
    if applied is None:
        return is_older(observed.value(f"database:{name}", "schema") or "", version)
    return version != "" and version not in applied


def is_ahead(observed: Observed, name: str, version: str) -> bool:
    """Whether a database has more applied than a release needs."""
    newest = observed.value(f"database:{name}", "schema") or ""
    applied = observed.value(f"database:{name}", "applied")
    if applied is None:
        return is_older(version, newest)
    return newest != version and (version == "" or version in applied)


def expand(observed: Observed, target: Release, *, accept_loss: bool = False) -> list[Step]:
    """Bring every database of the target to the version it needs; one that is ahead stays ahead."""
    return [
        _migrate(name, "migrate_up", version, target, frozenset(), accept_loss)
        for name, version in sorted(target.schemas.items())
        if is_behind(observed, name, version)
    ]


def contract(observed: Observed, target: Release, needs: frozenset[StepId], *, accept_loss: bool = False) -> list[Step]:
    """Take every database that is ahead back to the target's version."""
    return [
        _migrate(name, "migrate_down", version, target, needs, accept_loss)
        for name, version in sorted(target.schemas.items())
        if is_ahead(observed, name, version)
    ]


def lower(observed: Observed, target: Release, source: Release | None, *, accept_loss: bool = False) -> list[Step]:
    """Take back what the target cannot live with: the oldest such version and what came after it, nothing before."""
    steps = []
    for name in sorted(target.schemas):
        found = unbearable(observed, name, target, source.breaks if source is not None else {})
        if found is None:
            continue
        to, version, why = found
        step = _migrate(name, "migrate_down", to, target, frozenset(), accept_loss)
        shows = f"{step.shows}: {target.name} cannot live with {version} ({why})"
        steps.append(replace(step, id=f"lower:{name}", shows=shows))
    return steps


def unbearable(
    observed: Observed, name: str, target: Release, breaks: Mapping[str, Mapping[str, str]]
) -> tuple[str, str, str] | None:
    """``(version to go down to, first version that the target cannot live with, why)``; None: it lives with all."""
    own, known = target.schemas[name], breaks.get(name, {})
    if not is_ahead(observed, name, own):
        return None
    order = _order(observed, name)
    later = order[order.index(own) + 1 :] if own in order else order
    first = next((version for version in later if version in known), None)
    if first is None:
        return None
    at = order.index(first)
    return order[at - 1] if at else "", first, known[first]


def lowered(observed: Observed, source: Release, steps: Sequence[Step]) -> dict[str, str]:
    """Where the schemas are, when these steps have run, that had something the release before cannot live with.

    From what is applied and not from the steps alone: a plan made anew no longer has the step that has ended.
    """
    found = {step.part.partition(":")[2]: str(step.args["to"]) for step in steps}
    for name in source.breaks.keys() & source.schemas.keys() - found.keys():
        applied = observed.value(f"database:{name}", "applied")
        if applied is not None and source.schemas[name] not in applied:
            found[name] = observed.value(f"database:{name}", "schema") or ""
    return dict(sorted(found.items()))


def _order(observed: Observed, name: str) -> Sequence[str]:
    """The versions that are applied or half applied, the oldest first."""
    newest = observed.value(f"database:{name}", "schema") or ""
    applied = list(observed.value(f"database:{name}", "applied") or ())
    return applied if newest in applied else [*applied, newest]


def _migrate(name: str, verb: str, version: str, target: Release, needs: frozenset[StepId], accept_loss: bool) -> Step:
    part = f"database:{name}"
    args = {"to": version, "release": target.number, **({"accept_loss": True} if accept_loss else {})}
    return Step(
        f"{verb}:{name}",
        part,
        verb,
        args,
        needs=needs,
        until=Cond(part, "schema", "==", version),
        deadline_s=MIGRATE_DEADLINE_S,
        shows=f"bring the schema of {name} {'up' if verb == 'migrate_up' else 'down'} to {version or 'empty'}",
    )
