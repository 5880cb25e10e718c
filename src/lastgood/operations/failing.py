"""A version that ends again and again is no good: its release is taken back, whatever its requests look like so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from lastgood.errors import LastgoodError
from lastgood.operations.loop import Loop
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.observed import Fact
from lastgood.release.release import RUNNING, Release, services_of
from lastgood.release.state import State

LOOK_S = 0.5


def failing_release(
    state: State, facts: Iterable[Fact], release_of: Callable[[int], Release]
) -> tuple[int, str, str] | None:
    """The release on its way, or baking, of which a version fails, why, and its part.

    None before it got requests (its start tells), and where the version before is dead: nothing leads into that.
    """
    deployment = state.deployment
    if deployment is None or deployment.plan is None or deployment.plan.goes_back or deployment.halted is not None:
        return None
    target = deployment.plan.target
    if target not in state.met or state.verdict(target).name == "bad":
        return None
    versions = services_of(release_of(target))
    left = services_of(release_of(deployment.plan.source)) if deployment.plan.source else {}
    known = {(fact.part, fact.key): fact.value for fact in facts}
    for part, key in known:
        name, (what, _, digest) = part.partition(":")[2], key.partition(":")
        if (
            what == "failing"
            and versions.get(name) == digest != left.get(name)
            and not _dead(known, part, left.get(name))
        ):
            return target, str(known[part, key]), _part_of(name, release_of(target))
    return None


def _dead(known: Mapping[tuple[str, str], object], part: str, digest: str | None) -> bool:
    return bool(known.get((part, f"wanted:{digest}"))) and not known.get((part, f"healthy:{digest}"))


def _part_of(name: str, release: Release) -> str:
    return next((part for part in release.parts if part.startswith(RUNNING) and part.partition(":")[2] == name), "")


def condemn(release: int, why: str, part: str, view: View) -> Outcome:
    """Say that it is bad: its deployment goes back."""
    if view.state.verdict(release).name == "bad":
        return Outcome(())
    return Outcome(((None, ev.Judged(release, "bad", "veto", why, part=part)),), {"release": release})


async def watch_failing(
    loop: Loop, observe: Callable[[], Awaitable[Sequence[Fact]]], *, look_s: float = LOOK_S
) -> None:
    """While something is deployed, look whether its services fail; until cancelled."""
    while True:
        await asyncio.sleep(look_s)
        if loop.state.deployment is None or loop.damage is not None:
            continue
        try:
            found = failing_release(loop.state, await observe(), loop.release_of)
            if found is not None:
                await loop.ask(partial(condemn, *found))
        except LastgoodError:
            continue  # what cannot be seen condemns nobody
