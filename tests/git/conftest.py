from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.git.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


@pytest.fixture(autouse=True, scope="module")
def nobody_configured() -> Iterator[None]:
    """The configuration of whoever runs the tests plays no part."""
    before = dict(os.environ)
    os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
    for name in ("EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)
