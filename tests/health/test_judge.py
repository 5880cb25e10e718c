"""The judge on streams made by chance; the pitfalls have their numbers from docs/explanation/judging.md."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from lastgood.health.forecast import bound_s
from lastgood.health.judge import Assessment, Judge
from lastgood.health.objectives import edge_for
from lastgood.health.reading import EDGES_MS, Counts
from lastgood.health.streams import surely
from lastgood.health.terms import STAKES, Objective, Terms, read_terms, write_terms
from lastgood.health.ticks import Arm, Tick
from lastgood.testing.simulated_traffic import Share, Side, steady, ticks

CORE = Terms(stakes={"errors": 1.0}, start_every_s=None, row=10**9)
FULL = Terms()
WELL = Side()


def judged(terms: Terms, stream: Iterable[Tick]) -> tuple[Assessment, float]:
    """The last assessment, and when it came to be bad (infinity: never)."""
    judge = Judge(terms)
    for tick in stream:
        if judge.take(tick).outcome == "bad":
            return judge.now, tick.at_s
    return judge.now, math.inf


def mean_s(terms: Terms, bad: float, runs: int, seconds: int) -> float:
    found = [judged(terms, ticks(seed, seconds, Side(steady(bad)), WELL))[1] for seed in range(runs)]
    assert max(found) < math.inf
    return sum(found) / runs


@pytest.mark.parametrize(("bad", "runs", "seconds"), [(0.02, 25, 900), (0.05, 60, 300), (0.2, 100, 60), (1.0, 20, 5)])
@pytest.mark.parametrize(("terms", "times"), [(CORE, 1.4), (FULL, 1.7)], ids=["core", "shipped"])
def test_it_is_nearly_as_fast_as_anything_can_be(
    terms: Terms, times: float, bad: float, runs: int, seconds: int
) -> None:
    """The mean over seeded runs, with the spread that so few runs have (four standard errors)."""
    bound = bound_s(0.05, 200.0, bad, 0.005, 1e-3)
    assert mean_s(terms, bad, runs, seconds) <= (times * bound + 1.0) * (1 + 4 * 0.5 / math.sqrt(runs))


@pytest.mark.parametrize(("terms", "times"), [(CORE, 1.4), (FULL, 1.7)], ids=["core", "shipped"])
def test_one_in_a_hundred_takes_long_and_is_found(terms: Terms, times: float) -> None:
    assert mean_s(terms, 0.01, 40, 4000) <= (times * bound_s(0.05, 200.0, 0.01, 0.005, 1e-3) + 1.0) * 1.3


@pytest.mark.parametrize(
    ("candidate", "load"),
    [
        (WELL, lambda at_s: 1.0),
        (Side(lambda at_s: 0.005 * (1 + 0.8 * math.sin(at_s / 40))), lambda at_s: 1.0),
        (Side(lambda at_s: 0.04 if 60 < at_s < 90 else 0.005), lambda at_s: 1.0),
        (WELL, lambda at_s: 1 + 0.9 * math.sin(at_s / 60)),
    ],
    ids=["steady", "drift", "bursts in both", "load"],
)
def test_1_what_is_no_worse_is_not_called_bad_however_often_one_looks(candidate: Side, load: object) -> None:
    """The same law on both sides, whatever it does; looked at every second."""
    assert callable(load)
    found = [judged(FULL, ticks(seed, 240, candidate, candidate, load=load))[1] for seed in range(40)]
    assert found.count(math.inf) == len(found)


def test_8_clustered_failures_need_the_dispersion_that_was_learnt() -> None:
    """Retries and sticky clients make failures come in groups: they are no facts of their own."""
    side = Side(fails=steady(0.02), clusters=12)
    streams = [list(ticks(seed, 400, side, side)) for seed in range(30)]
    naive = sum(judged(CORE, stream)[1] < math.inf for stream in streams)
    learnt = sum(judged(replace(CORE, dispersion={"errors": 12.0}), stream)[1] < math.inf for stream in streams)
    shipped = replace(FULL, dispersion={"errors": 12.0})
    assert naive > 3
    assert learnt == 0
    assert sum(judged(shipped, stream)[1] < math.inf for stream in streams) == 0


def test_2_and_3_without_requests_or_a_baseline_it_does_not_guess() -> None:
    """Pitfall 2: little traffic is no evidence. Pitfall 3: no baseline, no history, no verdict but a veto."""
    few, _ = judged(FULL, ticks(1, 300, WELL, WELL, per_second=3.0))
    assert few.outcome == "undecided"
    assert any("requests of at least" in lack for lack in few.lacks)
    lone, _ = judged(FULL, ticks(1, 60, Side(steady(0.02)), WELL, percent=100.0))
    assert lone.outcome == "undecided"
    known = replace(FULL, references={"errors": 0.01})
    assert judged(known, ticks(1, 120, Side(steady(0.05)), WELL, percent=100.0))[0].outcome == "bad"


def test_3_what_was_seen_of_the_baseline_stands_in_when_it_is_gone() -> None:
    before = list(ticks(2, 60, WELL, WELL))
    after = [replace(tick, at_s=tick.at_s + 60) for tick in ticks(3, 60, Side(steady(0.05)), WELL, percent=100.0)]
    assert judged(FULL, [*before, *after])[0].outcome == "bad"


def test_4_warm_up_is_not_judged_save_by_vetoes() -> None:
    slow_start = Side(lambda at_s: 0.2 if at_s <= 15 else 0.005)
    assert judged(FULL, ticks(4, 120, slow_start, WELL))[0].outcome == "bad"
    warm = replace(FULL, warm_up_s=20.0)
    assert judged(warm, ticks(4, 120, slow_start, WELL))[0].outcome == "undecided"
    dead, at_s = judged(warm, ticks(4, 120, Side(steady(1.0)), WELL))
    assert dead.veto
    assert at_s <= 3


def test_4_each_rise_of_the_share_warms_up_anew() -> None:
    warm = replace(FULL, warm_up_s=20.0)
    first = list(ticks(5, 60, WELL, WELL, percent=5.0))
    rise = [
        replace(tick, at_s=tick.at_s + 60)
        for tick in ticks(6, 60, Side(lambda at_s: 0.2 if at_s <= 15 else 0.005), WELL, percent=25.0)
    ]
    assert judged(warm, [*first, *rise])[0].outcome != "bad"


def hangs(at_s: float, n: int, hanging: int, baseline: int = 190) -> Tick:
    within = (baseline,) * len(EDGES_MS)
    well = Arm(Counts(baseline, baseline, 0, 0, 0, within))
    return Tick(at_s, 1.0, 5.0, (Arm(Counts(n, 0), hanging), well), seen=1)


def test_5_requests_that_never_end_are_slow_and_fail() -> None:
    """A candidate that answers nothing has no failures to count either."""
    stream = [*ticks(7, 30, Side(median_ms=steady(20)), Side(median_ms=steady(20)))]
    stream += [hangs(31.0 + second, 10, 0 if second < 2 else 10) for second in range(6)]
    found, at_s = judged(FULL, stream)
    assert found.outcome == "bad"
    assert found.veto, "ten in a row that are not answered are ten failures"
    assert at_s <= 34


def test_5_one_in_five_hanging_is_slow() -> None:
    stream = [*ticks(8, 30, Side(median_ms=steady(20)), Side(median_ms=steady(20)))]
    for second in range(30):
        answered = Arm(Counts(10, 8, 0, 0, 0, (8,) * len(EDGES_MS)), hanging=2)
        others = Arm(Counts(190, 190, 0, 0, 0, (190,) * len(EDGES_MS)))
        stream.append(Tick(31.0 + second, 1.0, 5.0, (answered, others), seen=1))
    found, _ = judged(FULL, stream)
    assert found.outcome == "bad"
    assert "slower" in found.why


def test_6_a_silent_side_is_blind_and_never_good() -> None:
    good = list(ticks(9, 600, WELL, WELL))
    assert judged(FULL, good)[0].outcome == "good"
    silent = [replace(tick, at_s=600 + tick.at_s) for tick in ticks(9, 20, WELL, WELL, percent=0.001)]
    silent = [replace(tick, percent=5.0, sides=(Arm(), tick.sides[1])) for tick in silent]
    found, _ = judged(replace(FULL, stakes={"errors": 1.0}), [*good, *silent])
    assert found.outcome == "undecided"
    assert any("got no request" in lack for lack in found.lacks)


def test_6_metrics_gone_is_blind_and_never_good() -> None:
    good = list(ticks(10, 600, WELL, WELL))
    blind = [Tick(601.0, 1.0, 5.0)]
    found, _ = judged(FULL, [*good, *blind])
    assert found.outcome == "undecided"
    assert any("nothing is measured" in lack for lack in found.lacks)


def test_7_retries_hide_nothing() -> None:
    """Every failure is tried again elsewhere with success: the client sees none, the judge all."""
    hidden = [
        replace(tick, sides=(_shielded(tick.sides[0]), tick.sides[1]))
        for tick in ticks(11, 60, Side(steady(0.2)), WELL)
    ]
    found, at_s = judged(FULL, hidden)
    assert found.outcome == "bad"
    assert at_s < 15


def test_7_a_shield_that_rescues_every_user_does_not_rescue_the_release() -> None:
    """Each answer is the old version's: with none of its own it is dead, warm or not."""
    rescued = [
        replace(tick, sides=(_shielded(tick.sides[0]), tick.sides[1]))
        for tick in ticks(12, 60, Side(steady(1.0)), WELL)
    ]
    dead, at_s = judged(replace(FULL, shielded=True, warm_up_s=20.0), rescued)
    assert dead.veto
    assert at_s <= 3
    half = [
        replace(tick, sides=(_shielded(tick.sides[0]), tick.sides[1]))
        for tick in ticks(13, 60, Side(steady(0.5)), WELL)
    ]
    found, _ = judged(replace(FULL, shielded=True), half)
    assert found.outcome == "bad"
    assert 0.3 < found.failures[0] / found.requests[0] < 0.7


