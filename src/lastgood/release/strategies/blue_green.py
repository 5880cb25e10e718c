"""Blue-green: the new version at full capacity beside the old one, one switch, the old one warm behind it."""

from __future__ import annotations

from fractions import Fraction

from lastgood.release.strategies.crew import Crew


def grow(crew: Crew, landing: Fraction) -> int:
    """How many instances to have before any request moves: all of them."""
    return crew.size
