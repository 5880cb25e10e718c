"""What keeps one version from taking more than its share: time, requests at once, bytes of a body. ASGI, no more.

Standard library only: it runs in the process of the function.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


LINGER_S = 2.0
"""For how long what is beyond the limit is taken in and thrown away before its sender is told."""


@dataclass(frozen=True)
class Limits:
    """``timeout_s`` from the moment a request is taken to the end of its answer, waiting for its turn included."""

    timeout_s: float = 30.0
    concurrency: int = 100
    body_bytes: int = 64 * 1024 * 1024


class TooLarge(Exception):
    """A body beyond the limit."""


class Limited:
    """An application within its limits. Its errors become answers (500, 504, 503, 413) and lines of the log.

    ``stuck`` is called when a request that timed out could not be ended: its thread goes on and takes up room.
    """

    def __init__(self, app: Application, limits: Limits, stuck: Callable[[], None]) -> None:
        self._app, self._limits, self._stuck = app, limits, stuck
        self._turns = asyncio.Semaphore(limits.concurrency)
        self.under_way = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        self.under_way += 1
        try:
            await self._within_time(scope, receive, answer)
        finally:
            self.under_way -= 1

    async def _within_time(self, scope: MutableMapping[str, Any], receive: Receive, answer: _Answer) -> None:
        has_turn = False
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                async with self._turns:
                    has_turn = True
                    if _said_bytes(scope) > self._limits.body_bytes:
                        raise TooLarge
                    await self._app(scope, _bounded(receive, self._limits.body_bytes), answer.send)
                    if not answer.started:
                        raise RuntimeError("the application returned without an answer")
        except TimeoutError:
            where = f"{scope['method']} {scope['path']}"
            _say(f"{where}: {'not answered' if has_turn else 'no turn'} within {self._limits.timeout_s:g} s")
            if has_turn:
                self._stuck()
            await answer.instead(504 if has_turn else 503, "the function took too long")
        except TooLarge:
            await _linger(receive)
            await answer.instead(413, f"a body may have {self._limits.body_bytes} bytes")
        except (Exception, SystemExit):
            _say(f"{scope['method']} {scope['path']}: the function raised\n{traceback.format_exc()}")
            await answer.instead(500, "the function failed")


class _Answer:
    """Knows whether an answer has begun, after which no other one can take its place."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.ended = False

    async def send(self, message: Message) -> None:
        self.started = True
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def instead(self, status: int, what: str) -> None:
        if self.ended:
            return
        if self.started:
            raise ConnectionAbortedError(what)  # the server cuts the connection: half an answer must not look whole
        body = (what + "\n").encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        if status != 500:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _said_bytes(scope: MutableMapping[str, Any]) -> int:
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(said) if said.isdigit() else 0


def _bounded(receive: Receive, limit_bytes: int) -> Receive:
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > limit_bytes:
            raise TooLarge
        return message

    return bounded


async def _linger(receive: Receive) -> None:
    """Take in what comes still: who is sending when the connection closes would lose the answer with it."""
    try:
        async with asyncio.timeout(LINGER_S):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
