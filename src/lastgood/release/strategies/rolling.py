"""Rolling: instances are replaced in batches, and the requests follow in proportion.

A batch starts, is observed healthy, takes its share of the requests; then as many old instances as that share made
idle drain and stop, which makes room for the next batch.
"""

from __future__ import annotations

from fractions import Fraction

from lastgood.release.strategies.crew import Crew


def grow(crew: Crew, landing: Fraction) -> int:
    """How many instances to have next: one batch more, as far as there is room."""
    if crew.healthy < crew.asked:  # those that were asked for come first
        return min(crew.size, crew.asked)
    return min(crew.size, crew.running + min(crew.batch, max(0, crew.room)))
