"""The door for alerts: signed, fresh, never twice, and not too many."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request

from lastgood.errors import LastgoodError, Refused, Unavailable, UsageError
from lastgood.operations.verbs import Verbs

KEY = "secret:alerts"
"""The secret that signs."""
FRESH_S = 300.0
LARGEST_BYTES = 256 * 1024
PER_MINUTE = 30
_SIGNATURE = re.compile(r"t=(\d{1,12}),sha256=([0-9a-f]{64})")


def sign(key: str, body: bytes, at_s: int) -> str:
    """The header ``x-lastgood-signature``: HMAC-SHA256 over ``UNIX-SECONDS.BODY``."""
    made = hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},sha256={made}"


class AlertDoor:
    """Lets signed alerts in. ``key`` raises what it raises where there is no such secret; ``now`` is Unix time."""

    def __init__(self, key: Callable[[], str], now: Callable[[], float] = time.time) -> None:
        self._key, self._now = key, now
        self._seen: dict[str, float] = {}
        self._passed: deque[float] = deque()

    def pass_in(self, body: bytes, signature: str) -> Any:
        """The JSON of a body; raises ``Refused``, ``UsageError`` or ``Unavailable``, always in the same few words."""
        now_s = self._now()
        if len(body) > LARGEST_BYTES:
            raise UsageError("the alert is too large", next=f"at most {LARGEST_BYTES // 1024} KiB")
        found = _SIGNATURE.fullmatch(signature)
        wanted = sign(self._secret(), body, int(found[1]) if found else 0)
        if found is None or not hmac.compare_digest(wanted, signature):
            raise Refused("the alert is not signed with the secret alerts", next="see docs/how-to/heed-alerts.md")
        if abs(now_s - int(found[1])) > FRESH_S:
            raise Refused("the alert is too old, or a clock is wrong", next="sign it when it is sent")
        if found[2] in self._seen:
            raise Refused("this alert came before", next="sign each of them anew")
        self._limit(now_s)
        self._seen = {used: at_s for used, at_s in self._seen.items() if now_s - at_s <= 2 * FRESH_S}
        self._seen[found[2]] = now_s
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UsageError("the alert is no JSON", next="send what Alertmanager sends") from error

    def _limit(self, now_s: float) -> None:
        """Only what is signed counts: a flood of forged ones must not keep the real one out."""
        while self._passed and not 0 <= now_s - self._passed[0] <= 60:
            self._passed.popleft()
        if len(self._passed) >= PER_MINUTE:
            raise Unavailable("too many alerts", next="wait a minute; lastgood rollback works at any time")
        self._passed.append(now_s)

    def _secret(self) -> str:
        try:
            return self._key()
        except LastgoodError:
            raise Unavailable("no secret to check alerts with", next="lastgood secret set alerts") from None


def add_alerts(app: FastAPI, verbs: Verbs, door: AlertDoor) -> None:
    """``POST /v1/alerts``."""

    @app.post("/v1/alerts", summary="Alertmanager's webhook, signed; an alert may take the release it names back")
    async def alerts(request: Request) -> dict[str, Any]:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BYTES:
                break
        raw = door.pass_in(bytes(body), request.headers.get("x-lastgood-signature", ""))
        return {"alerts": await verbs.heed(raw)}
