"""Shops whose test run was killed: the next run ends what they left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lastgood.effects.processes.holder import holder, holder_lives
from tests.support import processes

OWNER = "owner"


def claim(folder: Path) -> None:
    """Write down which process a shop belongs to."""
    (folder / OWNER).write_text(holder())


def sweep(place: Path = Path("/tmp")) -> list[Path]:
    """End the processes of every shop of ours whose owner is dead, and remove its folder; returns these folders."""
    swept = []
    for folder in place.glob("lg-*"):
        try:
            owner = (folder / OWNER).read_text()
        except OSError:
            continue
        if folder.lstat().st_uid != os.getuid() or not owner or holder_lives(owner):
            continue
        processes.eventually_none(folder, within_s=0.0)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)
        swept.append(folder)
    return swept


def _unmount(folder: Path) -> None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mounted], check=False)
