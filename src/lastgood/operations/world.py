"""What an operation may touch, and what it may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.ports import Clock, Driver, Journal, Stamp
from lastgood.release.events import Body
from lastgood.release.observed import Observed
from lastgood.release.releases import Releases
from lastgood.release.state import State


@dataclass
class World:
    """The ports in use. ``drivers`` maps the kind of a part (``gateway``, ``service``, ``git``) to what moves it."""

    clock: Clock
    journal: Journal
    drivers: Mapping[str, Driver]

    def driver(self, part: str) -> Driver:
        """What moves this part."""
        kind = part.partition(":")[0]
        if kind not in self.drivers:
            raise LastgoodError(f"nothing here can move {part}", next="lastgood doctor")
        return self.drivers[kind]


@dataclass(frozen=True)
class View:
    """What a request is decided on: the folded journal, what is observed, the moment."""

    state: State
    observed: Observed
    now: Stamp
    release_of: Releases


@dataclass(frozen=True)
class Outcome:
    """What a request leads to: events to write together, and what the asker is told."""

    events: tuple[tuple[int | None, Body], ...]
    answer: Mapping[str, Any] = field(default_factory=dict)


Request = Callable[[View], Outcome]
"""A request decides on the loop, at once, and has no effects; what is slow was prepared before."""
