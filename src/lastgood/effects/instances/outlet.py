"""The gateway, as far as instances are concerned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from lastgood.effects.instances.vitals import Instance
from lastgood.errors import Unavailable

PUBLISH_S = 5.0


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


async def until_unpublished(
    going: Collection[Instance], outlet: Outlet, publish: Callable[[], Awaitable[None]]
) -> None:
    """Until the gateway sends no request to these any more. Raises ``Unavailable`` if it goes on."""
    give_up_s = time.monotonic() + PUBLISH_S
    while any(each.address in (outlet.published(each.name, each.digest) or ()) for each in going):
        if time.monotonic() > give_up_s:
            raise Unavailable(
                "the gateway still sends requests to what is to be stopped", next="lastgood status; then retry"
            )
        await publish()
        await asyncio.sleep(0.01)
