"""A delta ADS server for one proxy, just enough to feed a snapshot and see whether it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from lastgood.gateway.snapshot import CLUSTER, EXTENSION, LISTENER, RUNTIME, SCOPE, SECRET, Snapshot

ORDER = (CLUSTER, SECRET, EXTENSION, LISTENER, SCOPE, RUNTIME)
WILDCARD = (CLUSTER, LISTENER, SCOPE)


class MiniAds(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    """``push`` sends what differs, type by type, each acknowledged before the next; clusters go last."""

    def __init__(self) -> None:
        self.wanted: Snapshot | None = None
        self.refusals: list[str] = []
        self.sent: dict[str, dict[str, str]] = {}
        self.names: dict[str, set[str]] = {}
        self.pushed: list[tuple[str, tuple[str, ...]]] = []
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self._acks: dict[str, asyncio.Event] = {}
        self._nonce = 0
        self._server: Any = None

    async def start(self, path: str) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def DeltaAggregatedResources(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        self.sent.clear()
        self.names.clear()
        reader = asyncio.create_task(self._read(requests))
        try:
            while True:
                yield await self._out.get()
        finally:
            reader.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            if request.error_detail.message:
                self.refusals.append(request.error_detail.message)
            if request.response_nonce in self._acks:
                self._acks[request.response_nonce].set()
            first = request.type_url not in self.names
            names = self.names.setdefault(request.type_url, set())
            new = set(request.resource_names_subscribe) - {"*"}
            names |= new
            if first or new:
                self._send(request.type_url, force=new)

    def _send(self, type_url: str, *, force: set[str] = frozenset(), remove: bool = True) -> str | None:  # type: ignore[assignment]
        if type_url not in self.names:
            return None
        assert self.wanted
        wanted, held = self.wanted.resources[type_url], self.sent.setdefault(type_url, {})
        asked = set(wanted) if type_url in WILDCARD else self.names[type_url] & set(wanted)
        changed = [wanted[name] for name in sorted(asked) if held.get(name) != wanted[name].version or name in force]
        gone = [name for name in held if name not in wanted] if remove else []
        if not changed and not gone and type_url not in WILDCARD:
            return None
        self._nonce += 1
        response = discovery_pb2.DeltaDiscoveryResponse(nonce=str(self._nonce), type_url=type_url)
        response.removed_resources.extend(gone)
        for made in changed:
            item = response.resources.add(name=made.name, version=made.version)
            item.resource.type_url, item.resource.value = type_url, made.body
            held[made.name] = made.version
        for name in gone:
            held.pop(name)
        if changed or gone:
            self.pushed.append((type_url, (*(made.name for made in changed), *gone)))
        self._acks[response.nonce] = asyncio.Event()
        self._out.put_nowait(response)
        return response.nonce

    async def push(self, snapshot: Snapshot) -> None:
        """Send what differs; raises AssertionError with the proxy's words if it refuses."""
        self.wanted = snapshot
        self.pushed.clear()
        before = len(self.refusals)
        for type_url in (*ORDER, CLUSTER):
            nonce = self._send(type_url, remove=type_url != CLUSTER)
            if nonce:
                await asyncio.wait_for(self._acks[nonce].wait(), 5)
                assert len(self.refusals) == before, self.refusals[before:]
        self._send(CLUSTER)
