"""Proxies in memory, with the faults that real ones have: they refuse, hang, vanish and lie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lastgood.config.configuration import canonical, digest_of
from lastgood.errors import Rejected
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.ports import Convergence, ProxyState


@dataclass(slots=True)
class _Proxy:
    connected: bool = True
    hangs: bool = False
    lies: bool = False
    serves: Traffic | None = None
    acknowledged: str | None = None
    refusal: str | None = None
    requests: dict[int, int] = field(default_factory=dict)


class FakeProxies:
    """``ports.Proxies`` without a network. ``sleep`` passes the time that a proxy which does not answer takes.

    ``pushes`` lists every state that was pushed, the ones after a refusal included.
    """

    def __init__(
        self,
        names: Sequence[str] = ("one", "two"),
        *,
        timeout_s: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._proxies = {name: _Proxy() for name in names}
        self._timeout_s, self._sleep = timeout_s, sleep
        self._refused: dict[int, str] = {}
        self._target: Traffic | None = None
        self._accepted: Traffic | None = None
        self.pushes: list[Traffic] = []

    # --- faults -------------------------------------------------------------------------------------------------

    def refuse(self, release: int, words: str = "refused by a fault") -> None:
        """Every proxy refuses states that this release is part of; also in the preflight."""
        self._refused[release] = words

    def hang(self, name: str) -> None:
        """Stays connected, neither accepts nor refuses, goes on with what it has."""
        self._proxies[name].hangs = True

    def vanish(self, name: str) -> None:
        """Is gone, with all it knew."""
        self._proxies[name] = _Proxy(connected=False)

    def lie(self, name: str) -> None:
        """Acknowledges from now on without doing anything."""
        self._proxies[name].lies = True

    def heal(self, name: str) -> None:
        """No fault any more; it is told the current state at once."""
        proxy = self._proxies[name]
        proxy.connected, proxy.hangs, proxy.lies = True, False, False
        if self._target:
            self._tell(proxy, self._target)

    # --- what the simulated users see ---------------------------------------------------------------------------

    def request(self, name: str, count: int = 1) -> Mapping[int, int]:
        """Send requests to a proxy: how many of them each release answered (shares are rounded)."""
        proxy = self._proxies[name]
        if not proxy.connected or proxy.serves is None:
            return {}
        traffic, share = proxy.serves, 0
        answered: dict[int, int] = {}
        if traffic.candidate:
            share = round(count * traffic.percent / 100)
            answered[traffic.candidate.release] = share
        answered[traffic.base.release] = answered.get(traffic.base.release, 0) + count - share
        for release, number in answered.items():
            proxy.requests[release] = proxy.requests.get(release, 0) + number
        return {release: number for release, number in answered.items() if number}

    # --- the port -----------------------------------------------------------------------------------------------

    async def preflight(self, traffic: Traffic) -> None:
        """See ``ports.Proxies``."""
        await self._sleep(0)
        words = self._words(traffic)
        if words:
            raise Rejected(words, where="preflight proxy", next="mend what it complains of; no traffic was affected")

    async def serve(self, traffic: Traffic) -> Convergence:
        """See ``ports.Proxies``."""
        await self._sleep(0)
        silent = self._push(traffic)
        refused = [name for name, proxy in self._proxies.items() if proxy.refusal]
        if refused:
            words = self._proxies[refused[0]].refusal or ""
            if self._accepted:
                self._push(self._accepted)
            for name in refused:
                self._proxies[name].refusal = words
            raise Rejected(words, where=f"proxy {refused[0]}", next="mend what the proxy complains of")
        if silent:
            await self._sleep(self._timeout_s)
        digest = digest_of_traffic(traffic)
        has_it = [name for name, proxy in self._proxies.items() if proxy.connected and proxy.acknowledged == digest]
        if has_it:
            self._accepted = traffic
        away = tuple(sorted(set(self._proxies) - set(has_it)))
        waited_ms = 1000 * self._timeout_s if silent else 1.0
        return Convergence(digest, tuple(sorted(has_it)), away, 1.0, {"silent": silent, "waited_ms": waited_ms})

    async def requests(self) -> Mapping[int, int]:
        """See ``ports.Proxies``."""
        total: dict[int, int] = {}
        for proxy in self._proxies.values():
            for release, count in proxy.requests.items():
                total[release] = total.get(release, 0) + count
        return total

    def states(self) -> tuple[ProxyState, ...]:
        """See ``ports.Proxies``."""
        return tuple(
            ProxyState(name, proxy.connected, proxy.acknowledged, proxy.refusal, behind=self._is_behind(proxy))
            for name, proxy in sorted(self._proxies.items())
        )

    def _is_behind(self, proxy: _Proxy) -> bool:
        served = digest_of_traffic(self._target) if self._target else None
        return proxy.connected and proxy.hangs and proxy.acknowledged != served

    def _push(self, traffic: Traffic) -> list[str]:
        """Tell every proxy; the names of those that do not answer."""
        self._target = traffic
        self.pushes.append(traffic)
        for proxy in self._proxies.values():
            self._tell(proxy, traffic)
        return [name for name, proxy in self._proxies.items() if proxy.connected and proxy.hangs]

    def _tell(self, proxy: _Proxy, traffic: Traffic) -> None:
        if not proxy.connected or proxy.hangs:
            return
        proxy.refusal = None if proxy.lies else self._words(traffic)
        if proxy.refusal:
            return
        proxy.acknowledged = digest_of_traffic(traffic)
        if not proxy.lies:
            proxy.serves = traffic

    def _words(self, traffic: Traffic) -> str | None:
        generations = (traffic.base, *([traffic.candidate] if traffic.candidate else []))
        return next((self._refused[each.release] for each in generations if each.release in self._refused), None)


def digest_of_traffic(traffic: Traffic) -> str:
    """Stands for the digest of the snapshot: the same for the same meaning."""
    generations = [_content(traffic.base), _content(traffic.candidate) if traffic.candidate else None]
    return digest_of(canonical([*generations, traffic.percent if traffic.candidate else 0.0]))


def _content(generation: Generation) -> list[object]:
    entries = {key: entry.digest for key, entry in generation.configuration.entries.items()}
    endpoints = {name: list(where) for name, where in generation.endpoints.items()}
    return [generation.release, entries, endpoints, dict(generation.versions)]
