"""A journal that does not verify: what does is carried over into a new one, and the old one is put aside."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lastgood.config.configuration import digest_of
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.errors import Damaged, Refused
from lastgood.release.events import Event, Released


@dataclass(frozen=True)
class Salvaged:
    """What came over: events up to the first that does not verify, and the releases those speak of."""

    events: int
    releases: int
    aside: Path


def salvage(path: Path, suffix: str) -> Salvaged:
    """Replace a damaged journal; the old file stays beside it under ``suffix``. Raises ``Refused`` for a whole one."""
    events = _verified(path)
    aside = path.with_name(f"{path.name}.{suffix}")
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    new = SqliteJournal(fresh)
    releases = _carry_over(path, new, events)
    new.close()
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.rename(aside)
    fresh.rename(path)
    return Salvaged(len(events), releases, aside)


def _verified(path: Path) -> list[Event]:
    events: list[Event] = []
    try:
        journal = SqliteJournal(path, read_only=True)
    except Damaged:
        return events
    try:
        events.extend(journal.read())
    except Damaged:
        return events
    finally:
        journal.close()
    raise Refused("the journal is whole; there is nothing to salvage", where=str(path), next="lastgood status")


def _carry_over(path: Path, new: SqliteJournal, events: list[Event]) -> int:
    if not events:
        return 0
    wanted = {event.body.release for event in events if isinstance(event.body, Released)}
    new.copy_events(events)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old:
        lease = old.execute("SELECT * FROM lease").fetchall()
        records = [
            row for row in old.execute("SELECT * FROM release") if row[0] in wanted and digest_of(row[1]) == row[2]
        ]
        manifests = old.execute("SELECT * FROM manifest").fetchall()
        contents = old.execute("SELECT * FROM content").fetchall()
    new.copy_store(lease, records, manifests, contents)
    return sum(1 for record in records if json.loads(record[1])["number"] in wanted)
