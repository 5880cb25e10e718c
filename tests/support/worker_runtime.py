"""The real workerd and esbuild. A machine that lacks them gets them as the error says; nothing is skipped."""

from __future__ import annotations

import fcntl
import subprocess
from functools import cache
from pathlib import Path

from lastgood.effects.functions.worker_runtime import find_esbuild, find_workerd
from lastgood.errors import Unavailable

CACHE = Path.home() / ".cache/lastgood"


@cache
def bring_worker_runtime() -> None:
    """Once for all processes that test: while npm writes, a program that runs would be taken from under its caller."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            find_workerd()
            find_esbuild()
        except Unavailable:
            argv = ["npm", "install", "--prefix", str(CACHE / "npm"), "--no-audit", "--no-fund", "workerd", "esbuild"]
            subprocess.run(argv, check=True, timeout=200)
