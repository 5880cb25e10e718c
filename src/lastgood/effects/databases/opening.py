"""From a URL to a session. The URL may hold a password; nothing of it but host, port and name is ever shown."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote

from lastgood.database.migration import Dialect
from lastgood.effects.databases.session import Limits, Session
from lastgood.effects.databases.sqlite import SqliteSession
from lastgood.errors import UsageError

Scratch = Callable[[], AbstractContextManager[Session]]
"""Makes an empty database to try things on, gone at the end of its block."""


def dialect_of(url: str) -> Dialect:
    """Which kind of database a URL names."""
    scheme = url.partition("://")[0].partition("+")[0].lower() if "://" in url else ""
    if scheme in ("sqlite", "sqlite3"):
        return "sqlite"
    if scheme in ("postgres", "postgresql"):
        return "postgresql"
    raise UsageError(
        f"unknown kind of database {scheme or 'without a scheme'!r}",
        next="write sqlite:///PATH (sqlite:////PATH when absolute) or postgresql://USER@HOST/NAME",
    )


def located(url: str, root: Path) -> str:
    """The same URL; a SQLite file with a relative path (``sqlite:///data/app.db``) is one below ``root``."""
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{root / url.removeprefix('sqlite:///')}"
    return url


def open_session(url: str, limits: Limits | None = None, *, create: bool = False) -> Session:
    """A connection to the database; ``create`` makes a SQLite file that is not there."""
    if dialect_of(url) == "sqlite":
        path = unquote(url.partition("://")[2].removeprefix("/").partition("?")[0])
        if not path or path == ":memory:":
            raise UsageError("a SQLite database in memory has nothing to go back to", next="name a file")
        return SqliteSession(Path(path), limits, create=create)
    from lastgood.effects.databases.postgresql import PostgresqlSession

    return PostgresqlSession(url, limits)


@contextmanager
def empty_beside(url: str, limits: Limits | None = None) -> Iterator[Session]:
    """An empty database of the same kind, where this one's server is; gone afterwards."""
    if dialect_of(url) == "sqlite":
        with tempfile.TemporaryDirectory(prefix="lg-scratch-") as folder:
            alone = SqliteSession(Path(folder, "scratch.db"), limits, create=True)
            try:
                yield alone
            finally:
                alone.close()
        return
    session = open_session(url, limits)
    try:
        with session.scratch(with_rows=False, empty=True) as copy:
            yield copy
    finally:
        session.close()
