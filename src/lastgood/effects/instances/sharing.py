"""One answer for all who ask while a question is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """A question that many ask at once: each gets an answer to one that was put after they asked, never an older one.

    One is under way at most, and one more waits behind it for whoever comes meanwhile. Who gives up asking takes the
    answer from nobody else; what the question raises is raised for all who share it.
    """

    def __init__(self, question: Callable[[], Awaitable[T]]) -> None:
        self._question = question
        self._current: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def ask(self) -> T:
        """The answer."""
        if self._next is None:
            self._next = asyncio.create_task(self._put())
            self._next.add_done_callback(_nobody_may_wait)
        return await asyncio.shield(self._next)

    async def _put(self) -> T:
        if self._current is not None:
            await asyncio.wait([self._current])
        self._current, self._next = self._next, None
        return await self._question()


def _nobody_may_wait(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
