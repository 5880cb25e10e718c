"""Healthy releases by chance, at a size that takes seconds; ``python -m benchmarks healthy`` plays 20,000 of each."""

from __future__ import annotations

import math

import pytest
from benchmarks.batches import BATCH, added_up, parts
from benchmarks.healthy import ALPHA, GROUPS, NULLS, Null, amounts, at_most, batch, goes_back, learnt, shown

from lastgood.testing.simulated_traffic import Side, steady

PROMISED = [name for name, null in NULLS.items() if null.promised]


@pytest.mark.parametrize("name", PROMISED)
def test_healthy_releases_are_left_alone_whatever_the_traffic_does(name: str) -> None:
    assert batch(name, 0, 20, seconds=60) == 0


def test_a_bad_one_among_them_would_be_seen() -> None:
    assert goes_back(Null(Side(steady(0.2)), Side()), 1, 60)


def test_clusters_that_nobody_told_of_are_learnt() -> None:
    found = [learnt(GROUPS, seed).dispersion["errors"] for seed in range(8)]
    assert 8 < sum(found) / len(found) < 16
    assert len(set(found)) == len(found), "each release has a past of its own"


def test_what_is_not_promised_says_so() -> None:
    made = shown({name: (1, many) for name, many in amounts(20_000).items()})
    assert [cells[-1] for cells in made.cells] == ["0.1%"] * len(PROMISED) + ["none"]


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    assert math.isclose(at_most(0, 1000), 1 - 0.05 ** (1 / 1000), rel_tol=1e-6)
    assert math.isclose(at_most(3, 20_000), 7.7537 / 20_000, rel_tol=1e-3)
    assert at_most(20, 20_000) > ALPHA
    assert at_most(4, 4) == 1.0


def test_seeds_are_shared_out_without_a_gap_and_every_core_counts_the_same() -> None:
    given = [seed for first, many in parts(2 * BATCH + 7) for seed in range(first, first + many)]
    assert given == list(range(2 * BATCH + 7))
    assert added_up(odd, 2 * BATCH + 7) == odd(0, 2 * BATCH + 7)


def odd(first: int, many: int) -> int:
    return sum(seed % 2 for seed in range(first, first + many))
