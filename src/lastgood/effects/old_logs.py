"""Logs of versions, builds and hooks that nobody writes to any more."""

from __future__ import annotations

from pathlib import Path

AGE_S = 30 * 86_400.0
NEWEST = 2
FOLDERS = ("services", "builds", "hooks")


def remove_old(logs: Path, now_s: float, *, age_s: float = AGE_S) -> int:
    """Remove those last written longer ago than that (wall clock), rotated ones too; how many.

    The newest two of each service stay: a version that runs may have said nothing for long, and has it open.
    """
    count = 0
    for folder in FOLDERS:
        written: dict[str, list[tuple[float, Path]]] = {}
        for path in (logs / folder).glob("*.log*"):
            written.setdefault(path.name.partition("@")[0], []).append((_written_s(path), path))
        for found in written.values():
            for at_s, path in sorted(found)[:-NEWEST]:
                if now_s - at_s > age_s:
                    path.unlink(missing_ok=True)
                    count += 1
    return count


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
