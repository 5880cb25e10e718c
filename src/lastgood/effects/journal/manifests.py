"""Manifests: which content each entry of a release has, stored as the difference from the release before.

A release of 10,000 routes that changes one of them takes a line here, not a megabyte.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping

from lastgood.config.configuration import canonical
from lastgood.config.digests import Digests, Moved

FULL_EVERY = 64
"""At the latest after so many differences a manifest is stored whole, which bounds the cost of reading one."""


class Manifests:
    """The table ``manifest`` of one journal."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._newest: tuple[int, Mapping[str, str], int] | None = None
        self._digests = Digests()

    def moved(self, entries: Mapping[str, str]) -> Moved:
        """What differs from the manifest that was asked for last, and the digest for the release's record."""
        return self._digests.moved(entries)

    def put(self, number: int, entries: Mapping[str, str], moved: Moved) -> None:
        """Store a manifest, within the caller's transaction; ``moved`` was worked out just before."""
        base, depth, body = None, 0, {"set": dict(entries), "gone": []}
        # One that is put again (it was never released) must not become the difference from itself.
        if self._newest is not None and self._newest[0] != number and self._newest[2] < FULL_EVERY:
            base, depth = self._newest[0], self._newest[2] + 1
            body = {"set": dict(moved.changed), "gone": sorted(moved.gone)}
        self._db.execute(
            "INSERT OR REPLACE INTO manifest VALUES (?, ?, ?)", (number, base, zlib.compress(canonical(body), 1))
        )
        self._newest = (number, entries, depth)

    def forget(self) -> None:
        """Forget the newest manifest: its transaction was rolled back."""
        self._newest = None

    def at_hand(self, number: int) -> dict[str, str] | None:
        """The manifest that was stored last, where it is this release's: nothing has to be read for it."""
        newest = self._newest
        return dict(newest[1]) if newest is not None and newest[0] == number else None

    def get(self, number: int, db: sqlite3.Connection) -> dict[str, str]:
        """The manifest of a release, read over a connection of the asking thread."""
        chain = []
        at: int | None = number
        while at is not None:
            row = db.execute("SELECT base, body FROM manifest WHERE release = ?", (at,)).fetchone()
            if row is None:
                return {}
            chain.append(json.loads(zlib.decompress(row[1])))
            at = row[0]
        entries: dict[str, str] = {}
        for body in reversed(chain):
            entries.update(body["set"])
            for key in body["gone"]:
                entries.pop(key, None)
        return entries
