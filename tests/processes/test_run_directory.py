"""The directory is ours alone, and the socket's path is short enough wherever it is."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from lastgood.effects.processes.client import ensure_supervisor
from lastgood.effects.processes.run_directory import UnsafeDirectory, open_run_directory, private_directory
from lastgood.errors import Unavailable


def test_it_is_made_private(tmp_path: Path) -> None:
    run = open_run_directory(str(tmp_path / "state" / "run"))
    for path in (run.root, run.records_path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert open_run_directory(run.root) == run


def test_a_long_path_gets_a_short_socket_in_a_directory_of_ours(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    run = open_run_directory(str(deep))
    folder = os.path.dirname(run.socket_path)
    try:
        assert len(run.socket_path) <= 100
        assert not run.socket_path.startswith(str(tmp_path))
        assert stat.S_IMODE(os.lstat(folder).st_mode) == 0o700
        assert open_run_directory(str(deep)).socket_path == run.socket_path
        other = open_run_directory(str(tmp_path / ("x" * 60) / ("z" * 60)))
        assert other.socket_path != run.socket_path
        shutil.rmtree(os.path.dirname(other.socket_path))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("trap", ["link", "file", "open", "foreign"])
def test_what_somebody_else_put_there_is_refused(tmp_path: Path, trap: str) -> None:
    path = tmp_path / "run"
    if trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        path.write_text("")
    elif trap == "open":
        path.mkdir()
        path.chmod(0o750)
    else:
        if os.getuid() != 0:
            pytest.skip("only root can give a directory away")
        path.mkdir(mode=0o700)
        os.chown(path, 12345, 12345)
    with pytest.raises(UnsafeDirectory, match=str(path)):
        private_directory(str(path))


async def test_the_user_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o755)
    with pytest.raises(Unavailable, match="chmod 700") as caught:
        await ensure_supervisor(str(tmp_path / "run"))
    assert caught.value.where == str(tmp_path / "run")
