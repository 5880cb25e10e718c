"""Moments and how measured values spread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass


def now_ns() -> int:
    """The boot-time clock, in nanoseconds: the clock of the journal's stamps, the same in every process."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))
    return ordered[rank]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of measured values, all in the same unit."""

    count: int
    p50: float
    p90: float
    p95: float
    p99: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Nearest-rank quantiles; NaN where there is no value."""
        return cls(
            len(values),
            quantile(values, 0.5),
            quantile(values, 0.9),
            quantile(values, 0.95),
            quantile(values, 0.99),
            quantile(values, 1.0),
        )


def shown(value: float) -> str:
    """Three figures at most, for tables."""
    if value != value:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
