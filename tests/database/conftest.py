"""One PostgreSQL server for the whole session; a database of its own for each test."""

from tests.support.postgresql import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]
