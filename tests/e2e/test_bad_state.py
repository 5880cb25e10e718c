"""The place where our state lies: unwritable, full, damaged. Traffic goes on, the way back works, and we say how."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.configuration import CATALOG, route
from tests.support.refusals import unchanged
from tests.support.shop import Shop

pytestmark = pytest.mark.slow

ORDERS = CATALOG + route("orders", "legacy")


@pytest.mark.parametrize("kind", ["file", "read-only", "others can write", "below a file", "proc"])
def test_a_state_folder_that_cannot_be_used(shop: Shop, kind: str) -> None:
    shop.begin()
    shop.commit(shop.text())
    place = shop.folder / "state"
    if kind == "file":
        place.write_text("")
    elif kind == "below a file":
        (shop.folder / "plain").write_text("")
        place = shop.folder / "plain/state"
    elif kind == "proc":
        place = Path("/proc/lastgood")
    elif kind == "others can write":
        place.mkdir()
        (place / "run").mkdir()
        (place / "run").chmod(0o777)
    else:
        place.mkdir()
        _mount("-o", "ro,size=1m", place)
    try:
        done = shop.run("up", "--detach", "--state", str(place))
        assert done.code == 7, done.said
        assert str(place) in done.err
        assert "next:" in done.err
        assert not processes.command_lines(shop.folder)
    finally:
        if kind == "read-only":
            subprocess.run(["umount", str(place)], check=True)


def _mount(*options: str | Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", *options], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted: {done.stderr}")


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Shop]:
    """A shop whose state has 14 MB of room, 8 of them kept for the way back; r1 and r2 are good, r2 is live."""
    shop.state.mkdir()
    _mount("-o", "size=14m,mode=700", shop.state)
    shop.open()
    shop.deploy(shop.text(ORDERS), "Take orders")
    yield shop
    shop.run("down", "--yes")
    subprocess.run(["umount", "--lazy", str(shop.state)], check=True)


def _fill(folder: Path) -> Path:
    """Not a byte is left, nor in the room that the journal's log has already taken."""
    with closing(sqlite3.connect(folder / "journal.db", timeout=5)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = folder / "junk"
    with open(path, "wb", buffering=0) as junk:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    junk.write(b"x" * size)
            except OSError:
                continue
    return path


def test_a_full_disk(small_disk: Shop) -> None:
    """No deployment begins; the way back goes on all the same, from the room that was kept."""
    shop = small_disk
    junk = _fill(shop.state)
    reserve = shop.state / "reserve"
    assert reserve.stat().st_size == 8 * 1024 * 1024
    shop.commit(shop.text(ORDERS + route("more", "legacy")), "More")
    with unchanged(shop):
        done = shop.run("deploy")
        assert done.code == 7, done.said
        assert "full" in done.err
        assert shop.get("/orders/1").body == "legacy"
        assert reserve.exists(), "a deployment took the room that is kept for the way back"
    doctor = shop.run("doctor")
    assert doctor.code == 1
    assert "make room" in doctor.said
    done = shop.ok("rollback")
    assert shop.get("/orders/1").status == 404
    assert shop.get("/catalog/1").body == "catalog"
    junk.unlink()
    shop.ok("status")
    processes.eventually(lambda: shop.status()["unjournaled"], lambda waiting: waiting == 0)
    history = shop.history()
    assert history["deployments"][0]["live"] == 1
    # With room again everything is as before, also after a restart.
    shop.ok("stop")
    shop.ok("up", "--detach")
    assert shop.live == 1
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/more/1").body == "legacy"


def test_a_full_disk_without_the_reserve(small_disk: Shop) -> None:
    """Even with no room at all traffic moves first; what was not written is told and follows later."""
    shop = small_disk
    (shop.state / "reserve").unlink()
    junk = _fill(shop.state)
    controller = processes.pid(shop.root, processes.CONTROLLER)
    done = shop.run("rollback", timeout_s=30)
    assert shop.get("/orders/1").status == 404, done.said
    time.sleep(2.5)  # the lease is renewed every second, which cannot be written either
    assert processes.pid(shop.root, processes.CONTROLLER) == controller
    assert shop.status()["unjournaled"] > 0
    assert "UNJOURNALED" in shop.run("status").said
    junk.unlink()
    processes.eventually(lambda: shop.status()["unjournaled"], lambda waiting: waiting == 0, within_s=15)
    shop.ok("stop")
    shop.ok("up", "--detach")
    assert shop.live == 1
    assert shop.get("/orders/1").status == 404


def test_a_start_on_a_full_disk(small_disk: Shop) -> None:
    """Proxies serve on, ``up`` says what is wrong, and works once there is room."""
    shop = small_disk
    shop.ok("stop")
    (shop.state / "reserve").unlink()
    junk = _fill(shop.state)
    done = shop.run("up", "--detach")
    assert done.code in (0, 6, 7), done.said
    if done.code:
        assert "full" in done.err, done.err
        assert "next:" in done.err
    assert shop.get("/orders/1").body == "legacy"
    junk.unlink()
    if done.code:
        shop.ok("up", "--detach")
    assert shop.live == 2


def _damage_a_row(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        for name in [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            db.execute(f"DROP TRIGGER {name}")
        newest = db.execute("SELECT max(seq) FROM event").fetchone()[0]
        db.execute("UPDATE event SET body = replace(body, '1', '2') WHERE seq = ?", (newest - 2,))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _damage_the_file(journal: Path) -> None:
    for end in ("-wal", "-shm"):
        journal.with_name(journal.name + end).unlink(missing_ok=True)
    journal.write_bytes(b"this is no database, and never was one" * 200)


def _truncate_the_file(journal: Path) -> None:
    for end in ("-wal", "-shm"):
        journal.with_name(journal.name + end).unlink(missing_ok=True)
    os.truncate(journal, journal.stat().st_size // 2)


def _events(journal: Path) -> list[object]:
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        return db.execute("SELECT * FROM event").fetchall()


def test_a_journal_with_a_changed_row(open_shop: Shop) -> None:
    """Opened read-only: the gateway serves on, whatever is asked is refused with the way out, and the way out works."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    shop.ok("stop")
    _damage_a_row(shop.state / "journal.db")
    before = _events(shop.state / "journal.db")
    shop.ok("up", "--detach")
    assert shop.get("/orders/1").body == "legacy"
    status = shop.run("status")
    assert "DAMAGED" in status.said, status.said
    assert "next: lastgood doctor" in status.said, status.said
    for command in (("deploy",), ("rollback",), ("mark", "r1", "good"), ("tag", "x", "r1")):
        done = shop.run(*command)
        assert done.code == 8, (command, done)
        assert "next:" in done.err
    assert shop.run("doctor").code == 1
    shop.ok("stop")
    assert _events(shop.state / "journal.db") == before
    shop.ok("doctor", "--salvage")
    shop.ok("up", "--detach")
    assert shop.get("/catalog/1").body == "catalog"
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/orders/1").body == "legacy"


@pytest.mark.parametrize("damage", [_damage_the_file, _truncate_the_file])
def test_a_journal_that_is_no_database(open_shop: Shop, damage: object) -> None:
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    shop.ok("stop")
    assert callable(damage)
    damage(shop.state / "journal.db")
    done = shop.run("up", "--detach")
    assert done.code == 8, done.said
    assert "doctor --salvage" in done.err
    assert shop.get("/orders/1").body == "legacy"
    assert shop.run("rollback").code == 8
    assert shop.run("deploy").code == 7
    assert shop.run("doctor").code == 1
    assert shop.get("/orders/1").body == "legacy"
    shop.ok("doctor", "--salvage")
    shop.ok("up", "--detach")
    assert shop.get("/orders/1").body == "legacy"
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/orders/1").body == "legacy"
    assert list(shop.state.glob("journal.db.damaged*"))


def test_damage_under_a_running_controller(open_shop: Shop) -> None:
    """Traffic goes on whatever happens to the file; nothing claims that all is well."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    _damage_the_file(shop.state / "journal.db")
    assert shop.get("/orders/1").body == "legacy"
    done = shop.run("rollback", timeout_s=30)
    assert done.code in (0, 8), done.said
    assert shop.get("/orders/1").status == (404 if done.code == 0 else 200)
    processes.eventually(lambda: shop.run("doctor").code, lambda code: code == 1)


def test_a_journal_that_was_removed(open_shop: Shop) -> None:
    """Nobody knows any more what is served: it goes on being served, and a deployment begins anew."""
    shop = open_shop
    shop.ok("stop")
    for path in shop.state.glob("journal.db*"):
        path.unlink()
    shop.ok("up", "--detach")
    assert shop.get("/catalog/1").body == "catalog"
    done = shop.run("rollback")
    assert done.code == 4, done.said
    assert shop.get("/catalog/1").body == "catalog"
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/catalog/1").body == "catalog"
    assert shop.live == 1


def test_a_locked_journal(open_shop: Shop) -> None:
    """Another program holds the file for a while: the traffic does not care, and we do not hang."""
    shop = open_shop
    shop.deploy(shop.text(ORDERS), "Take orders")
    with closing(sqlite3.connect(shop.state / "journal.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        shop.commit(shop.text(), "Back")
        done = shop.run("deploy", timeout_s=40)
        assert done.code == 7, done.said
        assert "locked" in done.err
        assert shop.get("/orders/1").body == "legacy"
        db.execute("ROLLBACK")
    shop.ok("rollback")
    assert shop.get("/orders/1").status == 404


def test_a_state_folder_deep_in_a_home(shop: Shop) -> None:
    """Sockets have short names; folders need not."""
    deep = shop.folder / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    shop.begin()
    shop.commit(shop.text())
    shop.environment["LASTGOOD_STATE"] = str(deep / "state")
    try:
        shop.ok("up", "--detach")
        shop.ok("deploy")
        assert shop.get("/catalog/1").body == "catalog"
    finally:
        shop.ok("down", "--yes")
    shutil.rmtree(deep)
