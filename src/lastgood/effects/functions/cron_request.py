"""The request by which a function is told that its time has come, and how it knows that it is from us.

Standard library only: it is read in the process of a function, too. The token is one for each version and cannot be
guessed, so that nobody reaches a scheduled handler from outside, whatever the routes let through.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TOKEN_HEADER = "x-lastgood-cron"  # noqa: S105 the name of a header
SCHEDULE_HEADER = "x-lastgood-cron-schedule"
AT_HEADER = "x-lastgood-cron-at"
"""Milliseconds since the epoch."""
SECRET_OF_USER = "CRON_SECRET"  # noqa: S105 the name of a variable
"""A variable of the function's own; applications get it as a bearer token, as on Vercel."""
_KEY = "cron.key"


def token_of(folder: Path, name: str, digest: str) -> str:
    """What proves a request to a version; from a key that is made once and kept in ``folder``, for its owner alone."""
    path = folder / _KEY
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder / f".{_KEY}.{os.getpid()}"
        temporary.touch(0o600)
        temporary.write_bytes(secrets.token_bytes(32))
        try:
            os.link(temporary, path)  # who comes second takes what the first one made
        except FileExistsError:
            pass
        temporary.unlink()
        key = path.read_bytes()
    return hmac.new(key, f"{name}@{digest}".encode(), hashlib.sha256).hexdigest()


def headers(token: str, schedule: str, due: datetime, environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the request. ``environment`` is that of the function."""
    told = {
        TOKEN_HEADER: token,
        SCHEDULE_HEADER: schedule,
        AT_HEADER: str(int(due.timestamp() * 1000)),
        "user-agent": "lastgood-cron/1.0",
    }
    if SECRET_OF_USER in environment:
        told["authorization"] = f"Bearer {environment[SECRET_OF_USER]}"
    return told


def scheduled_event(raw: Iterable[tuple[bytes, bytes]], token: str, request_id: str) -> dict[str, Any] | None:
    """The event of EventBridge's for a Lambda-style handler; None for a request that is not ours.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
    """
    found = {name: value for name, value in raw if name.startswith(TOKEN_HEADER.encode())}
    mine = found.get(TOKEN_HEADER.encode(), b"")
    if not token or not hmac.compare_digest(mine, token.encode()):
        return None
    at = datetime.fromtimestamp(int(found[AT_HEADER.encode()]) / 1000, UTC)
    return {
        "version": "0",
        "id": request_id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "local",
        "resources": [f"arn:aws:events:local:000000000000:rule/{found[SCHEDULE_HEADER.encode()].decode()}"],
        "detail": {},
    }