def test_7_a_shield_makes_nobody_bad_who_is_as_good() -> None:
    """Ordinary retries on both sides count alike."""
    side = Side(steady(0.05))
    for seed in range(15):
        stream = [
            replace(tick, sides=(_shielded(tick.sides[0]), _shielded(tick.sides[1])))
            for tick in ticks(seed, 200, side, side)
        ]
        assert judged(replace(FULL, shielded=True), stream)[0].outcome != "bad"


def _shielded(arm: Arm) -> Arm:
    counts = arm.counts
    rescued = replace(counts, attempts=counts.attempts + counts.failed, retried=counts.failed, failed=0)
    return Arm(rescued)


def test_10_a_share_that_moves_while_the_hours_differ_blames_nobody() -> None:
    """Simpson: a quiet hour at 5 %, a bad one at 50 %. Summed up it fails twice as often, and is as good."""
    hours = ((5.0, 0.001), (50.0, 0.03))
    for seed in range(12):
        stream = [
            replace(tick, at_s=tick.at_s + 300 * n, steady=tick.at_s > 1)
            for n, (percent, fails) in enumerate(hours)
            for tick in ticks(seed, 300, Side(steady(fails)), Side(steady(fails)), percent=percent)
        ]
        found, _ = judged(FULL, stream)
        assert found.outcome != "bad"
        (n_c, n_b), (bad_c, bad_b) = found.requests, found.failures
        assert n_c > 0
        assert bad_c / n_c > 2 * bad_b / n_b


