"""The gateway's Envoys as the operations see them (``ports.Proxies``)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lastgood.effects.envoy.admin import Admin
from lastgood.effects.envoy.bootstrap import Proxy
from lastgood.effects.envoy.counters import Silence, confirm_silent, read_counts
from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.preflight import Preflight
from lastgood.effects.envoy.server import AdsServer
from lastgood.effects.envoy.warmth import wait_until_zero
from lastgood.errors import Conflict
from lastgood.gateway.bridge import bridge
from lastgood.gateway.names import HOST
from lastgood.gateway.snapshot import (
    EXTENSION,
    LISTENER,
    RUNTIME,
    RUNTIME_LAYER,
    SCOPE,
    Generation,
    Resource,
    Snapshot,
    Traffic,
)
from lastgood.ports import Convergence, ProxyState

FROZEN_S = 5.0
"""A proxy that talks to a frozen controller notices after three seconds, and then needs one more to find us."""
_WARMING_CLUSTERS = r"cluster_manager\.warming_clusters"
_WARMING_LISTENERS = r"listener_manager\.total_listeners_warming"


class EnvoyProxies:
    """Envoys that share one ADS socket (that of the first of ``proxies``).

    ``build`` compiles a state (it is called on a thread), ``runtime`` makes the runtime resource for a candidate's
    release number and percent, or for none. Without ``preflight`` nothing is tried before it is served.
    """

    def __init__(
        self,
        proxies: Sequence[Proxy],
        build: Callable[[Traffic], Snapshot],
        *,
        runtime: Callable[[int, float], Resource] | None = None,
        preflight: Preflight | None = None,
        timeout_s: float = 5.0,
        grace_s: float = 2.0,
        redact: Callable[[str], str] = str,
        trust_reported: bool = True,
        take_over: bool = False,
    ) -> None:
        self._build, self._runtime, self._preflight = build, runtime, preflight
        self._admins = {proxy.name: Admin(proxy.admin_socket) for proxy in proxies}
        self._timeout_s = timeout_s
        self.fleet = Fleet(
            self._admins,
            timeout_s=timeout_s,
            grace_s=max(grace_s, FROZEN_S) if take_over else grace_s,
            warm=self._clusters_warm,
            redact=redact,
            trust_reported=trust_reported,
        )
        self._server = AdsServer(Path(proxies[0].ads_socket), self.fleet, take_over=take_over)
        self._served: tuple[Traffic, Snapshot] | None = None
        self._calls = 0

    async def start(self) -> None:
        """Listen for the proxies; they get nothing before the first ``serve``."""
        await self._server.start()

    async def stop(self) -> None:
        """Leave the proxies alone: they serve on."""
        await self._server.stop()
        if self._preflight:
            await self._preflight.stop()

    async def leave(self) -> None:
        """Like ``stop``, and the preflight proxy goes on too: the next controller finds it warm."""
        self.fleet.hang_up()
        await self._server.drained(1.0)
        await self._server.stop()

    async def preflight(self, traffic: Traffic) -> None:
        """See ``ports.Proxies``; nothing is tried when there is no preflight proxy."""
        if self._preflight:
            await self._preflight.check(await asyncio.to_thread(self._build, traffic))

    async def serve(self, traffic: Traffic) -> Convergence:
        """See ``ports.Proxies``. ``took_ms`` runs from the push (when only the percent changes: from the call)."""
        self._calls += 1
        call = self._calls
        quick = await self._shift(traffic)
        snapshot = await asyncio.to_thread(self._build, traffic)
        if call != self._calls:
            # It took so long to compile that somebody else was served meanwhile: that is what counts.
            raise Conflict("a newer state is being served", next="nothing: the newer one is what counts")
        # After a quick shift this tells nobody anything; it settles the digest, and would repair a difference.
        proof = quick or await self._cross(snapshot)
        settled = await self.push(snapshot)
        self._served = (traffic, snapshot)
        if quick:
            return replace(settled, took_ms=quick.took_ms, details=quick.details)
        return replace(settled, took_ms=settled.took_ms + proof.took_ms) if proof else settled

    async def _cross(self, wanted: Snapshot) -> Convergence | None:
        """First the state in which the routes of both sides work, where the way needs one."""
        served = self.fleet.target
        if served is None or not (_is_compiled(served) and _is_compiled(wanted)):
            return None
        between = await asyncio.to_thread(bridge, served, wanted)
        return await self.push(between) if between else None

    async def push(self, snapshot: Snapshot) -> Convergence:
        """Bring every proxy to this snapshot and wait until its listeners are open. Raises as ``serve`` does."""
        before = self.fleet.target
        self._served = None
        proof = await self.fleet.push(snapshot)
        if before and _versions(before, LISTENER) == _versions(snapshot, LISTENER):
            return proof
        started_s = time.perf_counter()
        await asyncio.gather(*(self._listeners_open(name) for name in proof.acknowledged))
        opening_ms = (time.perf_counter() - started_s) * 1000
        return replace(proof, took_ms=proof.took_ms + opening_ms, details={**proof.details, "opening_ms": opening_ms})

    async def requests(self) -> Mapping[int, int]:
        """See ``ports.Proxies``. Raises ``Unavailable`` when no proxy can be asked."""
        total: dict[int, int] = {}
        for counts in (await read_counts(self._admins)).values():
            for release, count in counts.items():
                total[release] = total.get(release, 0) + count
        return total

    async def confirm_silent(self, release: int, window_s: float) -> Silence:
        """How many requests a release that was left still gets, counted over a window from now on."""
        return await confirm_silent(lambda: read_counts(self._admins), release, window_s)

    def states(self) -> tuple[ProxyState, ...]:
        """See ``ports.Proxies``."""
        return self.fleet.states()

    def admin(self, name: str) -> Admin:
        """The admin socket of a proxy."""
        return self._admins[name]

    async def _shift(self, traffic: Traffic) -> Convergence | None:
        """The quick way when only the percent differs: one message that was never compiled. None otherwise."""
        if self._served is None or self._runtime is None or traffic.candidate is None:
            return None
        started_s = time.perf_counter()
        served, snapshot = self._served
        if snapshot is not self.fleet.target or not _same_generations(served, traffic):
            return None
        runtime = {RUNTIME_LAYER: self._runtime(traffic.candidate.release, traffic.percent)}
        resources = {**snapshot.resources, RUNTIME: runtime}
        shifted = Snapshot(resources, f"{snapshot.digest}~{runtime[RUNTIME_LAYER].version}")
        before_ms = (time.perf_counter() - started_s) * 1000
        proof = await self.fleet.push(shifted)
        return replace(proof, took_ms=before_ms + proof.took_ms)

    async def _clusters_warm(self, name: str) -> None:
        if name in self._admins:
            await wait_until_zero(self._admins[name], _WARMING_CLUSTERS, self._timeout_s / 2)

    async def _listeners_open(self, name: str) -> None:
        if name in self._admins:
            await wait_until_zero(self._admins[name], _WARMING_LISTENERS, self._timeout_s / 2)


def _versions(snapshot: Snapshot, type_url: str) -> dict[str, str]:
    return {name: resource.version for name, resource in snapshot.resources.get(type_url, {}).items()}


def _is_compiled(snapshot: Snapshot) -> bool:
    """Whether it has the chain of filters that the compiler makes, which alone needs a bridge."""
    return SCOPE in snapshot.resources and HOST in snapshot.resources.get(EXTENSION, {})


def _same_generations(one: Traffic, other: Traffic) -> bool:
    return _same(one.base, other.base) and _same(one.candidate, other.candidate)


def _same(one: Generation | None, other: Generation | None) -> bool:
    if one is other:
        return True
    if one is None or other is None or one.release != other.release or _fixed(one) != _fixed(other):
        return False
    return one.configuration is other.configuration or _digests(one) == _digests(other)


def _fixed(generation: Generation) -> dict[str, object]:
    """What the clusters are made of; the endpoints of a version come and go without one."""
    return {**generation.endpoints, **generation.versions}


def _digests(generation: Generation) -> dict[str, str]:
    return {key: entry.digest for key, entry in generation.configuration.entries.items()}
