"""What the proxies said while a release served: kept with the deployment that took it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

LINES = 20
LAST_BYTES = 64 * 1024


def log_tail(paths: Iterable[Path], since_s: float, redact: Callable[[str], str]) -> list[str]:
    """The newest lines written since a wall-clock moment, ``FILE: LINE``, secrets taken out."""
    found: list[str] = []
    for path in paths:
        lines = [line for line in _last_lines(path) if _written_s(line) >= since_s]
        found += [f"{path.stem}: {redact(line)[:500]}" for line in lines[-LINES:]]
    return found[-LINES:]


def version_tail(folder: Path, versions: Mapping[str, str], redact: Callable[[str], str]) -> list[str]:
    """The newest lines that these versions of services printed, ``NAME: LINE``; the file is theirs alone."""
    found: list[str] = []
    for name, digest in sorted(versions.items()):
        lines = [line for line in _last_lines(folder / f"{name}@{digest[:8]}.log") if line.strip()]
        found += [f"{name}: {redact(line)[:500]}" for line in lines[-LINES:]]
    return found[-2 * LINES :]


def _last_lines(path: Path) -> Sequence[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - LAST_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ()


def _written_s(line: str) -> float:
    """Envoy begins its lines with ``[2026-11-22 21:08:28.123]``; what does not is part of the line before."""
    try:
        return datetime.strptime(line[1:24], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
