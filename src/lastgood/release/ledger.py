"""The ledger: which release a person means, which one is known good, what is quarantined. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lastgood.errors import Refused, UsageError
from lastgood.release.release import Release, changed_parts, same_content
from lastgood.release.releases import Releases
from lastgood.release.state import State

ReleaseOf = Callable[[int], Release]


@dataclass(frozen=True)
class Choice:
    """A release to go back to; ``skipped`` says of newer ones why they were not taken."""

    release: int
    why: str
    skipped: tuple[tuple[int, str], ...] = field(default=())


def known_good(state: State, release_of: ReleaseOf, *, leaving: int | None) -> Choice:
    """The newest release that is known good and differs from the one being left; refuses where there is none."""
    number = newest_good(state, release_of, leaving=leaving)
    if number is not None:
        verdict = state.verdict(number)
        skipped = _skipped(state, release_of, number, leaving)
        return Choice(number, f"known good ({verdict.basis}: {verdict.evidence})", skipped)
    before = previous(state, leaving)
    if before is None:
        raise Refused("there is no release to go back to", next="deploy a commit that works")
    raise Refused(
        f"no release is known good; r{before} was live before, it is {state.verdict(before).name}",
        next=_without_proof(state, before, leaving),
    )


def newest_good(state: State, release_of: ReleaseOf, *, leaving: int | None) -> int | None:
    """The release that :func:`known_good` chooses, without a word on the others; None where there is none."""
    unlike = (n for n in sorted(state.good, reverse=True) if _differs(n, release_of, leaving))
    return next((n for n in unlike if held_by(state, release_of(n)) is None), None)


def _differs(number: int, release_of: ReleaseOf, leaving: int | None) -> bool:
    """Whether going from one release to this one is going back: to an older one with other content."""
    if leaving is None:
        return True
    return number <= leaving and not same_content(release_of(number), release_of(leaving))


def _skipped(state: State, release_of: ReleaseOf, good: int, leaving: int | None) -> tuple[tuple[int, str], ...]:
    """Why none of the newer releases was taken that are known good or have served."""
    newer = (n for n in sorted(state.good.union(state.lived), reverse=True) if n > good)
    return tuple((n, _why_not(state, release_of, n)) for n in newer if _differs(n, release_of, leaving))


def _why_not(state: State, release_of: ReleaseOf, number: int) -> str:
    name = state.verdict(number).name
    bad = held_by(state, release_of(number)) if name == "good" else None
    return name if bad is None else f"good, but it contains what made r{bad} bad"


def _without_proof(state: State, before: int, leaving: int | None) -> str:
    """What a person may choose where nothing is known good; never what is known to be bad."""
    if state.verdict(before).name != "bad":
        return f"lastgood rollback previous   (or first: lastgood mark r{before} good)"
    lived = (number for number in reversed(state.lived) if number != leaving)
    other = next((number for number in lived if state.verdict(number).name != "bad"), None)
    return "deploy a commit that works" if other is None else f"lastgood rollback r{other}"


def known_good_ones(state: State, release_of: ReleaseOf) -> list[int]:
    """Every release that a rollback may lead to by itself, the newest last."""
    return [number for number in sorted(state.good) if held_by(state, release_of(number)) is None]


def previous(state: State, leaving: int | None) -> int | None:
    """The release that was live before the one being left was."""
    lived = list(state.lived)
    if leaving in lived:
        del lived[len(lived) - 1 - lived[::-1].index(leaving) :]
    return next((number for number in reversed(lived) if number != leaving), None)


def live_now(state: State) -> int | None:
    """The release that serves most requests: what the gateway was last given while something is under way."""
    if state.deployment is None or state.accepted is None:
        return state.live
    return serving(state.accepted)


def leaving_now(state: State) -> int | None:
    """The release a rollback leaves: what is being deployed, or being left already, else what is live."""
    deployment = state.deployment
    if deployment is None or deployment.plan is None:
        return state.live
    return deployment.plan.source if deployment.plan.goes_back else deployment.plan.target


def serving(args: Mapping[str, Any]) -> int | None:
    """Which release gets most of the requests under these arguments of ``serve``."""
    served: int | None = args["candidate"] if args["candidate"] is not None and args["percent"] > 50 else args["base"]
    return served


def resolve_target(
    text: str | None, state: State, release_of: ReleaseOf, *, commit: Callable[[str], str | None]
) -> Choice:
    """The release a person means: nothing, ``previous``, ``r12``, ``r12~1``, a tag, a commit.

    ``commit`` turns a Git name into a full commit id, None where there is no such commit (or no repository).
    """
    leaving = leaving_now(state)
    if text is None:
        return known_good(state, release_of, leaving=leaving)
    if text == "previous":
        before = previous(state, leaving)
        if before is None:
            raise Refused("no release was live before", next="lastgood history")
        return Choice(before, "live before" + (", known to be bad" if state.verdict(before).name == "bad" else ""))
    if found := re.fullmatch(r"r(\d+)(?:~(\d+))?", text):
        return Choice(_nth_before(state, int(found[1]), int(found[2] or 0)), "asked for by number")
    if text in state.tags:
        return Choice(state.tags[text], f"tagged {text}")
    if (revision := commit(text)) is not None:
        made = [number for number in state.releases if release_of(number).revision == revision]
        if made:
            return Choice(made[-1], f"made from {revision[:12]}")
        raise UsageError(f"no release was made from commit {revision[:12]}", next=f"lastgood deploy {revision[:12]}")
    raise UsageError(f"there is no release, tag or commit called {text!r}", next="lastgood history")


def _nth_before(state: State, number: int, back: int) -> int:
    if number not in state.releases:
        raise UsageError(f"there is no release r{number}", next="lastgood history")
    before = state.releases.index(number)
    if before < back:
        there = {0: "is no release", 1: "is one release"}.get(before, f"are {before} releases")
        raise UsageError(f"there {there} before r{number}", next="lastgood history")
    return state.releases[before - back]


def held_by(state: State, release: Release) -> int | None:
    """The bad release of which this one contains all that made it bad, None when automation may deploy it."""
    bad = (number for number, held in sorted(state.quarantine.items()) if held.items() <= release.parts.items())
    return next(bad, None)


def content_to_quarantine(bad: Release, good: Release | None, part: str = "") -> dict[str, str]:
    """What made a release bad: its content in the part to blame, else in all in which it differs from what was good.

    All of it together: a commit that mends one of several parts is another one, and is judged itself. A schema counts
    only where nothing else differs: its scripts stay in every later commit, for they stay applied.
    """
    found = {part: bad.parts[part] for part in changed_parts(good, bad) if part in bad.parts}
    if part in found:
        return {part: found[part]}
    return {part: made for part, made in found.items() if not part.startswith("database:")} or found


def equal_before(state: State, parts: Mapping[str, str], releases: Releases) -> int | None:
    """The newest earlier release with exactly this content."""
    return releases.newest_with(parts, state.releases)
