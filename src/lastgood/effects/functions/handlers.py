"""The kinds of Python functions, each as an ASGI application. Standard library only: it runs in their process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import inspect
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from lastgood.effects.functions.cron_request import scheduled_event
from lastgood.effects.functions.lambda_events import answer_of, event_of
from lastgood.effects.functions.limits import Application, Receive, Send

Interface = Literal["auto", "asgi", "wsgi", "lambda"]


class BadApplication(Exception):
    """What was named is not there or nothing that can be called; the message says which."""


def load(named: str) -> Any:
    """``MODULE:NAME`` (or Lambda's ``module.handler``) as an object. What importing raises comes through."""
    module_name, colon, path = named.partition(":")
    if not colon:
        module_name, _, path = named.rpartition(".")
    found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise BadApplication(f"{module_name} has no {path}")
        found = getattr(found, name)
    if not callable(found):
        raise BadApplication(f"{named} is {type(found).__name__}, which cannot be called")
    return found


def interface_of(app: Any, said: Interface) -> Interface:
    """How an object wants to be called; ``auto`` looks at its signature."""
    if said != "auto":
        return said
    called = app if inspect.isroutine(app) or inspect.isclass(app) else type(app).__call__
    if inspect.isclass(app) and hasattr(app, "__await__"):
        return "asgi"
    if inspect.iscoroutinefunction(called):
        return "lambda" if _names(called)[:2] == ["event", "context"] else "asgi"
    names = _names(called)
    if names[:2] == ["event", "context"]:
        return "lambda"
    return "asgi" if len(names) >= 3 else "wsgi"


def _names(called: Any) -> list[str]:
    try:
        names = list(inspect.signature(called).parameters)
    except (TypeError, ValueError):
        return []
    return names[1:] if names[:1] == ["self"] else names


def as_asgi(app: Any, interface: Interface, threads: int) -> Application:
    """An application of any kind as ASGI; what blocks runs on at most ``threads`` threads."""
    kind = interface_of(app, interface)
    if kind == "asgi":
        return app  # type: ignore[no-any-return]
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="function")
    if kind == "wsgi":
        from lastgood.effects.functions.wsgi import Wsgi

        return Wsgi(app, pool)
    return Handler(app, pool)


class Context:
    """What a Lambda handler finds in ``context``."""

    def __init__(self, name: str, version: str, memory_mb: int, request_id: str, ends_s: float) -> None:
        self.function_name, self.function_version = name, version
        self.memory_limit_in_mb = str(memory_mb)
        self.aws_request_id = request_id
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{name}:{version}"
        self.log_group_name, self.log_stream_name = f"/lastgood/{name}", version
        self._ends_s = ends_s

    def get_remaining_time_in_millis(self) -> int:
        """Until the request times out."""
        return max(0, int((self._ends_s - time.monotonic()) * 1000))


class Handler:
    """``handler(event, context)`` as ASGI; a plain function runs on a thread, a coroutine on the loop."""

    name, version, memory_mb, timeout_s = "function", "$LATEST", 512, 30.0
    cron_token = ""
    """What proves that a request is the clock's: see ``cron_request``."""

    def __init__(self, handler: Callable[..., Any], pool: concurrent.futures.Executor) -> None:
        self._handler, self._pool = handler, pool

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """One request; there is no lifespan."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await whole_body(receive)
        request_id = str(uuid.uuid4())
        event = scheduled_event(scope["headers"], self.cron_token, request_id) or event_of(
            scope, body, request_id=request_id, at=datetime.now(UTC)
        )
        ends_s = time.monotonic() + self.timeout_s
        context = Context(self.name, self.version, self.memory_mb, request_id, ends_s)
        if inspect.iscoroutinefunction(self._handler):
            result = await self._handler(event, context)
        else:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._pool, _called, self._handler, event, context)
        if event.get("source") == "aws.events":
            result = {"statusCode": 204}  # nobody is there to read what it returned
        status, headers, content = answer_of(result)
        headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _called(handler: Callable[..., Any], event: Any, context: Any) -> Any:
    """``sys.exit`` in a handler ends its request and not, silently, its thread."""
    try:
        return handler(event, context)
    except SystemExit as left:
        raise RuntimeError(f"{threading.current_thread().name}: the handler called exit({left.code})") from None


async def whole_body(receive: Receive) -> bytes:
    """All of a request's body."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client left before its request was complete")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