def test_11_not_found_for_everything_is_bad() -> None:
    found, at_s = judged(FULL, ticks(12, 60, Side(refused=steady(0.9)), WELL))
    assert found.outcome == "bad"
    assert "4xx" in found.why
    assert at_s < 10


def test_11_a_loss_of_volume_is_bad() -> None:
    stream = [
        replace(tick, sides=(Arm(Counts(2, 2, 0, 0, 0, (2,) * len(EDGES_MS))), tick.sides[1]))
        for tick in ticks(13, 120, WELL, WELL)
    ]
    found, _ = judged(FULL, stream)
    assert found.outcome == "bad"
    assert "fewer requests" in found.why


def test_12_fast_failures_do_not_make_it_look_faster() -> None:
    """Half fails at once, the rest is twice as slow: neither hides the other."""
    stream = ticks(14, 40, Side(steady(0.5), median_ms=steady(100)), Side(median_ms=steady(50)))
    judge = Judge(replace(FULL, stakes={"latency": 1.0}, row=10**9))
    for tick in stream:
        counts = tick.sides[0].counts
        quick = replace(counts, within=tuple(min(n + counts.failed, counts.within[-1]) for n in counts.within))
        judge.take(replace(tick, sides=(Arm(quick), tick.sides[1])))
    assert judge.now.outcome == "bad"


