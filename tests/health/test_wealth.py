"""The promise of the bets: nobody loses it by looking often, by drifting or by bursts."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.health.certainty import Certainty
from lastgood.health.dispersion import UNKNOWN, dispersion, in_bins
from lastgood.health.forecast import bound_s, forecast, information, told
from lastgood.health.terms import Terms
from lastgood.health.wealth import EFFECTS, Wealth, against, between_arms, odds_times, of_share


def chances(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0.001, 0.999),
    st.floats(1e-6, 0.9),
    st.sampled_from([1.0, 2.5, 7.0]),
)
@settings(deadline=None, max_examples=150)
def test_no_bet_pays_in_the_mean_while_both_sides_are_the_same(
    n_c: int, n_b: int, p: float, expected: float, dispersion: float
) -> None:
    """For every common share, whatever was expected: the exact mean over all outcomes is at most 1."""
    means = [0.0] * len(EFFECTS)
    for bad_c, chance_c in enumerate(chances(n_c, p)):
        for bad_b, chance_b in enumerate(chances(n_b, p)):
            gains = between_arms((bad_c, n_c), (bad_b, n_b), expected)
            means = [
                mean + chance_c * chance_b * math.exp(gain / dispersion)
                for mean, gain in zip(means, gains, strict=True)
            ]
    assert max(means) <= 1 + 1e-9


@given(st.integers(1, 12), st.floats(0.0005, 0.5), st.floats(0, 1))
def test_no_bet_against_a_limit_pays_below_it(n: int, limit: float, part: float) -> None:
    means = [0.0] * len(EFFECTS)
    for bad, chance in enumerate(chances(n, limit * part)):
        gains = against(bad, n, limit)
        means = [mean + chance * math.exp(gain) for mean, gain in zip(means, gains, strict=True)]
    assert max(means) <= 1 + 1e-9


@given(st.integers(1, 12), st.floats(0.01, 0.5), st.floats(0.8, 1.5))
def test_no_bet_on_a_loss_of_volume_pays_while_four_fifths_come(n: int, share: float, part: float) -> None:
    means = [0.0] * 4
    for mine, chance in enumerate(chances(n, min(share * part, 1.0))):
        gains = of_share(mine, n - mine, share)
        means = [mean + chance * math.exp(gain) for mean, gain in zip(means, gains, strict=True)]
    assert max(means) <= 1 + 1e-9


def test_the_stakes_never_come_to_more_than_one() -> None:
    """With bets that pay nothing, what is held stays exactly what it was: the starts share one stake."""
    wealth = Wealth(start_every_s=30.0)
    for _ in range(1000):
        wealth.bet([0.0] * len(EFFECTS), 1.0)
    assert wealth.now == pytest.approx(1.0)


def test_a_harm_that_comes_late_is_found_nearly_as_fast() -> None:
    """Healthy for ten minutes: without new starts the losses of that time have to be won back first."""

    def found_s(start_every_s: float | None) -> int:
        wealth, chance = Wealth(start_every_s=start_every_s), random.Random(5)
        for second in range(700):
            fails = 0.2 if second >= 600 else 0.005
            bad_c = sum(chance.random() < fails for _ in range(10))
            bad_b = sum(chance.random() < 0.005 for _ in range(190))
            wealth.bet(between_arms((bad_c, 10), (bad_b, 190), 0.005), 1.0)
            if wealth.now >= 1000:
                return second - 600
        return 100

    assert 0 <= found_s(30.0) <= 8
    assert found_s(None) > found_s(30.0)


def test_wealth_has_an_end_and_numbers_too() -> None:
    wealth = Wealth()
    for _ in range(50):
        wealth.bet(between_arms((1000, 1000), (0, 1000), 0.001), 1.0)
    assert math.isfinite(wealth.now)
    assert wealth.now > 1e200


def test_a_side_without_requests_says_nothing() -> None:
    assert between_arms((0, 0), (5, 10), 0.1) == between_arms((5, 10), (0, 0), 0.1) == [0.0] * len(EFFECTS)


def test_odds() -> None:
    assert odds_times(0.5, 3.0) == pytest.approx(0.75)


@pytest.mark.parametrize(("n", "certain"), [(700, False), (900, True)])
def test_a_release_without_failures_is_certain_after_so_many_requests(n: int, certain: bool) -> None:
    """``log(1/beta) / -log(1 - 1 %)`` is 688, and the stakes are divided."""
    certainty = Certainty(0.01, 1.0)
    certainty.take((0, n), (0, 0))
    assert (certainty.now >= 1000) is certain


@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.01, 0.45))
@settings(deadline=None, max_examples=60)
def test_nothing_is_won_for_a_release_that_fails_twice_as_often_and_too_often(n_c: int, n_b: int, base: float) -> None:
    """The exact mean at the border of what is harmful: twice the baseline's share, which is the tolerated one."""
    mean = 0.0
    for bad_c, chance_c in enumerate(chances(n_c, 2 * base)):
        for bad_b, chance_b in enumerate(chances(n_b, base)):
            certainty = Certainty(2 * base, 1.0)
            certainty.take((bad_c, n_c), (bad_b, n_b))
            mean += chance_c * chance_b * certainty.now
    assert mean <= 1 + 1e-9


def test_dispersion_of_lone_and_of_clustered_failures() -> None:
    chance = random.Random(1)
    lone = [(sum(chance.random() < 0.02 for _ in range(500)), 500) for _ in range(120)]
    together = [(10 * sum(chance.random() < 0.002 for _ in range(500)), 500) for _ in range(120)]
    assert dispersion(lone) < 1.4
    assert 6 < dispersion(together) < 15
    assert dispersion(lone[:59]) == UNKNOWN
    assert dispersion([(0, 100)] * 100) == 1.0
    assert in_bins([(1.0, 1, 10), (9.0, 1, 10), (11.0, 0, 5)]) == [(2, 20), (0, 5)]


def test_the_forecast_follows_the_traffic() -> None:
    at_200 = {one.bad: one.seconds for one in forecast(0.05, 200.0, 0.005, Terms())}
    assert 12 < at_200[0.05] < 22
    assert 6 * 60 < at_200[0.01] < 12 * 60
    slow = {one.bad: one.seconds for one in forecast(0.05, 6.0, 0.005, Terms())}
    assert slow[0.05] == pytest.approx(at_200[0.05] * 200 / 6)
    assert "1% failing about 10 min, 5% failing about 17 s" in told(forecast(0.05, 200.0, 0.005, Terms()), 200.0)
    assert "hold_back" in told(forecast(1.0, 200.0, 0.005, Terms()), 200.0)


def test_the_bound_is_that_of_the_literature() -> None:
    assert bound_s(0.05, 200.0, 0.05, 0.005, 1e-3) == pytest.approx(11.1, abs=0.1)
    assert bound_s(0.05, 200.0, 0.01, 0.005, 1e-3) == pytest.approx(379, abs=1)
    assert information(1.0, 200.0, 0.5, 0.005) == 0.0
