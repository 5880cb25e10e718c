"""The gateway as the engine moves it: steps become traffic, traffic goes to the proxies."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lastgood.config.configuration import Configuration
from lastgood.errors import Conflict, LastgoodError, Rejected
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.health.reading import Counts, ProxyReading
from lastgood.ports import Convergence, Proxies
from lastgood.release.observed import Fact
from lastgood.release.release import GATEWAY
from lastgood.release.step import Step

ConfigurationOf = Callable[[int], Configuration]
EndpointsOf = Callable[[int], Mapping[str, tuple[str, ...]]]
VersionsOf = Callable[[int], Mapping[str, str]]
CONFIGURATIONS = 4


class GatewayDriver:
    """Moves ``gateway``. What it says is served is what every connected proxy acknowledged last."""

    def __init__(
        self,
        proxies: Proxies,
        configuration_of: ConfigurationOf,
        endpoints_of: EndpointsOf = lambda number: {},
        said_since: Callable[[float], list[str]] = lambda since_s: [],
        versions_of: VersionsOf = lambda number: {},
        at_hand: Callable[[int], Configuration | None] = lambda number: None,
    ) -> None:
        """``versions_of`` a release are the digests of its services, ``endpoints_of`` it the addresses of those.

        ``at_hand`` is a configuration that need not be read, which spares a deployment the way to a thread.
        """
        self._at_hand = at_hand
        self.measure: Callable[[Collection[int]], Awaitable[Mapping[str, ProxyReading]]] | None = None
        """What the proxies counted of releases; set it to have that kept of a release that is left."""
        self.printed_by: Callable[[Mapping[str, str]], list[str]] = lambda versions: []
        """The newest lines of the logs of versions of services."""
        self.port_held_by: Callable[[str, int], str | None] = lambda address, port: None
        """Who else listens there; set it to have that looked at before a release is tried."""
        self._proxies = proxies
        self._versions_of = versions_of
        self._moving = 0
        self._published: dict[tuple[str, str], frozenset[str]] = {}
        self._said_since = said_since
        self._served_since_s: dict[int, float] = {}
        self._configuration_of = configuration_of
        self._endpoints_of = endpoints_of
        self._configurations: OrderedDict[int, Configuration] = OrderedDict()
        self._served: dict[str, Any] = {"base": None, "candidate": None, "percent": 0.0}

    async def restore(self, served: Mapping[str, Any] | None, accepted: Mapping[str, Any] | None) -> None:
        """Bring the proxies to what the journal says was being served; on a refusal, to what they accepted last."""
        for args in (served, accepted):
            if args is None or args["base"] is None:
                continue
            try:
                await self._serve(await self._traffic(args))
                self._served = dict(args)
                return
            except LastgoodError:
                if args == accepted:
                    raise

    async def refresh(self) -> None:
        """Serve the same again: a secret was replaced or a certificate renewed."""
        if self._served["base"] is not None:
            await self._serve(await self._traffic(self._served))

    def published(self, name: str, digest: str) -> Collection[str] | None:
        """The addresses of a version that requests are sent to; None where it is no part of what is served."""
        return self._published.get((name, digest))

    async def publish(self) -> None:
        """Serve the same with the endpoints of now. A step that is under way is not disturbed: it takes them along."""
        if self._moving:
            return
        try:
            await self.refresh()
        except Conflict:
            pass  # a step began meanwhile

    async def try_alone(self, number: int) -> None:
        """Show a release's routes to a proxy without traffic. Raises ``Rejected`` with its words, ``Unavailable``."""
        await self._proxies.preflight(Traffic(await self._generation(number)))

    async def _serve(self, traffic: Traffic) -> Convergence:
        proof = await self._proxies.serve(traffic)
        generations = [traffic.base, *([traffic.candidate] if traffic.candidate else [])]
        self._published = {
            (name, digest): frozenset(generation.endpoints.get(name, ()))
            for generation in generations
            for name, digest in generation.versions.items()
        }
        return proof

    async def observe(self) -> Sequence[Fact]:
        """``base``, ``candidate``, ``percent`` (stable), ``connected`` proxies (not stable)."""
        connected = sum(state.connected for state in self._proxies.states())
        stable = [Fact(GATEWAY, name, self._served[name]) for name in ("base", "candidate", "percent")]
        return [*stable, Fact(GATEWAY, "connected", connected, stable=False)]

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """``preflight``, ``serve`` or ``silent``."""
        if step.verb == "silent":
            return await self._silent(step)
        traffic = await self._traffic(step.args)
        if step.verb == "preflight":
            if wanted := self._new_listeners(traffic):
                await asyncio.to_thread(self._refuse_taken, wanted)
            await self._proxies.preflight(traffic)
            return {}
        began_s = time.time()
        self._moving += 1
        try:
            proof = await self._serve(traffic)
        finally:
            self._moving -= 1
        self._served = dict(step.args)
        self._served_since_s.setdefault(int(step.args["candidate"] or step.args["base"]), began_s)
        told = {"took_ms": round(proof.took_ms, 3), "acknowledged": proof.acknowledged, "away": proof.away}
        return told | ({"waited_ms": round(proof.details.get("waited_ms", proof.took_ms), 3)} if proof.away else {})

    def _new_listeners(self, traffic: Traffic) -> dict[str, tuple[str, int]]:
        """Where no proxy of ours listens yet, as far as it is known here."""
        served = (self._configurations.get(self._served[name]) for name in ("base", "candidate") if self._served[name])
        open_now = {(each.address, each.port) for found in served if found for each in found.listeners.values()}
        generations = (traffic.base, *((traffic.candidate,) if traffic.candidate else ()))
        wanted = {name: each for made in generations for name, each in made.configuration.listeners.items()}
        sockets = {name: (listener.address, listener.port) for name, listener in wanted.items()}
        return {name: socket for name, socket in sockets.items() if socket not in open_now}

    def _refuse_taken(self, wanted: Mapping[str, tuple[str, int]]) -> None:
        """A port that somebody else has would be shared with him, without a word."""
        for name, (address, port) in wanted.items():
            if (who := self.port_held_by(address, port)) is not None:
                what = f"listener {name}: port {port} is in use by {who}"
                raise Rejected(what, next="end that process, or give the listener another port")

    async def _traffic(self, args: Mapping[str, Any]) -> Traffic:
        base, candidate = args["base"], args["candidate"]
        numbers = [base] if candidate is None else [base, candidate]
        made = [await self._generation(number) for number in numbers]
        before = await self._before(args["before"]) if candidate is None and args.get("before") else None
        return Traffic(made[0], made[1] if len(made) > 1 else None, float(args["percent"]), before)

    async def _before(self, number: int) -> Generation | None:
        """What is only compared with: by its routes alone, for what it ran on may be gone; None where it cannot be."""
        try:
            return replace(await self._generation(number), endpoints={})
        except LastgoodError:
            return None

    async def _generation(self, number: int) -> Generation:
        """A release with the endpoints of now; its configuration is read once, so that a shift waits for no thread."""
        if number not in self._configurations:
            while len(self._configurations) >= CONFIGURATIONS:
                self._configurations.popitem(last=False)
            found = self._at_hand(number)
            if found is None:
                found = await asyncio.to_thread(self._configuration_of, number)
            self._configurations[number] = found
        self._configurations.move_to_end(number)
        endpoints, versions = dict(self._endpoints_of(number)), dict(self._versions_of(number))
        return Generation(number, self._configurations[number], endpoints, versions)

    async def _silent(self, step: Step) -> Mapping[str, Any]:
        """Count what the left release still gets, once all proxies have acknowledged: the proof by counters."""
        left, window_s = int(step.args["release"]), float(step.args["window_s"])
        before = await self._proxies.requests()
        await asyncio.sleep(window_s)
        after = await self._proxies.requests()
        more = max(0, after.get(left, 0) - before.get(left, 0))  # a release that is gone is not counted any more
        said = await asyncio.to_thread(self._said_since, self._served_since_s.get(left, time.time()))
        told = {"release": left, "requests": more, "window_s": window_s, "served": after.get(left, 0), "log": said}
        printed = await asyncio.to_thread(self.printed_by, self._alone(left))
        return {**told, "counted": await self._counted(left), "printed": printed}

    def _alone(self, left: int) -> dict[str, str]:
        """The versions that the left release had and what serves now has not."""
        staying = [n for n in (self._served["base"], self._served["candidate"]) if n not in (None, left)]
        kept = {each for number in staying for each in self._versions_of(number).items()}
        return {name: digest for name, digest in self._versions_of(left).items() if (name, digest) not in kept}

    async def _counted(self, left: int) -> Mapping[str, int] | None:
        """Answers of the left release's routes by class, since the proxies started; None where nobody counts them."""
        if self.measure is None:
            return None
        arms = [proxy.arms for proxy in (await self.measure({left})).values()]
        mine = [counts for each in arms for label, counts in each.items() if label.partition(".")[0] == f"r{left}"]
        total = sum(mine, Counts())
        return {"answers": total.answered, "failed": total.failed, "refused": total.refused} if mine else None
