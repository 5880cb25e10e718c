"""Everybody who is to be told: the lines of one secret, each an address, told beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from lastgood.effects import apprise
from lastgood.effects.webhook import TIMEOUT_S, Webhook
from lastgood.errors import LastgoodError, Unavailable

MOST = 20
"""Addresses."""


class Notifiers:
    """Sends to each line of what ``addresses`` returns at that moment: JSON to ``http(s)://``, Apprise for the rest."""

    def __init__(
        self,
        addresses: Callable[[], str],
        *,
        timeout_s: float = TIMEOUT_S,
        apprise_timeout_s: float = apprise.TIMEOUT_S,
    ) -> None:
        self._addresses = addresses
        self._timeout_s, self._apprise_timeout_s = timeout_s, apprise_timeout_s

    async def send(self, told: Mapping[str, Any]) -> None:
        """Raises ``Unavailable`` with what went wrong when somebody could not be told; the others were."""
        lines = [line.strip() for line in self._addresses().splitlines() if line.strip()][:MOST]
        ends = await asyncio.gather(*(self._one(line, told) for line in lines), return_exceptions=True)
        wrong = [end for end in ends if isinstance(end, BaseException)]
        for end in wrong:
            if not isinstance(end, LastgoodError):
                raise end
        if wrong:
            first = next(end for end in wrong if isinstance(end, LastgoodError))
            several = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise Unavailable(first.what + several, next=first.next)

    async def _one(self, address: str, told: Mapping[str, Any]) -> None:
        if address.startswith(("http://", "https://")) or "://" not in address:
            await Webhook(lambda: address, timeout_s=self._timeout_s).send(told)
        else:
            await apprise.send(address, told, timeout_s=self._apprise_timeout_s)
