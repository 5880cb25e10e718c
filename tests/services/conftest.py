from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.town import Town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Instances that answer, beside a supervisor in memory."""
    made = Town(tmp_path)
    yield made
    await made.close()
