"""The proxies of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lastgood.gateway.snapshot import Traffic


@dataclass(frozen=True, slots=True)
class ProxyState:
    """One proxy: its node id, whether it is connected, the snapshot it acknowledged, its words if it refused one.

    ``behind``: it is connected and did not answer when it was told last; what it serves may be older.
    """

    name: str
    connected: bool
    acknowledged: str | None = None
    refusal: str | None = None
    behind: bool = False


@dataclass(frozen=True)
class Convergence:
    """Proof that a push is in effect: milliseconds from the push to the last acknowledgement, and by whom.

    ``details["waited_ms"]``: how long was waited for those that are away, too.
    """

    digest: str
    acknowledged: tuple[str, ...]
    away: tuple[str, ...] = ()
    took_ms: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


class Proxies(Protocol):
    """All proxies of the gateway together."""

    async def preflight(self, traffic: Traffic) -> None:
        """Try a state on a proxy without traffic; raises ``Rejected`` with its words. Answers are cached by content."""
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
