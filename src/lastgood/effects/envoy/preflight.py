"""A proxy without traffic that is told first: a refusal there costs nobody anything."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from envoy.config.listener.v3 import listener_pb2

from lastgood.effects.envoy.admin import Admin
from lastgood.effects.envoy.binary import find_envoy
from lastgood.effects.envoy.bootstrap import Proxy, argv, bootstrap
from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.launcher import Handle, Launcher
from lastgood.effects.envoy.server import AdsServer
from lastgood.errors import Rejected, Unavailable
from lastgood.gateway.clusters import assignment
from lastgood.gateway.snapshot import ENDPOINTS, LISTENER, Resource, Snapshot

_NAME = "preflight"
_EMPTY = Snapshot({}, "empty")
_REMEMBERED = 64
_DYING_S = 2


class Preflight:
    """One Envoy with its own ADS and admin sockets in ``folder`` (keep its path short).

    Started at the first check, and again whenever it has died. Its listeners never bind. Its clusters are real: the
    upstreams with an active health check are asked by this proxy too.
    """

    def __init__(
        self,
        folder: Path,
        launcher: Launcher,
        *,
        binary: Path | None = None,
        timeout_s: float = 10.0,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._folder, self._launcher, self._binary = folder, launcher, binary
        self._timeout_s, self._redact = timeout_s, redact
        self._proxy = Proxy(_NAME, folder / "preflight-ads.sock", folder / "preflight-admin.sock")
        self._admin = Admin(self._proxy.admin_socket)
        self._fleet: Fleet | None = None
        self._server: AdsServer | None = None
        self._handle: Handle | None = None
        self._verdicts: OrderedDict[str, str | None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def check(self, snapshot: Snapshot) -> None:
        """Raises ``Rejected`` with the proxy's words, ``Unavailable`` when nothing can be said.

        The answer is remembered by the snapshot's digest. After a refusal the proxy is back at the last good state.
        """
        async with self._one_at_a_time:
            if snapshot.digest not in self._verdicts:
                words = await self._verdict(_without_ports(snapshot))
                self._verdicts[snapshot.digest] = words
                if len(self._verdicts) > _REMEMBERED:
                    self._verdicts.popitem(last=False)
            refused = self._verdicts[snapshot.digest]
        if refused is not None:
            raise Rejected(refused, where="preflight proxy", next="mend what it complains of; no traffic was affected")

    async def stop(self) -> None:
        """End the proxy and its server."""
        if self._handle:
            await self._handle.stop()
        if self._server:
            await self._server.stop()
        self._handle = self._server = self._fleet = None

    async def _verdict(self, snapshot: Snapshot) -> str | None:
        for _ in range(2):
            fleet = await self._running()
            good = fleet.accepted or _EMPTY
            try:
                proof = await fleet.push(snapshot, timeout_s=self._timeout_s)
            except Rejected as refusal:
                return refusal.what
            if proof.acknowledged:
                return None
            # Neither yes nor no: it died of it, or hangs. Once more, from the state before, with a new proxy.
            died = await self._has_died()
            await self._discard(good)
        if died:
            return "the proxy dies of this configuration (tried twice)"
        raise Unavailable(f"the preflight proxy gave no answer within {self._timeout_s:g} s", where=str(self._log))

    @property
    def _log(self) -> Path:
        return self._folder / "preflight.log"

    async def _running(self) -> Fleet:
        """The fleet with its one proxy connected and at the last good state."""
        if self._handle and not self._handle.running():
            await self._discard(self._fleet.accepted if self._fleet else None)
        if self._fleet is None:
            self._fleet = Fleet([_NAME], timeout_s=self._timeout_s, grace_s=0.0, redact=self._redact)
            self._server = AdsServer(self._proxy.ads_socket, self._fleet)
            await self._server.start()
        if self._handle is None:
            self._handle = await self._launch()
            if not await self._fleet.connected(self._timeout_s):
                await self._discard(self._fleet.accepted)
                raise Unavailable("the preflight proxy does not start", where=str(self._log), next="read this log")
            await self._fleet.push(self._fleet.accepted or _EMPTY, timeout_s=self._timeout_s)
        return self._fleet

    async def _has_died(self) -> bool:
        """Whether it ended by itself. Its stream breaks a moment before the process is seen to have ended."""
        for _ in range(_DYING_S * 100):
            if self._handle is None or not self._handle.running():
                return True
            if self._fleet and self._fleet.states()[0].connected:
                return False
            await asyncio.sleep(0.01)
        return False

    async def _launch(self) -> Handle:
        path = self._folder / "preflight.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(bootstrap(self._proxy))
        command = argv(self._binary or find_envoy(), path, self._proxy)
        return await self._launcher.launch(command, {}, self._log)

    async def _discard(self, good: Snapshot | None) -> None:
        handle, self._handle = self._handle, None
        if handle:
            await handle.stop()
        if self._fleet:
            # A new proxy is told the target as soon as it connects: let that be what the old one lived with.
            self._fleet.target = good
            self._fleet.hang_up()


def _without_ports(snapshot: Snapshot) -> Snapshot:
    """The same state, except that no listener binds its address, and that versions have no endpoints.

    Instances would be asked for their health by this proxy too, even after they were stopped.
    """
    listeners = snapshot.resources.get(LISTENER, {})
    unbound = {name: _unbound(resource) for name, resource in listeners.items()}
    nowhere = {name: assignment(name, ()) for name in snapshot.resources.get(ENDPOINTS, {})}
    return Snapshot({**snapshot.resources, LISTENER: unbound, ENDPOINTS: nowhere}, snapshot.digest)


def _unbound(resource: Resource) -> Resource:
    listener = listener_pb2.Listener.FromString(resource.body)
    listener.bind_to_port.value = False
    return Resource(resource.name, resource.version, listener.SerializeToString(deterministic=True))
