"""The journal in SQLite: WAL, every commit on the disk, append-only, each event chained to the one before by SHA-256.

All its SQL is in this folder, so that another store can take its place.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lastgood.config.configuration import canonical, digest_of
from lastgood.config.digests import digest_of_names
from lastgood.effects.journal.log import grow_log
from lastgood.effects.journal.manifests import Manifests
from lastgood.effects.journal.migrating import is_current, migrate
from lastgood.effects.journal.reading import open_read_only
from lastgood.effects.journal.reserve import Reserve
from lastgood.effects.journal.troubles import is_locked, no_room, passes, unreadable
from lastgood.errors import Conflict, Damaged, Fenced, Unavailable
from lastgood.ports import Lease, Stamp
from lastgood.release.events import Body, Event, read_body, write_body
from lastgood.release.release import Release

GENESIS = "0" * 64
LOCKED_S = 0.5
"""How long a write waits for whoever else holds the file: a push must not wait longer."""
LEASE_S = 5.0
UNKNOWN_S = 1e9
"""A holder that was not seen for so long may be taken over from."""


class SqliteJournal:
    """One journal file, written by one thread; releases and contents may be read by others."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._owner = threading.get_ident()
        self._reserve = Reserve(path.with_name("reserve"))
        self._db = self._open()
        self.epoch = 0
        self.seen_before_s: float | None = None
        self._last = self._tail()
        self._known: set[str] = set()
        self._manifests = Manifests(self._db)

    def _open(self) -> sqlite3.Connection:
        try:
            if self.read_only:
                if not self.path.exists():
                    raise Unavailable("there is no journal yet", where=str(self.path), next="lastgood up")
                return open_read_only(self.path)
            db = sqlite3.connect(self.path, timeout=LOCKED_S, isolation_level=None)
            os.chmod(self.path, 0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            if not is_current(db, self.path):
                migrate(self.path)
            self._reserve.fill()
            grow_log(db, self.path)
            return db
        except sqlite3.DatabaseError as error:
            raise unreadable(error, self.path) from error
        except OSError as error:
            raise Unavailable(
                f"cannot be written: {error.strerror}", where=str(self.path), next="df -h; ls -l"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- events ------------------------------------------------------------------------------------------------

    def _tail(self) -> tuple[int, str]:
        try:
            row = self._db.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            raise unreadable(error, self.path) from error
        return (row[0], row[1]) if row else (0, GENESIS)

    def next_seq(self) -> int:
        """The number the next event will have."""
        return self._last[0] + 1

    def append(self, at: Stamp, bodies: Sequence[tuple[int | None, Body]], *, back: bool = False) -> list[Event]:
        """See :class:`lastgood.ports.Journal`."""
        seq, previous = self._last
        events: list[Event] = []
        rows: list[tuple[Any, ...]] = []
        for deployment, body in bodies:
            seq += 1
            text = canonical(write_body(body)).decode()
            row = (seq, self.epoch, deployment, at.wall_s, at.boot_id, at.boot_s, text, previous)
            made = _chained(row)
            rows.append((*row, made))
            events.append(Event(seq, self.epoch, deployment, at, body, made))
            previous = made
        self._durably(lambda: self._insert(rows), reserve=back)
        self._last = (seq, previous)
        return events

    def _durably(self, act: Callable[[], None], *, reserve: bool = False) -> None:
        """Act in one transaction; on a full disk once more with the ``reserve`` given up, which is for the way back.

        Raises ``JournalFull`` when it cannot be written now, ``Damaged`` or ``Unavailable`` when it never can.
        """
        try:
            self._transaction(act)
        except sqlite3.DatabaseError as error:
            if not passes(error):
                raise unreadable(error, self.path) from error
            if reserve and not is_locked(error) and self._reserve.release():
                self._durably(act)
                return
            raise no_room(error, self.path) from error

    def _transaction(self, act: Callable[[], None]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            act()
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        self._check_fence()
        self._db.executemany("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def read(self, after: int = 0) -> Iterator[Event]:
        """Events after a number, each checked against the chain; raises ``Damaged`` where it breaks."""
        previous: str | None = GENESIS if after == 0 else None
        try:
            for row in self._db.execute("SELECT * FROM event WHERE seq > ? ORDER BY seq", (after,)):
                if (previous is not None and row[7] != previous) or _chained(row[:8]) != row[8]:
                    what, then = f"event {row[0]} does not fit the chain", "lastgood doctor --salvage"
                    raise Damaged(what, where=str(self.path), next=then)
                previous = row[8]
                yield _event(row)
        except sqlite3.DatabaseError as error:
            raise unreadable(error, self.path) from error

    def of_deployment(self, number: int) -> list[Event]:
        """The events of one deployment; the chain is not verified on the way, :meth:`read` does that."""
        with self._reading() as db:
            rows = db.execute("SELECT * FROM event WHERE deployment = ? ORDER BY seq", (number,)).fetchall()
        return [_event(row) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, or one for the occasion on another thread: the loop never waits for a reader."""
        if threading.get_ident() == self._owner:
            yield self._db
            return
        opened = open_read_only if self.read_only else _open_beside
        with closing(opened(self.path)) as db:
            yield db

    # --- releases ----------------------------------------------------------------------------------------------

    def put_contents(self, contents: Mapping[str, bytes]) -> None:
        """Store contents by digest, over a connection of its own: may be called from another thread."""
        fresh = [(key, zlib.compress(body, 1)) for key, body in contents.items() if key not in self._known]
        if not fresh:
            return
        try:
            with closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR IGNORE INTO content VALUES (?, ?)", fresh)
                db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise unreadable(error, self.path) from error
        self._known.update(contents)

    def put_release(self, release: Release, entries: Mapping[str, str]) -> str:
        """Store a release and its manifest; returns the digest of the record, which covers the manifest.

        One that was stored under this number and never released (a crash in between) is replaced.
        """
        moved = self._manifests.moved(entries)
        fields = asdict(release)
        if not release.breaks:  # so that builds from before this field can read what does not need it
            del fields["breaks"]
        record = canonical({**fields, "manifest": moved.digest})
        made = digest_of(record)

        def put() -> None:
            self._check_fence()
            self._manifests.put(release.number, entries, moved)
            self._db.execute("INSERT OR REPLACE INTO release VALUES (?, ?, ?)", (release.number, record, made))

        try:
            self._durably(put)
        except BaseException:
            self._manifests.forget()
            raise
        return made

    def entries(self, number: int) -> dict[str, str]:
        """``{entry key: content digest}`` of a release, checked against its record when it is read."""
        if (at_hand := self._manifests.at_hand(number)) is not None:
            return at_hand
        record = json.loads(self._record(number))
        with self._reading() as db:
            entries = self._manifests.get(number, db)
        if digest_of_names(entries) != record["manifest"]:
            what, then = f"the manifest of r{number} is damaged", "lastgood doctor --salvage"
            raise Damaged(what, where=str(self.path), next=then)
        return entries

    def release(self, number: int) -> Release:
        """A stored release, its record checked against its digest."""
        fields = json.loads(self._record(number))
        del fields["manifest"]
        return Release(**fields)

    def _record(self, number: int) -> bytes:
        with self._reading() as db:
            row = db.execute("SELECT record, digest FROM release WHERE number = ?", (number,)).fetchone()
        if row is None:
            what, then = f"release r{number} is not in the journal", "lastgood doctor --salvage"
            raise Damaged(what, where=str(self.path), next=then)
        if digest_of(row[0]) != row[1]:
            raise Damaged(f"the record of r{number} is damaged", where=str(self.path), next="lastgood doctor --salvage")
        return bytes(row[0])

    def contents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Stored contents by digest."""
        wanted = list(digests)
        found: dict[str, bytes] = {}
        with self._reading() as db:
            for start in range(0, len(wanted), 500):
                some = wanted[start : start + 500]
                marks = ",".join("?" * len(some))
                query = f"SELECT digest, body FROM content WHERE digest IN ({marks})"  # noqa: S608 only question marks
                found.update({key: zlib.decompress(body) for key, body in db.execute(query, some)})
        if missing := set(wanted) - set(found):
            raise Damaged(
                f"{len(missing)} contents are missing", where=str(self.path), next="lastgood doctor --salvage"
            )
        return found

    def copy_events(self, events: Sequence[Event]) -> None:
        """Take events over as they are, hashes included: for a journal that is made from another one."""
        rows: list[tuple[Any, ...]] = []
        for event in events:
            previous = rows[-1][-1] if rows else GENESIS
            text = canonical(write_body(event.body)).decode()
            at = event.at
            row = (event.seq, event.epoch, event.deployment, at.wall_s, at.boot_id, at.boot_s, text, previous)
            rows.append((*row, event.hash))
        self._db.executemany("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?)", rows)
        self._last = self._tail()

    def copy_store(self, lease: Sequence[Any], records: Sequence[Any], manifests: Sequence[Any], contents: Any) -> None:
        """Take the other tables' rows over."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO lease VALUES (?,?,?,?,?)", lease)
        self._db.executemany("INSERT INTO release VALUES (?,?,?)", records)
        self._db.executemany("INSERT INTO manifest VALUES (?,?,?)", manifests)
        self._db.executemany("INSERT INTO content VALUES (?,?)", contents)
        self._db.execute("COMMIT")

    # --- who may act -------------------------------------------------------------------------------------------

    def take_over(self, holder: str, at: Stamp, *, is_alive: bool, above: int = 0) -> int:
        """Become the one controller and get a new epoch, higher than ``above``; ``is_alive``: whether the holder is.

        Raises ``Conflict`` while the present holder lives and was seen lately.
        """
        taken: list[int] = []

        def take() -> None:
            lease = self.lease()
            lately = lease is not None and lease.boot_id == at.boot_id and at.boot_s - lease.seen_s < LEASE_S
            if lease and is_alive and lease.seen_s >= 0 and lately:
                then = "lastgood status, or lastgood stop; if this folder is a copy of that project: rm -r .lastgood"
                raise Conflict(f"a controller is running ({lease.holder})", next=then)
            self.seen_before_s = abs(lease.seen_s) if lease and abs(lease.seen_s) < UNKNOWN_S else None
            taken.append(max(lease.epoch if lease else 0, above) + 1)
            row = (1, taken[-1], holder, at.boot_id, at.boot_s)
            self._db.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)", row)

        self._durably(take, reserve=True)
        epoch = taken[-1]
        self.epoch = epoch
        self._last = self._tail()
        return epoch

    def renew(self, at: Stamp) -> None:
        """Say that this controller is alive; raises ``Fenced`` when it was replaced."""

        def seen() -> None:
            row = (at.boot_s, at.boot_id, self.epoch)
            if self._db.execute("UPDATE lease SET seen_s = ?, boot_id = ? WHERE epoch = ?", row).rowcount == 0:
                raise Fenced("another controller has taken over", next="lastgood status")

        self._durably(seen)

    def book_room(self) -> bool:
        """Keep room for the way back again, once there is some; False while there is none."""
        return self._reserve.fill()

    def give_up(self) -> None:
        """Let the next controller take over at once."""
        try:
            self._db.execute("UPDATE lease SET seen_s = -abs(seen_s) WHERE epoch = ?", (self.epoch,))
        except sqlite3.DatabaseError:
            pass  # the holder is dead in a moment, which frees it as well

    def lease(self) -> Lease | None:
        """Who holds the lease."""
        row = self._db.execute("SELECT epoch, holder, boot_id, seen_s FROM lease").fetchone()
        return Lease(*row) if row else None

    def check_fence(self) -> None:
        """Raise ``Fenced`` when a newer controller has taken over: asked before every effect."""
        self._check_fence()

    def _check_fence(self) -> None:
        row = self._db.execute("SELECT epoch FROM lease").fetchone()
        if row is not None and row[0] != self.epoch:
            raise Fenced("another controller has taken over", next="lastgood status")


def _event(row: Sequence[Any]) -> Event:
    try:
        body = read_body(json.loads(row[6]))
    except (KeyError, TypeError, ValueError) as error:
        what = f"event {row[0]} was not written by this version of lastgood"
        raise Damaged(what, next="use the version that wrote it, or lastgood doctor --salvage") from error
    return Event(row[0], row[1], row[2], Stamp(row[3], row[4], row[5]), body, row[8])


def _chained(row: Sequence[object]) -> str:
    return digest_of(canonical(list(row)))


def _open_beside(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=5, isolation_level=None)