@pytest.mark.parametrize(("times", "at_most_s"), [(1.5, 25), (2.0, 12)])
def test_slower_answers_are_found(times: float, at_most_s: float) -> None:
    found = [
        judged(FULL, ticks(seed, 90, Side(median_ms=steady(50 * times)), Side(median_ms=steady(50))))
        for seed in range(4)
    ]
    assert all(assessment.outcome == "bad" and at_s <= at_most_s for assessment, at_s in found)
    for assessment, _ in found:
        said = re.fullmatch(
            r"slower: (\d+) of (\d+) answers took more than \d+ ms, of the baseline's (\d+) of (\d+)", assessment.why
        )
        assert said
        slow, n, slow_b, n_b = map(int, said.groups())
        assert slow / n > slow_b / n_b


def test_15_each_bet_depends_on_the_past_alone() -> None:
    """Whatever comes later, and however the share is moved by what was seen: what is known by now is the same."""
    judge, other = Judge(FULL), Judge(FULL)
    common = list(ticks(31, 120, WELL, WELL))
    for tick in common:
        assert judge.take(tick) == other.take(tick)
    for tick in ticks(32, 60, Side(steady(0.05)), WELL):
        judge.take(replace(tick, at_s=tick.at_s + 120))
    again = Judge(FULL)
    assert [again.take(tick) for tick in common][-1] == other.now


@pytest.mark.parametrize("more", [1.0, 25.0])
def test_15_who_moves_the_share_by_what_was_seen_gains_nothing(more: float) -> None:
    """The share is raised after each good second and lowered after each bad one: the law stays the same."""
    wrong = 0
    for seed in range(15):
        judge, percent = Judge(FULL), 5.0
        for second in range(1, 241):
            tick = next(ticks(1000 * seed + second, 1, WELL, WELL, percent=percent))
            judge.take(replace(tick, at_s=float(second), steady=False))
            percent = 5.0 + more if tick.sides[0].failures == 0 else 5.0
        wrong += judge.now.outcome == "bad"
    assert wrong == 0


def test_16_a_shared_outage_is_nobodys_fault_and_nobody_becomes_good_by_it() -> None:
    outage = Side(lambda at_s: 0.6 if at_s > 100 else 0.005)
    for seed in range(20):
        found, _ = judged(FULL, ticks(seed, 140, outage, outage))
        assert found.outcome == "undecided"
        assert found.shared
        assert any("both sides fail" in lack for lack in found.lacks)


def test_a_total_shared_outage_is_no_veto() -> None:
    outage = Side(lambda at_s: 1.0 if at_s > 60 else 0.005)
    for seed in range(20):
        assert judged(FULL, ticks(seed, 90, outage, outage))[0].outcome == "undecided"


def lone(seed: int, seconds: int, mine: Share, rest: Share, begin_s: float = 0.0) -> list[Tick]:
    """All requests on the release, none on the one before; twice as many go elsewhere through the gateway."""
    streams = (ticks(seed + n, seconds, Side(share), WELL, percent=100.0) for n, share in enumerate((mine, rest)))
    return [
        replace(one, at_s=one.at_s + begin_s, sides=(one.sides[0], Arm()), rest=other.sides[0])
        for one, other in zip(*streams, strict=True)
    ]


@pytest.mark.parametrize("fails", [0.3, 1.0])
def test_16_a_shared_outage_is_seen_by_everything_else_when_the_baseline_is_gone(fails: float) -> None:
    """At all requests nothing stands beside it: its past says it fails, the rest that everything does."""
    before = list(ticks(41, 60, WELL, WELL))
    outage = lone(42, 120, steady(fails), steady(fails), 60.0)
    found, _ = judged(FULL, [*before, *outage])
    assert found.outcome == "undecided"
    assert found.shared
    limited = replace(FULL, objectives=(Objective("errors below 2%", 0.02),))
    assert judged(limited, [*before, *outage])[0].outcome == "undecided"


