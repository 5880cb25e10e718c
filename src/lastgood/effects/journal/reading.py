"""Opening the journal for those who only look, on a disk without room, too."""

from __future__ import annotations

import sqlite3
from pathlib import Path

READ_TIMEOUT_S = 5.0
_NO_ROOM_FOR_SHM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL)


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing. Raises ``sqlite3.DatabaseError`` where the file cannot be read.

    Even a reader of a WAL database makes its ``-shm`` file when nobody else has it open, which a full disk refuses. All
    is in the main file then, unless its last writer was killed: that is read as it is, and what lies in a WAL is never
    passed over.
    """
    db = _connect(path, "mode=ro")
    try:
        db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF not in _NO_ROOM_FOR_SHM or _has_wal(path):
            raise
        db = _connect(path, "mode=ro&immutable=1")
    return db


def _connect(path: Path, how: str) -> sqlite3.Connection:
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{quoted}?{how}", uri=True, timeout=READ_TIMEOUT_S, isolation_level=None)


def _has_wal(path: Path) -> bool:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False
