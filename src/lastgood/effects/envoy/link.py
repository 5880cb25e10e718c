"""One stream with one proxy: its conversation, and the responses that wait to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lastgood.gateway.conversation import Conversation
from lastgood.gateway.messages import Request, Response
from lastgood.gateway.snapshot import Snapshot


class Link:
    """Between the server's socket and the fleet. ``outbox`` ends with None; ``heard`` is told of every change."""

    def __init__(
        self,
        name: str,
        conversation: Conversation,
        heard: Callable[[Link], None],
        warm: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self.name = name
        self.conversation = conversation
        self.outbox: asyncio.Queue[Response | None] = asyncio.Queue()
        self._heard = heard
        self._warm = warm
        self._warming: asyncio.Task[None] | None = None

    def receive(self, request: Request) -> None:
        """A request came from the proxy."""
        self._tell(self.conversation.receive(request))
        self._heard(self)

    def push(self, snapshot: Snapshot) -> None:
        """Bring this proxy to another state."""
        self._tell(self.conversation.push(snapshot))
        self._heard(self)

    def open_removals(self) -> None:
        """Every proxy routes by the new state. Nothing is heard of it: the proxy's answer will be."""
        if not self.conversation.settled:
            self._tell(self.conversation.open_removals())

    def close(self) -> None:
        """End the stream."""
        if self._warming:
            self._warming.cancel()
        self.outbox.put_nowait(None)

    def _tell(self, responses: Sequence[Response]) -> None:
        for response in responses:
            self.outbox.put_nowait(response)
        if self.conversation.wants_warm and (self._warming is None or self._warming.done()):
            self._warming = asyncio.create_task(self._wait_for_warm())

    async def _wait_for_warm(self) -> None:
        if self._warm:
            await self._warm(self.name)
        responses = self.conversation.mark_warm()
        self._warming = None
        self._tell(responses)
        self._heard(self)
