"""One PostgreSQL server for the whole session, a database of its own for each test; a session of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgresql import guarded_url, postgresql_server, postgresql_url

from lastgood.effects.databases.opening import open_session
from lastgood.effects.databases.session import Session

__all__ = ["guarded_url", "postgresql_server", "postgresql_url", "session"]


@pytest.fixture(params=["sqlite", "postgresql"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """An empty database, once of each kind."""
    postgresql = request.param == "postgresql"
    url = request.getfixturevalue("postgresql_url") if postgresql else f"sqlite:///{tmp_path}/t.db"
    made = open_session(url, create=True)
    yield made
    made.close()
