"""The delta ADS server on a Unix socket that only its owner may open."""

from __future__ import annotations

import asyncio
import os
import socket as sockets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.link import Link
from lastgood.effects.envoy.wire import METHOD, SERVICE, decode, encode
from lastgood.errors import Conflict, Unavailable

CALLS_END_S = 1.0
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Envoy pings every second to notice a frozen controller; the defaults would hang up on that.
    ("grpc.http2.min_ping_interval_without_data_ms", 100),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_LONGEST_PATH = 107


class AdsServer:
    """Serves a fleet. A socket left behind by a dead controller is replaced.

    One that is listened on is a ``Conflict``, unless ``take_over``: the caller then holds the lock and knows the other
    controller to be frozen; its proxies come over as soon as they notice that it does not answer.
    """

    def __init__(self, socket: Path, fleet: Fleet, *, take_over: bool = False) -> None:
        self.socket = socket
        self._fleet = fleet
        self._take_over = take_over
        self._server: Any = None
        self._inode: int | None = None
        self._streams: set[object] = set()

    async def start(self) -> None:
        """Listen. Raises ``Conflict`` or ``Unavailable``."""
        # Bound under another name and moved into place: replaced at once, never open to others, and a server of
        # before that removes its socket when it ends removes nothing of ours.
        temporary = self.socket.with_name(f"{self.socket.name}.{os.getpid()}")
        if len(os.fsencode(temporary)) > _LONGEST_PATH:
            raise Unavailable(
                "the path is too long for a Unix socket", where=str(self.socket), next="use a shorter --state"
            )
        if not self._take_over and _listened_on(self.socket):
            raise Conflict("another controller serves the proxies", where=str(self.socket), next="lastgood status")
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            mask = os.umask(0o177)
            try:
                self._server.add_insecure_port(f"unix:{temporary}")
            finally:
                os.umask(mask)
            temporary.chmod(0o600)
            await self._server.start()
            temporary.replace(self.socket)
        except (OSError, RuntimeError) as problem:
            raise Unavailable(
                f"cannot listen: {problem}", where=str(self.socket), next="see whether the folder may be written"
            ) from problem
        self._inode = self.socket.stat().st_ino

    async def drained(self, limit_s: float) -> None:
        """Wait until every stream has ended by itself; what is torn down instead leaves a traceback behind."""
        waited_s = 0.0
        while self._streams and waited_s < limit_s:
            await asyncio.sleep(0.01)
            waited_s += 0.01

    async def stop(self, grace_s: float = 0.0) -> None:
        """End all streams and the socket; proxies serve on with what they have."""
        if self._server is None:
            return
        await self._server.stop(grace_s)
        self._server = None
        await _calls_ended(CALLS_END_S)
        try:
            if self.socket.stat().st_ino == self._inode:
                self.socket.unlink()
        except FileNotFoundError:
            pass

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        link: Link | None = None
        writer: asyncio.Task[None] | None = None
        reader = asyncio.current_task()
        self._streams.add(reader)
        try:
            async for data in requests:
                try:
                    node, request = decode(data)
                except DecodeError:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a DeltaDiscoveryRequest")
                if link is None and not node:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request must have a node id")
                if link is None:
                    link = self._fleet.connect(node)
                    writer = asyncio.create_task(_write(link, context))
                    writer.add_done_callback(lambda _: reader and reader.cancel())
                link.receive(request)
        except asyncio.CancelledError:
            # The stream was cut, or the writer ended because a newer stream of this proxy took its place.
            if writer is None or not writer.done():
                raise
        finally:
            if link:
                self._fleet.disconnect(link)
            if writer:
                writer.cancel()
            self._streams.discard(reader)


async def _calls_ended(limit_s: float) -> None:
    """Wait for what gRPC itself runs for each stream: cancelled by the end of the event loop, it prints a traceback."""
    deadline_s = asyncio.get_running_loop().time() + limit_s
    while any("_schedule_rpc_coro" in getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()):
        if asyncio.get_running_loop().time() > deadline_s:
            return
        await asyncio.sleep(0.005)


async def _write(link: Link, context: Any) -> None:
    while (response := await link.outbox.get()) is not None:
        await context.write(encode(response))


def _listened_on(path: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
