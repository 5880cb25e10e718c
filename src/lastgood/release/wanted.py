"""What a plan is made for. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lastgood.release.plan import Intent, Plan
from lastgood.release.release import Release

ReleaseOf = Callable[[int], Release]


@dataclass(frozen=True)
class Revert:
    """The commit that tells Git: base ``bad``, theirs ``target``, on ``branch``."""

    bad: str
    target: str
    branch: str


@dataclass(frozen=True)
class Wanted:
    """What a plan is made for.

    ``source`` is the release that is live, ``retreat_to`` the one a failure leads to. ``percent`` below 100 holds the
    traffic there for the bake, in place of what strategies say; ``hold_back`` is the percentage that stays with the
    source for the bake, to compare with. ``with_schema`` also takes the schemas back, ``keep_schema`` leaves them even
    where the target cannot live with them, ``accept_loss`` lets migrations lose rows. ``warm`` are releases whose
    versions stay warm as the source's do; ``keep_old_s`` says how long, where the target does not. A ``drill`` comes
    back: what the source runs on stays, and no hook tells anybody that it is undone.
    """

    deployment: int
    intent: Intent
    target: Release
    source: Release | None
    retreat_to: Release | None = None
    bake_s: float = 600.0
    percent: float = 100.0
    confirm: bool = False
    revert: Revert | None = None
    with_schema: bool = False
    keep_schema: bool = False
    keep_old_s: Mapping[str, float] | None = None
    plan_number: int = 1
    warm: tuple[int, ...] = ()
    accept_loss: bool = False
    hold_back: float = 0.0
    drill: bool = False


WISHES = (
    "bake_s",
    "percent",
    "confirm",
    "with_schema",
    "keep_schema",
    "keep_old_s",
    "revert",
    "warm",
    "accept_loss",
    "hold_back",
    "drill",
)
"""What of a wanted plan is kept in it, for the plan that takes its place."""


def plain(value: Any) -> Any:
    """A wish as JSON values."""
    if isinstance(value, tuple):
        return list(value)
    return asdict(value) if isinstance(value, Revert) else value


def rewanted(plan: Plan, release_of: ReleaseOf) -> Wanted:
    """What this plan was made for, to plan it once more."""
    revert, warm = plan.wish["revert"], plan.wish.get("warm", ())
    wish = {**plan.wish, "revert": Revert(**revert) if revert else None, "warm": tuple(warm)}
    source = release_of(plan.source) if plan.source else None
    retreat_to = release_of(plan.retreat_to) if plan.retreat_to else None
    target = release_of(plan.target)
    return Wanted(plan.deployment, plan.intent, target, source, retreat_to, plan_number=plan.number + 1, **wish)
