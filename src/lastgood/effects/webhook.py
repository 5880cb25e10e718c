"""Tells a URL: one POST of JSON, bounded in time, redirects are not followed."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from lastgood.errors import Unavailable

TIMEOUT_S = 5.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """The address is a secret: it is told to nobody else."""


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


class Webhook:
    """Sends to the address that ``address`` returns at that moment; what goes wrong never names it."""

    def __init__(self, address: Callable[[], str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._address, self._timeout_s = address, timeout_s

    async def send(self, told: Mapping[str, Any]) -> None:
        """Raises ``Unavailable`` when nobody took it in time."""
        address = self._address()
        if not address.startswith(("http://", "https://")):
            raise Unavailable("the address of notifications is no URL", next="lastgood secret set notify")
        try:
            async with asyncio.timeout(self._timeout_s + 1.0):
                await asyncio.to_thread(self._post, address, json.dumps(told).encode())
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"a notification was not taken ({type(error).__name__})") from None

    def _post(self, address: str, body: bytes) -> None:
        request = urllib.request.Request(address, body, {"content-type": "application/json"})  # noqa: S310 checked above
        with _OPENER.open(request, timeout=self._timeout_s):
            return
