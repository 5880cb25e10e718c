"""A PostgreSQL server whose disk is full: nothing half done, told as what it is, and it goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from lastgood.database.reader import read_history
from lastgood.effects.databases.moving import Consent
from lastgood.effects.databases.postgresql import PostgresqlSession
from lastgood.effects.databases.runner import down, status, up
from lastgood.errors import Failed

FILES = {
    "1_a.up.sql": b"CREATE TABLE a (x int); INSERT INTO a VALUES (1);",
    "1_a.down.sql": b"DROP TABLE a;",
    "2_big.up.sql": b"ALTER TABLE a ADD y int;"
    b" CREATE TABLE big AS SELECT i, repeat('x', 900) FROM generate_series(1, 40000) i;",
    "2_big.down.sql": b"DROP TABLE big; ALTER TABLE a DROP COLUMN y;",
}


@pytest.fixture
def small_disk(postgresql_server: str) -> Iterator[tuple[str, Path]]:
    """The URL of a database that lies on 24 MiB of its own, and the folder; the server's log is elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="lg-full-", dir="/tmp"))
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    name = f"full_{uuid.uuid4().hex[:10]}"
    try:
        with psycopg.connect(postgresql_server, autocommit=True) as raw:
            ((data,),) = raw.execute("SHOW data_directory").fetchall()
            owner = Path(data).stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
            raw.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'".encode())
            raw.execute(f"CREATE DATABASE {name} TABLESPACE {name}".encode())
            host = conninfo.conninfo_to_dict(postgresql_server)["host"]
            try:
                yield f"postgresql://postgres@/{name}?host={host}", folder
            finally:
                raw.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
                raw.execute(f"DROP TABLESPACE {name}".encode())
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)


def test_a_full_disk_of_a_server_leaves_what_was(small_disk: tuple[str, Path]) -> None:
    url, folder = small_disk
    session = PostgresqlSession(url)
    history = read_history(FILES, "postgresql")
    up(session, history, to="1")
    with pytest.raises(Failed, match="No space left on device") as caught:
        up(session, history)
    assert "make room" in (caught.value.next or "")
    assert "2_big.up.sql" in (caught.value.where or "")
    assert [entry.state for entry in status(session, history).entries] == ["applied", "pending"]
    assert session.query("SELECT * FROM a") == [(1,)]
    subprocess.run(["mount", "-o", "remount,size=128m", str(folder)], check=True)
    assert up(session, history).after == "2", "the same command, when there is room"
    assert down(session, history, to="1", consent=Consent(loss=True)).came_back
    session.close()
