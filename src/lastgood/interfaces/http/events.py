"""The journal's tail as a stream: whoever listens gets every event from a number on, then each new one."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import Any

from lastgood.operations.reporting import moment
from lastgood.release import events as ev
from lastgood.release.events import Event, write_body

KEPT = 2000
WAKE_S = 0.002
"""Listeners hear of an event a moment later, and of several at once: what moves requests goes first."""


class Feed:
    """Holds the newest events for those who follow; a slow listener loses nothing that is still kept."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._waking: asyncio.TimerHandle | None = None

    def publish(self, event: Event) -> None:
        """A new event."""
        self._events.append(event)
        if len(self._events) > 2 * KEPT:
            del self._events[:KEPT]
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(WAKE_S, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._changed.set()

    async def follow(self, after: int, deployment: int | None) -> AsyncIterator[dict[str, Any]]:
        """Events after a number, of one deployment or of all, until the controller stops."""
        while not self._closed:
            changed = self._changed
            for event in self._since(after):
                after = event.seq
                if deployment is None or event.deployment == deployment:
                    yield as_json(event)
            await changed.wait()

    def _since(self, after: int) -> list[Event]:
        return self._events[bisect_right(self._events, after, key=lambda event: event.seq) :]


def as_json(event: Event) -> dict[str, Any]:
    """An event for people and programs; plans are told by their steps' names."""
    body = write_body(event.body)
    if isinstance(event.body, ev.Planned):
        plan = event.body.plan
        steps = [{"id": step.id, "part": step.part, "shows": step.shows, "verb": step.verb} for step in plan.steps]
        body = {"kind": "Planned", "why": event.body.why, "intent": plan.intent, "target": plan.target, "steps": steps}
    return {"seq": event.seq, "epoch": event.epoch, "deployment": event.deployment, "at": moment(event.at), **body}
