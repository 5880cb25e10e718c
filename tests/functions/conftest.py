"""What the tests of Workers need of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lastgood.effects.functions.worker_runtime import find_workerd
from lastgood.errors import Unavailable

CACHE = Path.home() / ".cache/lastgood/npm"


@pytest.fixture(scope="session")
def workerd() -> None:
    """A machine that lacks it gets it as the error says; nothing is skipped."""
    try:
        find_workerd()
    except Unavailable:
        argv = ["npm", "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", "workerd", "esbuild"]
        subprocess.run(argv, check=True, timeout=100)
