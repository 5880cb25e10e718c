"""The log that SQLite writes ahead, at its full size from the beginning."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 4 * 1024 * 1024
"""About what SQLite lets it grow to before it begins at its start again (1,000 pages)."""
_PIECE_BYTES = 64 * 1024


def grow_log(db: sqlite3.Connection, path: Path) -> None:
    """Let the log have all its blocks before anything is written.

    A commit that makes a file longer waits for the file system's own journal too; one that overwrites does not (0.7 ms
    and 0.5 ms here). What does not fit into the cache is written to the log before it is committed, and is nothing
    once it is taken back: the next commit begins where it began. Without room it stays as it is.
    """
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size >= LOG_BYTES:
        return
    cached = db.execute("PRAGMA cache_size").fetchone()[0]
    try:
        db.execute("PRAGMA cache_size = 10")
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TABLE filling (bytes BLOB)")
        for _ in range(LOG_BYTES // _PIECE_BYTES):
            db.execute("INSERT INTO filling VALUES (zeroblob(?))", (_PIECE_BYTES,))
    except sqlite3.OperationalError:
        pass  # locked by a reader that cleans up, or no room: it grows as it is written
    finally:
        with suppress(sqlite3.OperationalError):
            if db.in_transaction:
                db.execute("ROLLBACK")
        db.execute(f"PRAGMA cache_size = {cached}")
    if log.exists():
        descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
