"""Canary: a few instances for a small share of the requests first; more of both after each hold.

The old version stays at full capacity until the end, so that the way back from any step is one shift.
"""

from __future__ import annotations

import math
from fractions import Fraction

from lastgood.release.strategies.crew import Crew


def grow(crew: Crew, landing: Fraction) -> int:
    """How many instances to have next: enough for the share it comes to."""
    return max(crew.running, math.ceil(landing * crew.size))
