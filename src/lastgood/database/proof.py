"""What a rehearsal of the way back shows: the verdict over a release's migrations."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lastgood.database.fingerprint import Fingerprint, compare
from lastgood.database.migration import Migration

Verdict = Literal["exact", "cosmetic", "lossy", "broken", "irreversible"]
Rows = Mapping[str, Counter[tuple[tuple[str, Any], ...]]]
"""Rows by table: how often each one stands there, as sorted ``(column, value)`` pairs."""


@dataclass(frozen=True)
class Proof:
    """The verdict over migrations that go up and come back together, pinned to their scripts by ``digest``.

    ``reasons`` name the objects that differ or the statement that failed; ``lost`` counts rows by table.
    """

    versions: tuple[str, ...]
    digest: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    lost: Mapping[str, int] | None = None
    took_ms: int = 0
    breaks: Mapping[str, str] = field(default_factory=dict)
    """The oldest version that the release before was tried on and did not work with, and why."""

    @property
    def holds(self) -> bool:
        """Whether a deployment may rely on it: rows may change, the schema comes back."""
        return self.verdict in ("exact", "cosmetic")

    @property
    def title(self) -> str:
        """``exact``, ``lossy(3 rows)``."""
        return f"lossy({sum((self.lost or {}).values())} rows)" if self.verdict == "lossy" else self.verdict


def digest_of_scripts(migrations: Iterable[Migration]) -> str:
    """Hex SHA-256 over versions and both digests: any edit of any script ends a proof."""
    lines = (f"{m.version} {m.up.digest} {m.down.digest if m.down else '-'}" for m in migrations)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Rehearsal:
    """What was seen: the schema and rows before, after up, after down, and after up again."""

    before: Fingerprint
    upped: Fingerprint
    back: Fingerprint
    again: Fingerprint | None
    rows_before: Rows
    rows_back: Rows
    failure: str | None = None


def judge(migrations: Sequence[Migration], seen: Rehearsal, took_ms: int = 0) -> Proof:
    """``broken``: the schema does not come back, or cannot go up again; ``lossy``: rows do not come back."""
    versions = tuple(migration.version for migration in migrations)
    digest = digest_of_scripts(migrations)
    back = compare(seen.before, seen.back)
    if back.likeness == "different":
        reasons = tuple(str(d) for d in back.differences if not d.cosmetic)
        return Proof(versions, digest, "broken", reasons, took_ms=took_ms)
    if seen.failure or seen.again is None:
        return Proof(versions, digest, "broken", (f"cannot go up again: {seen.failure}",), took_ms=took_ms)
    again = compare(seen.upped, seen.again)
    if again.likeness == "different":
        reasons = tuple(f"after going up again, {d}" for d in again.differences if not d.cosmetic)
        return Proof(versions, digest, "broken", reasons, took_ms=took_ms)
    lost = lost_rows(seen.rows_before, seen.rows_back)
    if lost:
        reasons = tuple(f"{count} rows of {table} do not come back as they were" for table, count in lost.items())
        return Proof(versions, digest, "lossy", reasons, lost, took_ms)
    cosmetic = [str(d) for d in (*back.differences, *again.differences)]
    return Proof(versions, digest, "cosmetic" if cosmetic else "exact", tuple(cosmetic), took_ms=took_ms)


def lost_rows(before: Rows, after: Rows) -> dict[str, int]:
    """Rows by table that were there before and are not any more, or not with the same values."""
    found = {}
    for table, rows in sorted(before.items()):
        missing = (rows - after.get(table, Counter())).total()
        if missing:
            found[table] = missing
    return found
