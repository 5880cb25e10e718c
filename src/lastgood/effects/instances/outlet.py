"""The gateway, as far as instances are concerned."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Outlet(Protocol):
    """Who sends requests to instances, and has to be told when they come and go."""

    def published(self, name: str, digest: str) -> Collection[str] | None:
        """The addresses of a version that the gateway sends requests to; None where it sends it none."""
        ...

    async def publish(self) -> None:
        """Serve the same with the endpoints of now; harmless when something else is on its way."""
        ...


class NoOutlet:
    """Where no gateway asks for endpoints."""

    def published(self, name: str, digest: str) -> Collection[str] | None:
        """Nothing is sent anywhere."""
        return None

    async def publish(self) -> None:
        """Nothing to tell."""
