"""Ask a version of a function because its time has come."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from lastgood.effects.functions.cron_request import headers, token_of
from lastgood.effects.own_thread import on_own_thread
from lastgood.ports import CronTrigger, Fired

_SPARE_S = 5.0


class FunctionCaller:
    """``endpoints(name, digest)`` are the addresses of a version, ``environment(name)`` the variables of its own."""

    def __init__(
        self,
        folder: Path,
        endpoints: Callable[[str, str], Sequence[str]],
        environment: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._folder, self._endpoints, self._environment = folder, endpoints, environment

    async def fire(self, trigger: CronTrigger, at: datetime) -> Fired:
        """One request to the version itself, past the gateway. Raises ``Unavailable`` for a secret without a value."""
        addresses = self._endpoints(trigger.name, trigger.digest)
        if not addresses:
            return Fired(False, "nothing of this version runs", 0.0)
        told = headers(
            token_of(self._folder, trigger.name, trigger.digest), trigger.said, at, self._environment(trigger.name)
        )
        return await on_own_thread(lambda: _ask(addresses[0], trigger, told))


def _ask(address: str, trigger: CronTrigger, told: Mapping[str, str]) -> Fired:
    began_s = time.monotonic()
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=trigger.timeout_s + _SPARE_S)
    try:
        connection.request("GET", trigger.path, headers={"host": trigger.name, **told})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return Fired(False, f"it did not answer: {type(error).__name__}", (time.monotonic() - began_s) * 1000)
    finally:
        connection.close()
    return Fired(200 <= status < 300, f"answered with {status}", (time.monotonic() - began_s) * 1000)
