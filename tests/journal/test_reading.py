"""Looking into the journal where there is no room on the disk, not even for SQLite's own small file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.release import events as ev
from lastgood.stamp import Stamp

NOW = Stamp(1.0, "boot", 1.0)
LOOK = """
import resource, signal, sys, threading
from pathlib import Path
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.errors import LastgoodError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file can grow: as on a full disk
try:
    journal = SqliteJournal(Path(sys.argv[1]), read_only=True)
    events = []
    reader = threading.Thread(target=lambda: events.extend(journal.of_deployment(7)))
    reader.start()
    reader.join()
    print([event.body.why for event in [*events, *journal.read()] if hasattr(event.body, "why")])
except LastgoodError as error:
    print(type(error).__name__, error.what)
"""


def look(path: Path) -> str:
    done = subprocess.run([sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def written(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path)
    journal.take_over("test", NOW, is_alive=False)
    journal.append(NOW, [(7, ev.AbortAsked("test", "one"))])
    return journal


def test_on_a_full_disk_it_can_be_looked_into_by_the_main_thread_and_by_others(tmp_path: Path) -> None:
    path = tmp_path / "100% #1?" / "journal.db"
    path.parent.mkdir()
    written(path).close()
    assert not path.with_name("journal.db-shm").exists(), "it would have to be made"
    assert look(path) == "['one', 'one']"


def test_what_its_last_writer_left_in_the_wal_is_never_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = written(path)
    for name in ("journal.db", "journal.db-wal"):  # as after a kill, on another disk
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    journal.close()
    assert look(tmp_path / "copy" / "journal.db").startswith("Unavailable the disk is full or fails")
