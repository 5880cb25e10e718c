from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.envoy.machines import Machine


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    """A folder under /tmp (socket paths are short) whose processes end with the test."""
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    machine = Machine(folder)
    yield machine
    await machine.launcher.stop()
    shutil.rmtree(folder)
