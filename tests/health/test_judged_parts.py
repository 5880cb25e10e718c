"""What each metric does with its dispersion, with doubts, outages, moving shares and requests that hung."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastgood.health.dispersion import dispersion
from lastgood.health.judge import Assessment, Judge
from lastgood.health.reading import EDGES_MS, Counts
from lastgood.health.streams import Estimate, Latency
from lastgood.health.terms import Objective, Terms
from lastgood.health.ticks import Arm, Tick
from lastgood.testing.simulated_traffic import Side, steady, ticks

PLAIN = Terms(start_every_s=None, row=10**9, alpha=1e-12, routes=("catalog",), objectives=(Objective("few", 0.01),))
WORSE = Side(steady(0.03), refused=steady(0.05), median_ms=steady(58))
BASELINE = Side(median_ms=steady(50))


def after(terms: Terms, candidate: Side, seconds: int = 60) -> Assessment:
    """Judged for so long, its only route being all there is."""
    judge = Judge(terms)
    for tick in ticks(3, seconds, candidate, BASELINE):
        judge.take(replace(tick, routes={"catalog": tick.sides}))
    return judge.now


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("errors", "errors"),
        ("errors", "route catalog"),
        ("errors", "few"),
        ("refused", "refused"),
        ("latency", "latency"),
    ],
)
def test_8_every_bet_heeds_how_much_its_failures_cluster(metric: str, name: str) -> None:
    lone, clustered = after(PLAIN, WORSE), after(replace(PLAIN, dispersion={metric: 6.0}), WORSE)
    assert lone.by[name] > 3, "there is something to be won"
    assert clustered.by[name] < lone.by[name] ** 0.5
    others = {"errors": ("refused", "latency"), "refused": ("errors",), "latency": ("errors", "refused")}[metric]
    assert all(clustered.by[other] == lone.by[other] for other in others)


def test_8_what_clusters_takes_longer_to_be_known_good_too() -> None:
    lone, clustered = after(PLAIN, BASELINE), after(replace(PLAIN, dispersion={"errors": 6.0}), BASELINE)
    assert lone.good > 3
    assert clustered.good < lone.good**0.5


def test_signs_that_it_is_worse_keep_it_from_being_good() -> None:
    terms = Terms(start_every_s=None, at_least_s=0.0, enough=0, tolerated=0.2)
    turning = Side(steady(0.0), median_ms=lambda at_s: 50 if at_s < 60 else 65)
    judge, doubtful = Judge(terms), []
    for tick in ticks(5, 120, turning, BASELINE):
        found = judge.take(tick)
        if 10 <= found.harm < 1000 and found.good >= 1000:
            doubtful.append(found)
    assert doubtful
    assert {(found.outcome, found.lacks) for found in doubtful} == {
        ("undecided", ("there are signs that it is worse",))
    }


def test_16_nothing_is_learnt_for_it_either_while_both_sides_fail() -> None:
    judge = Judge(Terms(row=10**9))
    for tick in ticks(9, 60, BASELINE, BASELINE):
        judge.take(tick)
    before = judge.now.good
    down = Arm(Counts(100, 100, 90, 0, 0, (10,) * len(EDGES_MS)))
    spared = Arm(Counts(10, 10, 0, 0, 0, (10,) * len(EDGES_MS)))
    found = judge.take(Tick(61.0, 1.0, 5.0, (spared, down), seen=1))
    assert found.shared
    assert found.good == before


def test_15_while_the_share_moves_nobody_misses_requests() -> None:
    few, many = (Arm(Counts(n, n, 0, 0, 0, (n,) * len(EDGES_MS))) for n in (1, 1000))
    moving = Tick(1.0, 1.0, 50.0, (few, many), seen=1, steady=False)
    assert Judge(Terms()).take(moving).by["volume"] == 1.0
    assert Judge(Terms()).take(replace(moving, steady=True)).by["volume"] > 1000


def test_5_who_hung_and_answers_at_last_is_slow_once() -> None:
    def arm(fast: int, late: int = 0, hanging: int = 0) -> Arm:
        within = tuple(fast + (late if edge == len(EDGES_MS) - 1 else 0) for edge in range(len(EDGES_MS)))
        return Arm(Counts(fast + late, fast + late, 0, 0, 0, within), hanging)

    def wealth(end: Arm) -> float:
        made = Latency(None, 1.0)
        for mine in (arm(10), arm(10, hanging=3), end):
            made.take((mine, arm(300)), 1.0)
        return made.now

    assert wealth(arm(10)) > 1.5, "that they hang is held against it"
    assert wealth(arm(10, late=3)) <= wealth(arm(10))
    assert wealth(arm(10, late=6)) > wealth(arm(10)), "others are slow as well"


def test_what_is_expected_of_the_baseline_follows_it() -> None:
    expected = Estimate()
    for bad in [1] * 1000 + [10] * 3000:
        expected.learn(bad, 100)
    assert 0.09 < expected.share < 0.1


def test_8_without_a_history_failures_are_taken_to_come_in_threes() -> None:
    assert dispersion([(1, 100)] * 59) == 3.0
    assert dispersion([(1, 100)] * 60) == 1.0
