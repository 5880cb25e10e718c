"""How each service of a release moves: stored with the release, so that going back needs neither Git nor its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from lastgood.config.configuration import Configuration
from lastgood.config.model import Function, Service
from lastgood.release.release import Release

Kind = Literal["blue_green", "rolling", "canary"]
START_TIMEOUT_S = 300.0
"""Where nothing is said, for the instances of a version to be healthy."""
HOOKS = ("before", "confirm_promotion", "on_rollback", "after", "undo")


@dataclass(frozen=True)
class Move:
    """How a service's version takes over, and what has to be known of it to leave it again.

    ``keep_old_s`` counts from the moment the old version gets no more requests. ``surge`` and ``unavailable`` are
    instances beyond and below the wanted number. ``steps`` are shares in percent, each held for ``hold_s``;
    ``preview_s`` is how long it waits, at full capacity, before it gets any request. ``smoke`` counts the checks.
    ``hooks`` maps the name of a hook to its timeout in seconds; what it runs stands in the configuration of the
    release.
    """

    kind: Kind = "blue_green"
    keep_old_s: float = 0.0
    batch: int = 1
    surge: int = 1
    unavailable: int = 0
    steps: tuple[float, ...] = ()
    hold_s: float = 0.0
    preview_s: float = 0.0
    drain_s: float = 10.0
    start_timeout_s: float = START_TIMEOUT_S
    depends_on: tuple[str, ...] = ()
    smoke: int = 0
    hooks: Mapping[str, float] = field(default_factory=dict)


def write_move(move: Move) -> dict[str, Any]:
    """The move as JSON values."""
    return {**asdict(move), "steps": list(move.steps), "depends_on": list(move.depends_on)}


def read_move(raw: Mapping[str, Any]) -> Move:
    """The inverse of :func:`write_move`; what a later build has added is left out."""
    known = {item.name: raw[item.name] for item in fields(Move) if item.name in raw}
    for name in ("steps", "depends_on"):
        known[name] = tuple(known.get(name, ()))
    return Move(**known)


def move_of(release: Release | None, service: str) -> Move:
    """How a release moves a service; the defaults where it says nothing."""
    raw = release.moves.get(service) if release is not None else None
    return Move() if raw is None else read_move(raw)


def moves_of(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """What a release keeps of the way its services move, by service, as JSON values."""
    bake_s = configuration.bake.for_s
    moving: dict[str, Service | Function] = {**configuration.services, **configuration.functions}
    return {name: write_move(move_for(service, bake_s)) for name, service in moving.items()}


def move_for(service: Service | Function, bake_s: float) -> Move:
    """What a service's settings mean for a release that bakes so long."""
    said = service.strategy
    made: dict[str, Any] = {}
    if said.rolling is not None:
        rolling = said.rolling
        made = {"batch": rolling.batch, "surge": rolling.surge, "unavailable": rolling.max_unavailable}
    elif said.canary is not None:
        made = {"steps": said.canary.steps, "hold_s": said.canary.hold_s}
    elif said.blue_green is not None:
        made = {"preview_s": said.blue_green.preview_s}
    hooks = {name: hook.timeout_s for name in HOOKS if (hook := getattr(service.hooks, name)) is not None}
    return Move(
        kind="rolling" if said.rolling else "canary" if said.canary else "blue_green",
        keep_old_s=said.keep_old_s(bake_s),
        drain_s=service.drain_s,
        start_timeout_s=service.start_timeout_s if isinstance(service, Service) else START_TIMEOUT_S,
        depends_on=service.depends_on,
        smoke=len(service.smoke),
        hooks=hooks,
        **made,
    )
