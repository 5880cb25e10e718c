"""What the proxies counted: requests per release, and the proof that a release gets none any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lastgood.effects.envoy.admin import Admin
from lastgood.errors import Unavailable
from lastgood.gateway.runtime import STATS_PATTERN, requests_by_release

Counts = Mapping[str, Mapping[int, int]]
"""``{proxy: {release: requests since the proxy started}}``"""


@dataclass(frozen=True, slots=True)
class Silence:
    """How many requests a release got within the window, and on how many proxies that was looked at."""

    release: int
    window_s: float
    requests: int
    proxies: tuple[str, ...]

    @property
    def silent(self) -> bool:
        """Whether it got none, and somebody was there to say so."""
        return self.requests == 0 and bool(self.proxies)


async def read_counts(admins: Mapping[str, Admin]) -> dict[str, dict[int, int]]:
    """Per proxy that answers. Raises ``Unavailable`` when none does: not knowing is not zero."""
    answers = await asyncio.gather(*(admin.stats(STATS_PATTERN) for admin in admins.values()), return_exceptions=True)
    counts: dict[str, dict[int, int]] = {}
    for name, answer in zip(admins, answers, strict=True):
        if isinstance(answer, dict):
            counts[name] = requests_by_release(answer)
        elif not isinstance(answer, Unavailable):
            raise answer
    if not counts:
        raise Unavailable("no proxy says how many requests it had", next="see whether the proxies run: lastgood status")
    return counts


async def confirm_silent(
    read: Callable[[], Awaitable[Counts]],
    release: int,
    window_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Silence:
    """Read the counters twice, ``window_s`` apart; a proxy that restarted in between counts from zero."""
    before = await read()
    await sleep(window_s)
    after = await read()
    requests = 0
    for name, counts in after.items():
        now, then = counts.get(release, 0), before.get(name, {}).get(release, 0)
        requests += now - then if now >= then else now
    return Silence(release, window_s, requests, tuple(sorted(after)))
