"""What ``lastgood db`` prints, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lastgood.interfaces.cli.text import columns

if TYPE_CHECKING:
    from lastgood.database.migration import Dialect
    from lastgood.database.proof import Proof
    from lastgood.effects.databases.lint import Remark
    from lastgood.effects.databases.runner import Outcome, Preview, Standing


def standing_value(standing: Standing) -> dict[str, Any]:
    """``db status --json``."""
    return {
        "database": standing.place,
        "version": standing.version,
        "healthy": standing.healthy,
        "migrations": [
            {"version": e.version, "name": e.name, "state": e.state, "detail": e.detail} for e in standing.entries
        ],
        "drift": [str(d) for d in standing.drift.differences] if standing.drift else None,
        "invalid_indexes": list(standing.invalid_indexes),
        "notes": list(standing.notes),
    }


def standing_lines(standing: Standing) -> list[str]:
    """``db status``."""
    lines = [f"{standing.place} is at {standing.version}"]
    lines += columns([[e.version, e.name, e.state, e.detail] for e in standing.entries]) if standing.entries else []
    if standing.drift is not None and standing.drift.likeness != "exact":
        lines.append(f"changed by hand ({standing.drift.likeness}): {standing.drift.names()}")
    lines += [f"invalid index {name}: drop it, or run its migration again" for name in standing.invalid_indexes]
    return lines + [f"note: {note}" for note in standing.notes]


def plan_value(preview: Preview, dialect: Dialect, remarks: Mapping[str, Sequence[Remark]]) -> dict[str, Any]:
    """``db plan --json``."""
    from lastgood.database.locks import locks_of

    return {
        "moves": [
            {
                "direction": m.direction,
                "version": m.migration.version,
                "name": m.migration.name,
                "locks": list(locks_of(m.script, dialect)),
                "lint": [
                    {"line": one.line, "rule": one.rule, "what": one.what, "help": one.help}
                    for one in remarks.get(m.migration.version, ())
                ],
            }
            for m in preview.moves
        ],
        "takes_away": [
            {"migration": label, "what": str(hazard), "line": hazard.line} for label, hazard in preview.hazards
        ],
        "rows": [{"table": loss.table, "column": loss.column, "rows": loss.rows} for loss in preview.rows],
        "resumes": preview.resumes,
    }


def plan_lines(preview: Preview, dialect: Dialect, remarks: Mapping[str, Sequence[Remark]]) -> list[str]:
    """``db plan``."""
    from lastgood.database.locks import locks_of

    lines = [preview.resumes] if preview.resumes else []
    for move in preview.moves:
        how = "" if move.script.transactional else ", statement by statement"
        lines.append(f"{move.direction} {move.migration.label}{how}")
        lines += [f"  {hazard}" for label, hazard in preview.hazards if label == move.migration.label]
        lines += [f"  locks {lock}" for lock in locks_of(move.script, dialect)]
        lines += [f"  squawk, {remark}" for remark in remarks.get(move.migration.version, ())]
    lines += [f"LOSES {loss}" for loss in preview.rows]
    return lines or ["nothing to do"]


def outcome_value(outcome: Outcome) -> dict[str, Any]:
    """``db up --json`` and ``db down --json``."""
    return {
        "before": outcome.before,
        "after": outcome.after,
        "moves": [{"direction": m.direction, "version": m.migration.version} for m in outcome.done],
        "resumed": outcome.resumed,
        "came_back": outcome.came_back,
        "likeness": outcome.comparison.likeness if outcome.comparison else None,
        "differences": [str(d) for d in outcome.comparison.differences] if outcome.comparison else [],
    }


def outcome_lines(outcome: Outcome) -> list[str]:
    """``db up`` and ``db down``."""
    lines = [f"the schema is at {outcome.after}" + ("" if outcome.done else "; there was nothing to do")]
    if outcome.comparison is not None:
        known = outcome.comparison
        said = "as it was before" if known.likeness == "exact" else f"{known.likeness}: {known.names()}"
        lines.append(f"compared with the image from before the way up: {said}")
    return lines


def proof_value(proof: Proof) -> dict[str, Any]:
    """One proof of ``db prove --json``."""
    return {
        "versions": list(proof.versions),
        "verdict": proof.verdict,
        "title": proof.title,
        "holds": proof.holds,
        "reasons": list(proof.reasons),
        "lost": dict(proof.lost or {}),
        "digest": proof.digest,
        "took_ms": proof.took_ms,
    }


def proof_lines(proofs: Sequence[Proof]) -> list[str]:
    """``db prove``."""
    lines = []
    for proof in proofs:
        lines.append(f"{', '.join(proof.versions)}: {proof.title} ({proof.took_ms} ms)")
        lines += [f"  {reason}" for reason in proof.reasons]
    return lines or ["nothing is pending, so there is nothing to prove"]


def log_lines(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """``db history``."""
    names = ("at", "what", "version", "name", "release")
    return columns([[str(line[key] or "") for key in names] for line in log]) if log else ["nothing was done yet"]
