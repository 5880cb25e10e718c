"""What the tests of Workers need of this machine."""

from __future__ import annotations

import pytest

from tests.support.worker_runtime import bring_worker_runtime


@pytest.fixture(scope="session")
def worker_runtime() -> None:
    """Asked for by each test that builds or runs a Worker, whichever comes first."""
    bring_worker_runtime()
