"""Notifications: what a person should hear of without looking, with the evidence. Never in anybody's way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.interfaces.http.events import Feed

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
ADDRESS = "secret:notify"


def text_of(event: Mapping[str, Any]) -> str:
    """What an event means for somebody who is not looking; empty: nothing."""
    match event["kind"]:
        case "Judged" if event["verdict"] in ("bad", "undecided"):
            return f"r{event['release']} is {event['verdict']} ({event['basis']}): {event['evidence']}"
        case "Judged" if event["verdict"] == "good" and event["basis"] == "measured":
            return f"r{event['release']} is known good: {event['evidence']}"
        case "Halted":
            return f"d{event['deployment']} halted: {event['why']}; next: {' | '.join(event['choices'])}"
        case "Ended" if event["outcome"] in ("went back", "failed"):
            where = f"r{event['live']} serves" if event["live"] is not None else "nothing serves"
            return f"d{event['deployment']} {event['outcome']}, {where}: {event['why']}"
        case "Noted" if event["level"] == "warning":
            return str(event["what"])
    return ""


async def tell(feed: Feed, send: Send, say: Callable[[str], None], after: int = 0) -> None:
    """Tell what happens from now on, one after the other, until cancelled.

    A receiver that hangs or refuses delays what it is told, and nothing else; more than the feed keeps is not told.
    """
    complained = ""
    async for event in feed.follow(after, None):
        if not (text := text_of(event)):
            continue
        told = {"text": f"lastgood: {text}", "event": event}
        try:
            await send(told)
            complained = ""
        except LastgoodError as error:
            if error.what != complained:
                complained = error.what
                say(error.what)
