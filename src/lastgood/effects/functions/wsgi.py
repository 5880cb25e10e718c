"""WSGI (PEP 3333) under ASGI: the request's body in a spooled file, the answer streamed from a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import queue
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from lastgood.effects.functions.limits import Receive, Send

_SPOOL_BYTES = 1024 * 1024
_AHEAD = 16
"""Pieces of an answer that may wait for a slow client before the application has to."""


class Wsgi:
    """A WSGI application as ASGI."""

    def __init__(self, app: Callable[..., Any], pool: concurrent.futures.Executor) -> None:
        self._app, self._pool = app, pool

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """One request; there is no lifespan."""
        if scope["type"] == "lifespan":
            from lastgood.effects.functions.handlers import _lifespan

            await _lifespan(receive, send)
            return
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as body:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
            body.seek(0)
            await self._answer(environ_of(scope, body), send)

    async def _answer(self, environ: dict[str, Any], send: Send) -> None:
        loop = asyncio.get_running_loop()
        room: queue.Queue[None] = queue.Queue(_AHEAD)
        pieces: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def give(message: dict[str, Any] | None) -> None:
            if message is not None:
                room.put(None, timeout=60)
            loop.call_soon_threadsafe(pieces.put_nowait, message)

        work = loop.run_in_executor(self._pool, _run, self._app, environ, give)
        while (message := await pieces.get()) is not None:
            await send(message)
            room.get_nowait()
        await work


def environ_of(scope: Any, body: Any) -> dict[str, Any]:
    """The environment of a request."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1] or 80),
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        joint = ";" if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    if "CONTENT_LENGTH" not in environ and isinstance(body, io.IOBase | tempfile.SpooledTemporaryFile):
        environ["CONTENT_LENGTH"] = str(body.seek(0, io.SEEK_END))
        body.seek(0)
    return environ


def _run(app: Callable[..., Any], environ: dict[str, Any], give: Callable[[dict[str, Any] | None], None]) -> None:
    """Call the application and give what it says, piece by piece; ``None`` is the end, also of one that failed."""
    said: list[Any] = []
    begun = False

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info and begun:
            raise exc_info[1].with_traceback(exc_info[2])
        said[:] = [
            int(status.split(" ", 1)[0]),
            [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        ]
        return piece

    def piece(content: bytes) -> None:
        nonlocal begun
        if not begun:
            if not said:
                raise RuntimeError("the application gave a body before it called start_response")
            begun = True
            give({"type": "http.response.start", "status": said[0], "headers": said[1]})
        if content:
            give({"type": "http.response.body", "body": content, "more_body": True})

    try:
        result = app(environ, start_response)
        try:
            for content in result:
                piece(content)
        finally:
            if hasattr(result, "close"):
                result.close()
        piece(b"")
        give({"type": "http.response.body", "body": b"", "more_body": False})
    except SystemExit as left:
        raise RuntimeError(f"the application called exit({left.code})") from None
    finally:
        give(None)