def test_16_a_row_of_failures_is_no_veto_while_the_little_else_there_is_fails_too() -> None:
    """Two requests a second elsewhere are too few to be called an outage, and enough to ask."""
    well = Counts(2, 2, 0, 0, 0, (2,) * len(EDGES_MS))
    before = [replace(tick, rest=Arm(well)) for tick in ticks(45, 30, WELL, WELL)]
    for broken, outcome in ((replace(well, failed=2), "undecided"), (well, "bad")):
        dead = [replace(tick, rest=Arm(broken)) for tick in lone(46, 5, steady(1.0), steady(1.0), 30.0)]
        assert judged(replace(FULL, stakes={"volume": 1.0}), [*before, *dead])[0].outcome == outcome


@pytest.mark.parametrize(("fails", "within_s"), [(0.05, 30), (1.0, 3)])
def test_3_when_the_baseline_is_gone_a_regression_is_found_all_the_same(fails: float, within_s: float) -> None:
    before = list(ticks(43, 60, WELL, WELL))
    found, at_s = judged(FULL, [*before, *lone(44, 120, steady(fails), steady(0.005), 60.0)])
    assert found.outcome == "bad"
    assert at_s <= 60 + within_s


@pytest.mark.parametrize(("fails", "outcome"), [(0.4, "bad"), (0.1, "undecided")])
def test_3_fifty_requests_of_the_baseline_stand_in_for_it_against_what_they_rule_out(
    fails: float, outcome: str
) -> None:
    """All requests moved before the candidate was warm: without a failure among them no more than one in six failed."""
    before = list(ticks(49, 2, Side(steady(0.0)), Side(steady(0.0)), percent=50.0, per_second=50.0))
    assert sum(tick.sides[1].finished for tick in before) in range(25, 80)
    warm = replace(FULL, warm_up_s=3.0)
    found, at_s = judged(warm, [*before, *lone(50, 60, steady(fails), steady(0.0), 2.0)])
    assert found.outcome == outcome
    assert outcome != "bad" or at_s < 10
    assert judged(warm, lone(50, 60, steady(fails), steady(0.0)))[0].outcome == "undecided"


def test_3_while_some_requests_still_go_to_the_baseline_a_few_of_its_past_condemn_nobody() -> None:
    """It may fail by now as well, and is asked again soon."""
    before = list(ticks(49, 2, Side(steady(0.0)), Side(steady(0.0)), percent=50.0, per_second=50.0))
    after = [replace(tick, percent=99.0) for tick in lone(50, 60, steady(0.4), steady(0.0), 2.0)]
    assert judged(replace(FULL, stakes={"errors": 1.0}), [*before, *after])[0].outcome == "undecided"


def test_the_bound_of_few_is_that_of_clopper_and_pearson() -> None:
    assert surely(0, 50) == pytest.approx(1 - 1e-4 ** (1 / 50))
    assert surely(50, 50) == 0.9
    p = surely(2, 100)
    assert (1 - p) ** 100 + 100 * p * (1 - p) ** 99 + 4950 * p**2 * (1 - p) ** 98 == pytest.approx(1e-4)


def test_16_slower_than_it_was_is_no_reason_where_there_is_nothing_to_compare_with() -> None:
    """The machine became busy at the moment in which all requests moved: nobody can tell what that is."""
    before = list(ticks(47, 60, Side(median_ms=steady(20)), Side(median_ms=steady(20))))
    after = ticks(48, 120, Side(median_ms=steady(60)), WELL, percent=100.0)
    slow = [replace(tick, at_s=tick.at_s + 60, sides=(tick.sides[0], Arm())) for tick in after]
    assert judged(FULL, [*before, *slow])[0].outcome != "bad"


def test_17_the_evidence_says_what_was_promised() -> None:
    found, _ = judged(FULL, ticks(15, 60, Side(steady(0.2)), WELL))
    assert found.harm >= 1 / FULL.alpha
    assert found.p == 1 / found.harm <= FULL.alpha
    judge = Judge(FULL)
    seen = [judge.take(tick) for tick in ticks(16, 120, WELL, WELL)]
    assert [each.p for each in seen] == [min(1.0, 1 / max(1.0, *_so_far(seen, n))) for n in range(len(seen))]
    assert set(found.by) == set(FULL.stakes)
    assert found.requests[0] > found.failures[0] > 0
    assert "requests failed, of the baseline's" in found.why


