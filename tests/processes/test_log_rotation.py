"""Logs stay within bounds, the newest lines stay readable, and nothing that is no log is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastgood.effects.processes.log_rotation import rotate


def test_below_the_limit_nothing_happens(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 100)
    assert not rotate(str(log), 100)
    assert os.listdir(tmp_path) == ["a.log"]


def test_the_end_is_kept_and_the_older_ones_move_on(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for content in (b"1" * 150, b"2" * 150, b"3" * 90 + b"4" * 100):
        log.write_bytes(content)
        assert rotate(str(log), 100)
    assert log.read_bytes() == b""
    assert (tmp_path / "a.log.1").read_bytes() == b"4" * 100
    assert (tmp_path / "a.log.2").read_bytes() == b"2" * 100
    assert not (tmp_path / "a.log.3").exists()


def test_a_writer_goes_on_at_the_new_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"x" * 101)
    assert rotate(str(log), 100)
    os.write(fd, b"after")
    os.close(fd)
    assert log.read_bytes() == b"after"


def test_a_copy_that_cannot_be_written_does_not_keep_the_log_long(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 101)
    (tmp_path / "a.log.1").mkdir()
    (tmp_path / "a.log.2").mkdir()
    (tmp_path / "a.log.2" / "full").write_text("")
    assert rotate(str(log), 100)
    assert log.read_bytes() == b""


@pytest.mark.parametrize("kind", ["missing", "link", "fifo", "folder"])
def test_what_is_no_log_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.log"
    target = tmp_path / "precious"
    target.write_bytes(b"x" * 101)
    if kind == "link":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    assert not rotate(str(path), 100)
    assert target.read_bytes() == b"x" * 101
