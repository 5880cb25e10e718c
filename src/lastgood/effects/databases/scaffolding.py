"""``db new``: files for the next migration, in the layout and numbering of those that are there."""

from __future__ import annotations

import re
from pathlib import Path

from lastgood.database.migration import History
from lastgood.errors import Refused, UsageError


def new_migration(folder: Path, history: History, name: str, timestamp: str) -> tuple[Path, ...]:
    """Make the files; ``timestamp`` (``YYYYMMDDHHMMSS``, UTC) is the version where the others are dates."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not plain:
        raise UsageError(f"{name!r} is no name for a migration", next="use letters and digits")
    last = history.migrations[-1] if history.migrations else None
    if last is not None and not last.version.replace("-", "").isdigit():
        raise Refused(
            "these migrations have no numbers", where=str(folder), next="make the file with the tool they are of"
        )
    version = _next(last.version if last else "", timestamp)
    files = _files(folder, f"{version}_{plain}", last.up.source if last else "")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as handle:
            handle.write(text)
    return tuple(files)


def _next(last: str, timestamp: str) -> str:
    if not last:
        return "0001"
    if len(re.sub(r"\D", "", last)) >= 12:
        return timestamp
    return str(int(last) + 1).zfill(len(last))


def _files(folder: Path, stem: str, like: str) -> dict[Path, str]:
    text = Path(like).read_text(errors="replace") if like and Path(like).is_file() else ""
    if like.endswith("/up.sql"):
        return {folder / stem / "up.sql": "", folder / stem / "down.sql": ""}
    for up, down in (
        ("-- migrate:up", "-- migrate:down"),
        ("-- +goose Up", "-- +goose Down"),
        ("-- +migrate Up", "-- +migrate Down"),
    ):
        if up.lower() in text.lower():
            return {folder / f"{stem}.sql": f"{up}\n\n{down}\n"}
    if "/deploy/" in like:
        raise Refused("a Sqitch plan is written by Sqitch", where=str(folder), next="sqitch add")
    return {folder / f"{stem}.up.sql": "", folder / f"{stem}.down.sql": ""}
