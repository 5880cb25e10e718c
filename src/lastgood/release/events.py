"""What the journal says: one dataclass for each thing that can happen, and the way to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lastgood.release.plan import Intent, Plan, read_plan, write_plan
from lastgood.release.step import StepId
from lastgood.stamp import Stamp

VerdictName = Literal["unproven", "baking", "good", "bad", "undecided"]
Basis = Literal["measured", "timed", "marked", "inherited", "veto"]


@dataclass(frozen=True, slots=True)
class Released:
    """A release was made; ``digest`` covers its whole record, which lies in the journal's store."""

    release: int
    digest: str


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody wants the system at a release. ``confirm_within_s`` arms the dead-man switch.

    ``drill``: it is half of a drill of this release, the one that is gone back from and come back to.
    """

    intent: Intent
    target: int
    source: int | None
    by: str
    why: str = ""
    confirm_within_s: float | None = None
    supersedes: int | None = None
    drill: int | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan was made for this deployment; it replaces the plan before it."""

    plan: Plan
    why: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Written before the effect."""

    step: StepId
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class StepEnded:
    """Written after the effect; ``error`` is None when it worked."""

    step: StepId
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a release now, on which basis, with the evidence; ``part`` is to blame, where that is plain."""

    release: int
    verdict: VerdictName
    basis: Basis
    evidence: str = ""
    by: str = "lastgood"
    part: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a release so far, and what that came to: the evidence of its verdict.

    ``lines`` of its record have this SHA-256; ``finding`` is the assessment after the last of them.
    """

    release: int
    lines: int
    digest: str
    finding: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A person confirmed a deployment: the dead-man switch is off. ``extend_s`` sets it anew instead."""

    by: str
    extend_s: float | None = None


@dataclass(frozen=True, slots=True)
class Promoted:
    """A person ended a hold: that of ``step``, or all that are still to come."""

    by: str
    step: StepId | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """A person stopped the way forward where it is; ``resumed`` lets it go on."""

    by: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Doubted:
    """What the judge has against more requests for the release on its way; "" says that there is nothing now."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class AbortAsked:
    """A person wants a deployment undone."""

    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another deployment took over before this one ended."""

    by: int


@dataclass(frozen=True, slots=True)
class Halted:
    """Neither way is safe: traffic stays where it is, a person must choose between these commands."""

    why: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A deployment reached a rest point: the release that is live now."""

    live: int | None
    outcome: Literal["done", "went back", "superseded", "failed"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Automation must not deploy this content (``part: digest``) again; ``lifted`` takes that back."""

    release: int
    content: Mapping[str, str]
    why: str
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Automation leaves this part as it is in ``release``; ``lifted`` takes that back."""

    part: str
    release: int
    why: str
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """A name for a release, which also keeps it; ``release`` None takes the name away."""

    name: str
    release: int | None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should find in the history: a held revision, a rewritten branch, a clock that jumped."""

    what: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class TookOver:
    """A controller began its work; ``epoch`` fences every older one.

    ``seen_s`` is when the one before was last known to live, by the boot-time clock of its boot.
    """

    epoch: int
    pid: int
    seen_s: float | None = None


Body = (
    Released
    | Requested
    | Planned
    | StepStarted
    | StepEnded
    | Judged
    | Measured
    | Confirmed
    | Promoted
    | Paused
    | Doubted
    | AbortAsked
    | Superseded
    | Halted
    | Ended
    | Quarantined
    | Held
    | Tagged
    | Noted
    | TookOver
)
_BODIES: dict[str, type[Any]] = {kind.__name__: kind for kind in Body.__args__}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``deployment`` is None for what belongs to none."""

    seq: int
    epoch: int
    deployment: int | None
    at: Stamp
    body: Body
    hash: str = ""


def write_body(body: Body) -> dict[str, Any]:
    """A body as JSON values, with its kind. What it holds is not copied: it lies between a verb and its effect."""
    raw = {name: getattr(body, name) for name in type(body).__dataclass_fields__}
    if isinstance(body, Planned):
        raw["plan"] = write_plan(body.plan)
    return {"kind": type(body).__name__, **raw}


def read_body(raw: Mapping[str, Any]) -> Body:
    """The inverse of :func:`write_body`."""
    fields = {name: value for name, value in raw.items() if name != "kind"}
    if raw["kind"] == "Planned":
        fields["plan"] = read_plan(fields["plan"])
    if raw["kind"] == "Halted":
        fields["choices"] = tuple(fields["choices"])
    body: Body = _BODIES[raw["kind"]](**fields)
    return body
