"""What SQLite's errors mean for the journal: later, elsewhere, or never again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lastgood.errors import Damaged, Unavailable
from lastgood.ports import JournalFull


def unreadable(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """What it means that the journal could not be read or written."""
    if "unable to open" in str(error) or "readonly" in str(error):
        return Unavailable(f"the journal cannot be opened: {error}", where=str(path), next="ls -ld its folder")
    if "full" in str(error):
        return Unavailable("the disk is full", where=str(path), next="make room; the gateway serves on")
    if "locked" in str(error):
        return Unavailable("the journal is locked by another program", where=str(path), next="lastgood status")
    if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Unavailable(f"the disk is full or fails: {error}", where=str(path), next="df -h, and make room")
    return Damaged(f"the journal is damaged: {error}", where=str(path), next="lastgood doctor --salvage")


def is_locked(error: sqlite3.DatabaseError) -> bool:
    """Whether somebody else has the file for a moment."""
    return "locked" in str(error)


def no_room(error: sqlite3.DatabaseError, path: Path) -> JournalFull:
    """Why it is not written now, and what to do."""
    if is_locked(error):
        return JournalFull("the journal is locked by another program", where=str(path), next=f"fuser -v {path}")
    return JournalFull("the disk is full", where=str(path), next="make room; what was not written follows")


def passes(error: sqlite3.DatabaseError) -> bool:
    """Whether it may be written later: no room, no turn."""
    return is_locked(error) or "full" in str(error) or "disk I/O" in str(error)
