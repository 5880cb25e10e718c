"""After the bake: what is certain enough to go back for, what is only told, and what a healthy day may look like."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.health.limits import WIDER, learn_limits
from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading, Reading
from lastgood.health.record import Case, Trial, replay, write_assessment, write_case, write_line
from lastgood.health.terms import Objective, Terms
from lastgood.health.ticks import Tick, rest_of
from lastgood.health.vigil import Vigil
from lastgood.health.wealth import EFFECTS, against, between_arms
from lastgood.testing.simulated_traffic import Share, after_bake

TERMS = Terms(stakes={}, start_every_s=300.0, objectives=(Objective("more failures than ever", 0.012),))


def calm(at_s: float) -> float:
    """Half a percent, and twice that in the busiest hour of a day that is an hour long."""
    return 0.005 * (1 + math.sin(at_s / 570))


def watched(ticks: Iterator[Tick], terms: Terms = TERMS) -> tuple[Vigil, float]:
    vigil = Vigil(terms)
    found = next((tick.at_s for tick in ticks if vigil.take(tick).outcome == "bad"), math.inf)
    return vigil, found


def chances(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@given(
    st.integers(1, 5),
    st.integers(0, 5),
    st.floats(0.001, 0.5),
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_no_bet_pays_in_the_mean_while_one_of_both_sentences_holds(
    n: int, others: int, limit: float, one: float, other: float, within: bool
) -> None:
    """Either it stays within its limit, whatever the rest does; or it fails no more than the rest does."""
    mine = limit * one if within else other * one
    means = [0.0] * len(EFFECTS)
    for bad, chance in enumerate(chances(n, mine)):
        for bad_other, chance_other in enumerate(chances(others, other)):
            past = against(bad, n, limit)
            beside = between_arms((bad, n), (bad_other, others), 0.01)
            for index, pair in enumerate(zip(past, beside, strict=True)):
                means[index] += chance * chance_other * math.exp(min(pair))
    assert max(means) <= 1 + 1e-9


def test_a_healthy_day_with_its_pattern_and_drift_is_never_called_bad() -> None:
    """Twenty releases, each over eight such days; the rest of the gateway has another pattern."""
    for seed in range(20):
        _, found = watched(after_bake(seed, 28_000, calm, lambda at_s: 0.004 * (1 + math.cos(at_s / 400)), load=60))
        assert found == math.inf


def test_what_is_noisy_for_a_moment_is_no_regression() -> None:
    """A burst eight times as high for half a minute, in what it changed and in the rest."""

    def burst(at_s: float) -> float:
        return 0.04 if at_s % 1800 < 30 else 0.005

    assert all(watched(after_bake(seed, 14_000, burst, burst))[1] == math.inf for seed in range(8))


@pytest.mark.parametrize(("begins_s", "fails", "within_s"), [(300, 0.05, 60), (300, 1.0, 10), (20_000, 0.05, 150)])
def test_a_regression_is_found(begins_s: int, fails: float, within_s: int) -> None:
    def turns(at_s: float) -> float:
        return fails if at_s > begins_s else calm(at_s)

    for seed in range(10):
        vigil, found = watched(after_bake(seed, begins_s + 600, turns, calm))
        assert begins_s < found <= begins_s + within_s
        assert "more failures than ever: lately" in vigil.now.why
        assert vigil.now.p <= TERMS.alpha


def test_an_outage_that_the_rest_shares_is_told_and_decides_nothing() -> None:
    def outage(at_s: float) -> float:
        return 0.4 if at_s > 600 else 0.005

    for seed in range(10):
        vigil, found = watched(after_bake(seed, 2000, outage, outage))
        assert found == math.inf
        assert vigil.now.shared
        assert vigil.now.says[0].startswith("more failures than ever")


def test_with_nothing_else_to_compare_with_what_was_learnt_is_told_only() -> None:
    learnt = replace(TERMS, references={"more failures than ever": 0.012})
    vigil, found = watched(after_bake(1, 2000, lambda at_s: 0.3, calm, others=0), learnt)
    assert found == math.inf
    assert vigil.now.says


def test_with_nothing_else_to_compare_with_a_limit_that_was_set_stands() -> None:
    _, found = watched(after_bake(1, 2000, lambda at_s: 0.3 if at_s > 600 else 0.005, calm, others=0))
    assert 600 < found <= 620


def test_a_limit_that_only_reports_decides_nothing() -> None:
    reports = replace(TERMS, objectives=(replace(TERMS.objectives[0], reports=True),))
    vigil, found = watched(after_bake(1, 600, lambda at_s: 0.3, calm), reports)
    assert found == math.inf
    assert vigil.now.says


def test_the_rest_is_all_but_its_own() -> None:
    mine = Counts(12, 10, 2, 1, 1, (10,) * len(EDGES_MS))
    whole = Counts(100, 100, 3, 4, 0, (99,) * len(EDGES_MS))
    rest = rest_of(whole, mine)
    assert (rest.answered, rest.failed, rest.refused, rest.within[-1]) == (90, 1, 3, 89)
    assert min(rest_of(mine, whole).numbers) == 0


# --- limits ----------------------------------------------------------------------------------------------------------


def record(seconds: int, share: Share, *, step: int = 1, after: bool = False, deployment: int = 3) -> list[str]:
    """r2 beside r1 (or beside everything), a hundred requests a second, all with these failures."""
    lines = [write_case(Case(2, 1, Terms(), deployment, after))]
    bad, n = 0.0, 0
    for at_s in range(0, seconds + 1, step):
        counts = Counts(n, n, round(bad), 0, 0, (0,) * 7 + (n,) * (len(EDGES_MS) - 7))
        arms = {"r2": counts, WHOLE if after else "r1": counts}
        lines.append(write_line(Reading(float(at_s), 50.0, {"one": ProxyReading(at_s + 1.0, arms)})))
        bad, n = bad + 100 * step * share(at_s), n + 100 * step
    return lines


def test_limits_are_twice_the_worst_stretch_and_never_narrow() -> None:
    flat = learn_limits(record(700, lambda at_s: 0.001), (), 3)
    assert flat is not None
    assert [(one.share, one.edge_ms) for one in flat.limits] == [(0.01, None), (0.05, 40)]
    rough = learn_limits(record(700, lambda at_s: 0.03 if at_s > 350 else 0.0), (), 3)
    assert rough is not None
    assert WIDER * 0.03 <= rough.limits[0].share <= WIDER * 0.037
    day = record(7200, lambda at_s: 0.08 if 3000 < at_s < 4000 else 0.001, step=10, after=True)
    wide = learn_limits(record(700, lambda at_s: 0.001), [day], 3)
    assert wide is not None
    assert wide.limits[0].share > WIDER * 0.08


def test_ten_minutes_are_needed_and_those_after_the_bake_count() -> None:
    short = record(60, lambda at_s: 0.001)
    assert learn_limits(short, (), 3) is None
    assert learn_limits(record(700, lambda at_s: 0.001, deployment=2), (), 3) is None
    assert learn_limits([*short, *record(650, lambda at_s: 0.001, step=10, after=True)], (), 3) is not None


def test_a_watch_is_judged_again_bit_for_bit() -> None:
    case = Case(2, 1, TERMS, 3, after=True)
    lines = [write_case(case), *record(400, lambda at_s: 0.001, step=10, after=True)[1:]]
    found = [assessment for _, assessment in replay(lines)]
    again = [assessment for _, assessment in replay(lines)]
    assert [write_assessment(one) for one in found] == [write_assessment(one) for one in again]
    assert found[-1].requests == (40_000, 0)
    assert isinstance(Trial(case).judge, Vigil)
