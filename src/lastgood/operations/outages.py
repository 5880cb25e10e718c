"""A service that serves and of which no instance is healthy is told of, whether or not something is deployed.

What is on trial beside it has its own watch (``vetoes``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from lastgood.errors import LastgoodError
from lastgood.operations import rulings
from lastgood.operations.loop import Loop
from lastgood.release.ledger import live_now
from lastgood.release.observed import Fact
from lastgood.release.release import services_of
from lastgood.release.state import State

LOOK_S = 1.0
LOOKS = 3
"""Looks in a row at which nobody was healthy: an instance that is restarted is away for one or two."""


class Outages:
    """Remembers what was told. ``serving`` maps services to the digests of the versions that have the requests."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, str], int] = {}

    def look(self, serving: Mapping[str, str], facts: Iterable[Fact]) -> list[str]:
        """What to tell a person now. A version of which nothing is known, or nothing wanted, is not away."""
        known = {(fact.part, fact.key): fact.value for fact in facts}
        told = []
        before, self._looks = self._looks, {}
        for name, digest in sorted(serving.items()):
            part, looks = f"service:{name}", before.get((name, digest), 0)
            wanted = known.get((part, f"wanted:{digest}"))
            if wanted and not known.get((part, f"healthy:{digest}")):
                self._looks[name, digest] = looks + 1
                if looks + 1 == LOOKS:
                    told.append(
                        _outage(name, known.get((part, f"failing:{digest}")), known.get((part, f"unready:{digest}")))
                    )
            elif looks >= LOOKS and wanted:
                told.append(f"{name}: instances are healthy again")
        return told


def _outage(name: str, failing: object, unready: object) -> str:
    seen = list(unready) if isinstance(unready, Sequence) and not isinstance(unready, str) else []
    why = f" ({failing or seen[0]})" if failing or seen else ""
    return f"{name}: none of its instances is healthy{why}: lastgood logs {name}, or lastgood rollback"


def serving_now(state: State, versions: Callable[[int], Mapping[str, str]]) -> Mapping[str, str]:
    """The versions of the release that serves, without those that a deployment is leaving for others."""
    live, deployment = live_now(state), state.deployment
    if live is None:
        return {}
    mine = versions(live)
    if deployment is None or deployment.plan is None:
        return mine
    ends = [n for n in (deployment.plan.source, deployment.plan.target) if n is not None]
    return {name: digest for name, digest in mine.items() if all(versions(n).get(name) == digest for n in ends)}


async def watch_outages(
    loop: Loop, observe: Callable[[], Awaitable[Sequence[Fact]]], *, look_s: float = LOOK_S
) -> None:
    """Look every second; until cancelled."""
    outages = Outages()
    while True:
        await asyncio.sleep(look_s)
        if loop.damage is not None:
            continue
        try:
            serving = serving_now(loop.state, lambda number: services_of(loop.release_of(number)))
            for what in outages.look(serving, await observe()) if serving else ():
                await loop.ask(partial(rulings.note, what))
        except LastgoodError:
            continue  # who cannot be looked at is not away
