"""Tells by mail, chat, SMS and the rest: Apprise, in a process of its own that is ended when it hangs.

The address goes to that process by a pipe, never on its command line; what goes wrong names the kind of address alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from lastgood.effects.commands import plain_environment, run
from lastgood.errors import Unavailable

TIMEOUT_S = 20.0
TITLE = "lastgood"
MISSING, UNKNOWN, REFUSED = 3, 4, 5
_CHILD = f"""
import json, sys
try:
    import apprise
except ImportError:
    sys.exit({MISSING})
told = json.load(sys.stdin)
to = apprise.Apprise()
if not to.add(told["address"]):
    sys.exit({UNKNOWN})
sys.exit(0 if to.notify(title=told["title"], body=told["body"]) else {REFUSED})
"""
_WORDS = {
    None: "did not answer in time",
    MISSING: "needs Apprise, which is not installed",
    UNKNOWN: "is no address that Apprise knows",
    REFUSED: "was not taken",
}


async def send(address: str, told: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> None:
    """Tell one address of Apprise (``mailto://...``, ``slack://...``); raises ``Unavailable`` when nobody took it."""
    message = {"address": address, "title": TITLE, "body": str(told["text"])}
    argv = (sys.executable, "-P", "-c", _CHILD)
    try:
        code, _ = await run(
            argv, timeout_s=timeout_s, environment=plain_environment(), told=json.dumps(message).encode()
        )
    except OSError as error:
        raise Unavailable(f"a notification could not be sent ({error.strerror})") from None
    if code == 0:
        return
    kind = address.partition("://")[0]
    next_step = "pip install 'lastgood[notify]'" if code == MISSING else "lastgood secret set notify"
    raise Unavailable(f"a notification to {kind}:// {_WORDS.get(code, 'failed')}", next=next_step)
