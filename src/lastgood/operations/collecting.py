"""Free the room of bundles, and of what was measured, that no release may need any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from lastgood.errors import LastgoodError
from lastgood.operations.configurations import Configurations
from lastgood.operations.loop import Loop
from lastgood.ports import ARTIFACT, Artifacts, Clock, Evidence, MadeOf
from lastgood.release.observed import Observed
from lastgood.release.retention import kept_releases

FIRST_S = 60.0
EVERY_S = 6 * 3600.0
UNTOUCHED_S = 86_400.0
"""What was made or asked for more recently stays in any case: it may belong to a deployment that is about to begin."""


def running(observed: Observed) -> set[tuple[str, str]]:
    """``(service, digest)`` of every version of which there are instances."""
    return {
        (part.partition(":")[2], key.partition(":")[2])
        for part, key in observed.facts
        if part.startswith("service:") and key.startswith("wanted:")
    }


def needed(configurations: Configurations, releases: Iterable[int]) -> set[str]:
    """The digests of the bundles that these releases run from."""
    return {
        MadeOf.from_json(content).digest
        for number in releases
        for content in configurations.attached(number, ARTIFACT).values()
    }


def free(
    configurations: Configurations,
    artifacts: Artifacts,
    kept: Iterable[int],
    now_s: float,
    also_needed: Callable[[], set[str]] = set,
) -> tuple[str, ...]:
    """Remove what none of the kept releases runs from, nor anything else; the digests that went. Blocks."""
    needs = needed(configurations, kept) | also_needed()
    gone = [held.digest for held in artifacts.held() if held.digest not in needs and now_s - held.used_s > UNTOUCHED_S]
    for digest in gone:
        artifacts.remove(digest)
    return tuple(gone)


def forget(evidence: Evidence, kept: Collection[int]) -> tuple[int, ...]:
    """Remove what was measured of releases that are kept no longer; which. Their verdicts stay. Blocks."""
    gone = [release for release in evidence.releases() if release not in kept]
    for release in gone:
        evidence.remove(release)
    return tuple(gone)


async def keep_collecting(
    loop: Loop,
    configurations: Configurations,
    artifacts: Artifacts,
    clock: Clock,
    also_needed: Callable[[], set[str]] = set,
    also: Callable[[float], object] = lambda now_s: None,
    evidence: Evidence | None = None,
) -> None:
    """A while after the start, then a few times a day; until cancelled.

    ``also_needed`` are the digests of bundles that something else than a release runs from; ``also`` is what else there
    is to free, and gets the wall clock; ``evidence`` goes with its releases.
    """
    pause_s = FIRST_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = EVERY_S
        if loop.damage is not None or "service" in loop.observed.unknown:
            continue  # what cannot be told is kept
        now_s = clock.now().wall_s
        try:
            kept = kept_releases(loop.state, loop.release_of, running(loop.observed), now_s)
            await asyncio.to_thread(free, configurations, artifacts, kept, now_s, also_needed)
            await asyncio.to_thread(artifacts.sweep)
            await asyncio.to_thread(also, now_s)
            if evidence is not None:
                await asyncio.to_thread(forget, evidence, kept)
        except (LastgoodError, OSError):
            continue  # tried again the next time; what is not freed does no harm
