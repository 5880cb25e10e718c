"""Makes the helpers beside these tests importable, whatever pytest's import mode; Envoy for those that need one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from collections.abc import AsyncIterator

import pytest
from tests.gateway.compile.envoy_world import World, start_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A real Envoy fed by a small ADS server, and an upstream that answers with what it saw."""
    running = await start_world()
    try:
        yield running
    finally:
        await running.close()
