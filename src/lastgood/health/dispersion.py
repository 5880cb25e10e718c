"""How much failures come in clusters, learnt from releases that were good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

UNKNOWN = 3.0
"""What is assumed without a history: learning it from the release that is judged makes false alarms."""
BIN_S = 10.0
ENOUGH_BINS = 60


def dispersion(bins: Sequence[tuple[int, int]]) -> float:
    """Pearson's chi-squared per degree of freedom of ``(bad, requests)`` in bins of ten seconds; at least 1.

    ``UNKNOWN`` where there are fewer than ten minutes of them.
    """
    used = [(bad, n) for bad, n in bins if n]
    if len(used) < ENOUGH_BINS:
        return UNKNOWN
    share = sum(bad for bad, _ in used) / sum(n for _, n in used)
    if share in (0.0, 1.0):
        return 1.0
    squared = sum((bad - n * share) ** 2 / (n * share * (1 - share)) for bad, n in used)
    return max(1.0, squared / (len(used) - 1))


def in_bins(ticks: Iterable[tuple[float, int, int]]) -> list[tuple[int, int]]:
    """``(moment, bad, requests)`` of ticks, summed over ten seconds each."""
    bins: dict[int, tuple[int, int]] = {}
    for at_s, bad, n in ticks:
        key = int(at_s // BIN_S)
        before = bins.get(key, (0, 0))
        bins[key] = (before[0] + bad, before[1] + n)
    return [bins[key] for key in sorted(bins)]
