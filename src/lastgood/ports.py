"""The world as this product sees it: what the operations ask of it, and nothing of how it is done.

Each port has a contract suite in ``lastgood.testing.contracts`` which the fake in ``lastgood.testing`` and the real
one in ``lastgood.effects`` both pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lastgood.gateway.snapshot import Traffic
from lastgood.release.observed import Fact
from lastgood.release.step import Step
from lastgood.stamp import Stamp as Stamp


class Clock(Protocol):
    """Time; the only source of it."""

    def now(self) -> Stamp: ...
    async def sleep(self, seconds: float) -> None: ...


class Driver(Protocol):
    """Moves one kind of part. The engine knows nothing else of gateways, services, functions or databases."""

    async def observe(self) -> Sequence[Fact]:
        """What is there now. Raises ``Unavailable`` when that cannot be said."""
        ...

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Carry a step out; the same key again is harmless. What it returns is journalled (no secrets).

        Raises ``LastgoodError`` when it did not work. A cancelled call stops as soon as it can.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProxyState:
    """One proxy: its node id, whether it is connected, the snapshot it has acknowledged, its own words if it refused."""

    name: str
    connected: bool
    acknowledged: str | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Convergence:
    """Proof that a push is in effect: milliseconds from the push to the last acknowledgement, and by whom."""

    digest: str
    acknowledged: tuple[str, ...]
    away: tuple[str, ...] = ()
    took_ms: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


class Proxies(Protocol):
    """All proxies of the gateway together."""

    async def preflight(self, traffic: Traffic) -> None:
        """Try a state on a proxy without traffic; raises ``Rejected`` with its words. The answer is cached by content."""
        ...

    async def serve(self, traffic: Traffic) -> Convergence:
        """Bring every proxy to this state, new things before old ones go; a mere change of percent is one tiny push.

        Returns once every connected proxy has acknowledged. A refusal by any of them: the last accepted state is
        pushed to all again, then ``Rejected`` is raised.
        """
        ...

    async def requests(self) -> Mapping[int, int]:
        """Requests routed so far by each release's generation of routes, summed over the proxies that can be asked."""
        ...

    def states(self) -> tuple[ProxyState, ...]:
        """Every proxy that is expected or connected."""
        ...
