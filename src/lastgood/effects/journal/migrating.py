"""The schema of the journal, moved by the engine that moves everybody's: its scripts are in ``migrations/``.

The last statement of each writes its number into ``user_version``, so that opening a journal asks one pragma. A newer
build's scripts are in the file itself, as in every database: an older build says how to go back.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

from lastgood.database.migration import History
from lastgood.database.reader import read_history
from lastgood.errors import Failed, Unavailable

NEWEST = 1


def shipped() -> History:
    """The migrations of this build."""
    folder = files(__package__).joinpath("migrations")
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(".sql")}
    return read_history(found, "sqlite", "journal/migrations")


def is_current(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing has to move; raises ``Unavailable`` where a newer build has moved it."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > NEWEST:
        raise Unavailable(
            f"the journal has version {found} of its schema, and this build knows {NEWEST}",
            where=str(path),
            next=f"use the newer build, or go back: lastgood db down --url sqlite:///{path} --to {NEWEST:04d}",
        )
    return bool(found == NEWEST)


def migrate(path: Path) -> None:
    """Bring it to this build's version; a journal from before there were migrations is taken over as it is."""
    from lastgood.effects.databases.adopting import adopt
    from lastgood.effects.databases.books import Books
    from lastgood.effects.databases.runner import up
    from lastgood.effects.databases.session import SqlFailure
    from lastgood.effects.databases.sqlite import SqliteSession

    session = SqliteSession(path, create=True)
    try:
        has_tables = bool(session.query("SELECT 1 FROM sqlite_schema WHERE name = 'event'"))
        if has_tables and not Books(session).applied():
            adopt(session, shipped(), to="1")
            session.query("PRAGMA user_version = 1")
        up(session, shipped())
    except (SqlFailure, Failed) as failure:
        what = failure.message if isinstance(failure, SqlFailure) else failure.what
        raise Unavailable(f"cannot be written: {what}", where=str(path), next="df -h; ls -l") from None
    finally:
        session.close()
