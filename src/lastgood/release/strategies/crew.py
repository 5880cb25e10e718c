"""The instances of one service on both sides of a change of version. Pure arithmetic; shares are fractions of 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from lastgood.release.moves import Kind


@dataclass(frozen=True, slots=True)
class Crew:
    """A service that goes to ``version`` and leaves ``left`` (None where there was none, or more than one).

    ``size`` instances are enough; ``asked`` are wanted now and ``healthy`` of them able to serve. ``surge`` and
    ``unavailable`` bound how many instances there may be beyond, and how many may be missing from, ``size``.
    """

    name: str
    kind: Kind
    version: str
    size: int
    healthy: int = 0
    asked: int = 0
    left: str | None = None
    left_asked: int = 0
    left_size: int = 0
    batch: int = 1
    surge: int = 1
    unavailable: int = 0

    @property
    def floor(self) -> int:
        """Instances that have to be there for all requests."""
        return max(1, self.size - self.unavailable) if self.kind == "rolling" else self.size

    @property
    def running(self) -> int:
        """Instances of the version that take up room."""
        return max(self.asked, self.healthy)

    @property
    def room(self) -> int:
        """Instances that may be started before others have to go."""
        return max(self.size, self.left_size) + self.surge - self.running - self.left_asked

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.healthy >= self.size and (self.kind != "rolling" or self.left_asked == 0)

    def needed(self, share: Fraction) -> int:
        """Healthy instances that this share of the requests needs."""
        return self.size if self.kind == "blue_green" else math.ceil(share * self.floor)

    def able(self) -> Fraction:
        """The largest share of the requests that what is healthy can take."""
        if self.kind == "blue_green":
            return Fraction(int(self.healthy >= self.size))
        return min(Fraction(1), Fraction(self.healthy, self.floor))

    def grown(self, asked: int) -> Crew:
        """With so many instances, all of them healthy."""
        return replace(self, asked=max(self.asked, asked), healthy=max(self.healthy, asked))

    def shrunk(self, share: Fraction) -> Crew:
        """Without the old instances that the rest of the requests does not need; only a rolling update stops them."""
        if self.kind != "rolling" or self.left is None:
            return self
        rest = 1 - share
        keep = math.ceil(rest * self.left_size)
        fewer = replace(self, left_asked=min(self.left_asked, keep))
        if fewer.room < 1 and self.healthy < self.size:
            keep = math.ceil(rest * max(1, self.left_size - self.unavailable))
        return replace(self, left_asked=min(self.left_asked, keep))
