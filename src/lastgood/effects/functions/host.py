"""The process of a Python function: uvicorn on a listening socket that somebody else opened and keeps.

Connections that were not accepted stay in the kernel's queue for the next process, so the accept loop is ours: it stops
in one step of the event loop, and what was accepted before that is answered. It runs on the bare interpreter with the
packages of the function; of ours it sees uvicorn and this folder, after its own.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import resource
import signal
import socket
import sys
import traceback
from types import FrameType
from typing import Any

from lastgood.effects.functions.handlers import BadApplication, Handler, as_asgi, interface_of, load
from lastgood.effects.functions.limits import Limited, Limits

SETTINGS = "LASTGOOD_WORKER"
CRON_TOKEN = "LASTGOOD_CRON"  # noqa: S105 the name of a variable
CANNOT_START, STUCK = 3, 75
"""Exit codes: it cannot be imported or started; a thread of it never came back."""
_KEEP_ALIVE_S = 75
"""Longer than the gateway keeps idle connections (4 s): who closes first must be the one who sends."""
_ACCEPTS_AT_ONCE = 64
_FRESH_S = 1.0
_GRACE_S = 60.0


def main() -> int:
    """Serve until SIGTERM. What keeps it from starting goes to the log, as Python tells it."""
    settings = json.loads(os.environ.pop(SETTINGS))
    cron_token = os.environ.pop(CRON_TOKEN, "")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.path.insert(0, settings["folder"])
    os.environ.setdefault("AWS_LAMBDA_FUNCTION_NAME", settings["name"])
    try:
        found = load(settings["app"])
        threaded = interface_of(found, settings["interface"]) != "asgi"
        app = as_asgi(found, settings["interface"], settings["concurrency"])
    except BadApplication as error:
        print(f"{settings['name']} cannot start: {error}", file=sys.stderr, flush=True)
        return CANNOT_START
    except BaseException:
        traceback.print_exc()
        print(f"{settings['name']} cannot start: importing {settings['app']} failed", file=sys.stderr, flush=True)
        return CANNOT_START
    if isinstance(app, Handler):
        app.name, app.version = settings["name"], settings["version"]
        app.cron_token = cron_token
        app.memory_mb, app.timeout_s = settings["memory_mb"], settings["timeout_s"]
    code: int = asyncio.run(_serve(app, settings, threaded))
    return code


async def _serve(app: Any, settings: dict[str, Any], threaded: bool) -> int:
    from uvicorn import Config

    limits = Limits(settings["timeout_s"], settings["concurrency"], settings["body_bytes"])
    host: Host | None = None

    def stuck() -> None:
        if threaded and host is not None:
            host.leave(STUCK)

    limited = Limited(app, limits, stuck)
    config = Config(
        limited,
        interface="asgi3",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        server_header=False,
        lifespan="auto",
    )
    host = Host(config, socket.socket(fileno=settings["fd"]), settings["ready_fd"], limits.timeout_s)
    return await host.run()


class Host:
    """uvicorn's protocols and lifespan behind an accept loop of ours."""

    def __init__(self, config: Any, listener: socket.socket, ready_fd: int, timeout_s: float) -> None:
        from uvicorn.server import ServerState

        config.load()
        self._config, self._listener, self._ready_fd, self._timeout_s = config, listener, ready_fd, timeout_s
        self._state = ServerState()
        self._lifespan = config.lifespan_class(config)
        self._accepting: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Until SIGTERM or :meth:`leave`; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            print("the application's startup failed", file=sys.stderr, flush=True)
            return CANNOT_START
        self._listener.setblocking(False)
        loop.add_reader(self._listener.fileno(), self._accept)
        os.write(self._ready_fd, b"r")
        await self._tick()
        await self._drain()
        faulthandler.cancel_dump_traceback_later()
        if self._code:
            sys.stderr.flush()
            os._exit(self._code)  # a thread that never comes back would keep us for ever
        await self._lifespan.shutdown()
        return self._code

    def leave(self, code: int = 0, _frame: FrameType | None = None) -> None:
        """Accept no more, answer what was accepted, end."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._code = self._code or code
        self._leaving.set()

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                print(f"cannot accept: {error.strerror}", file=sys.stderr, flush=True)
                return
            connection.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._adopt(connection))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _adopt(self, connection: socket.socket) -> None:
        def protocol() -> Any:
            made = self._config.http_protocol_class
            return made(config=self._config, server_state=self._state, app_state=self._lifespan.state)

        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)

    async def _tick(self) -> None:
        """Once a second: say whether there was anything to do; a loop that does not come by any more is ended."""
        from email.utils import formatdate

        told = 0
        while not self._leaving.is_set():
            faulthandler.dump_traceback_later(self._timeout_s + 5.0, exit=True)
            self._state.default_headers = [
                (b"date", formatdate(usegmt=True).encode()),
                *self._config.encoded_headers,
            ]
            if self._state.total_requests != told or self._state.tasks:
                told = self._state.total_requests
                self._say_busy()
            try:
                async with asyncio.timeout(1.0):
                    await self._leaving.wait()
            except TimeoutError:
                continue

    def _say_busy(self) -> None:
        try:
            os.write(self._ready_fd, b".")
        except OSError:
            pass  # nobody listens any more; whoever keeps the socket knows

    async def _drain(self) -> None:
        """Answer what was accepted; a connection without a request yet gets a moment for its first one."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while (self._state.connections or self._accepting or self._state.tasks) and loop.time() - began_s < _GRACE_S:
            faulthandler.dump_traceback_later(self._timeout_s + 5.0, exit=True)
            fresh_over = loop.time() - began_s > _FRESH_S
            for protocol in list(self._state.connections):
                if getattr(protocol, "cycle", None) is not None or fresh_over:
                    protocol.shutdown()
            await asyncio.sleep(0.02)