def _so_far(seen: list[Assessment], n: int) -> list[float]:
    """The wealth at each look until then: the chance that is shown rests on the highest, however often one looks."""
    return [each.harm for each in seen[: n + 1]]


def test_bad_stays_bad_and_good_may_turn_bad() -> None:
    judge = Judge(FULL)
    for tick in ticks(16, 600, WELL, WELL):
        judge.take(tick)
    assert judge.now.outcome == "good"
    for tick in ticks(17, 60, Side(steady(0.3)), WELL):
        judge.take(replace(tick, at_s=600 + tick.at_s))
    bad = judge.now
    assert bad.outcome == "bad"
    for tick in ticks(18, 60, WELL, WELL):
        judge.take(replace(tick, at_s=700 + tick.at_s))
    assert judge.now is bad


def test_it_is_good_only_with_every_piece_of_evidence() -> None:
    found, _ = judged(FULL, ticks(19, 30, WELL, WELL, per_second=20_000))
    assert found.outcome == "undecided"
    assert [lack for lack in found.lacks if "watched" in lack]
    sure, _ = judged(FULL, ticks(19, 61, WELL, WELL, per_second=20_000))
    assert sure.outcome == "good"


@pytest.mark.parametrize("fails", [0.012, 0.02])
def test_what_fails_twice_as_often_and_too_often_does_not_become_good(fails: float) -> None:
    found = [judged(FULL, ticks(seed, 300, Side(steady(fails)), WELL))[0].outcome for seed in range(10)]
    assert "good" not in found


def test_limits_hold_whatever_the_baseline_does_but_what_it_breaks_too_is_no_fault() -> None:
    limit = Objective("errors below 2%", 0.02)
    terms = replace(FULL, objectives=(limit,))
    both = Side(steady(0.06))
    assert judged(terms, ticks(20, 200, both, both))[0].outcome == "undecided"
    alone, _ = judged(terms, ticks(20, 200, both, WELL, percent=100.0))
    assert alone.outcome == "bad"
    assert alone.why.startswith("errors below 2%: ")
    reports = replace(FULL, objectives=(replace(limit, reports=True),))
    told, _ = judged(reports, ticks(20, 200, both, WELL, percent=100.0))
    assert told.outcome == "undecided"
    assert told.says


def test_a_latency_limit_is_judged_at_a_bucket() -> None:
    assert edge_for(300) == 320
    assert edge_for(320) == 320
    limit = Objective("p99 below 320ms", 0.01, edge_ms=320)
    side = Side(median_ms=steady(200))
    found, _ = judged(replace(FULL, objectives=(limit,)), ticks(21, 60, side, WELL, percent=100.0))
    assert found.outcome == "bad"


def test_a_guarded_route_is_not_lost_among_the_others() -> None:
    """One route in a hundred fails completely: half a percent of the whole, everything of its own."""
    stream = []
    for tick in ticks(22, 60, WELL, WELL):
        mine = Arm(Counts(1, 1, 1 if tick.at_s > 20 else 0))
        stream.append(replace(tick, routes={"pay": (mine, Arm(Counts(19, 19)))}))
    found, _ = judged(replace(FULL, routes=("pay",), row=10**9), stream)
    assert found.outcome == "bad"
    assert "route pay" in found.why


@pytest.mark.parametrize("stakes", [dict(STAKES), {"errors": 3.0, "volume": 1.0}, {}])
def test_whatever_is_judged_no_more_than_one_is_staked_on_all_of_it(stakes: dict[str, float]) -> None:
    """What keeps the promise however many metrics, routes and limits there are: their weighted mean is what counts."""
    limits = (Objective("slow", 0.1, 500), Objective("failing", 0.05), Objective("told", 0.05, reports=True))
    judge = Judge(Terms(stakes=stakes, routes=("catalog", "orders"), objectives=limits))
    found = judge.take(Tick(1.0, 1.0, 5.0))
    assert math.isclose(found.harm, 1.0)
    assert {"route catalog", "route orders", "slow", "failing", *stakes} == set(found.by)


def test_terms_are_written_and_read() -> None:
    terms = Terms(objectives=(Objective("x", 0.1, 320, True),), routes=("a",), references={"errors": 0.2})
    assert read_terms(write_terms(terms)) == terms
