"""From cumulative counters to ticks: resets, gaps, late and impossible readings, hanging requests."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lastgood.errors import Damaged
from lastgood.health.reading import EDGES_MS, Counts, ProxyReading, Reading, read_reading, write_reading
from lastgood.health.record import Case, Digest, Trial, replay, write_assessment, write_case, write_line
from lastgood.health.terms import Terms
from lastgood.health.ticks import Meter, Tick


def counts(n: int, failed: int = 0, *, answered: int | None = None) -> Counts:
    done = n if answered is None else answered
    return Counts(n, done, failed, 0, 0, (done,) * len(EDGES_MS))


def reading(at_s: float, mine: Counts, theirs: Counts, *, up_s: float | None = None, percent: float = 5.0) -> Reading:
    return Reading(at_s, percent, {"one": ProxyReading(up_s or at_s, {"r12": mine, "r11": theirs})})


def meter(*readings: Reading) -> list[Tick | None]:
    made = Meter("r12", "r11")
    return [made.tick(each) for each in readings]


def test_what_happened_between_two_readings() -> None:
    first, second = meter(reading(1, counts(10), counts(100)), reading(2, counts(15, 2), counts(200)))
    assert first is None
    assert second is not None
    assert [arm.counts.attempts for arm in second.sides] == [5, 100]
    assert second.sides[0].failures == 2
    assert not second.blind


def test_proxies_are_counted_one_by_one_and_summed() -> None:
    def both(at_s: float, one: int, two: int) -> Reading:
        proxies = {"one": ProxyReading(at_s, {"r12": counts(one)}), "two": ProxyReading(at_s, {"r12": counts(two)})}
        return Reading(at_s, 5.0, proxies)

    made = Meter("r12", "r11")
    made.tick(both(1, 10, 1000))
    tick = made.tick(both(2, 11, 1003))
    assert tick is not None
    assert tick.seen == 2
    assert tick.sides[0].counts.attempts == 4


def test_13_a_proxy_that_restarted_contributes_nothing_to_that_tick() -> None:
    _, reset, after = meter(
        reading(1, counts(10), counts(100), up_s=50),
        reading(2, counts(500, 400), counts(700), up_s=0.5),
        reading(3, counts(501, 400), counts(710), up_s=1.5),
    )
    assert reset is not None
    assert reset.blind
    assert reset.dropped == ("one: started again",)
    assert after is not None
    assert after.sides[0].counts.attempts == 1
    assert after.sides[0].failures == 0


def test_13_counts_that_fall_are_a_reset_too() -> None:
    _, reset = meter(reading(1, counts(10), counts(100)), reading(2, counts(9), counts(120)))
    assert reset is not None
    assert reset.blind


def test_14_late_and_double_readings_are_not_bet_on_again() -> None:
    one, two = reading(1, counts(10), counts(100)), reading(2, counts(15), counts(200))
    made = meter(one, two, two, one, reading(3, counts(16), counts(210)))
    assert made[2] is None
    assert made[3] is None
    assert made[4] is not None
    assert made[4].sides[0].counts.attempts == 1


def test_14_a_suspended_machine_was_not_healthy_meanwhile() -> None:
    _, gap, after = meter(
        reading(1, counts(10), counts(100)),
        reading(601, counts(9000), counts(90_000)),
        reading(602, counts(9001), counts(90_010)),
    )
    assert gap is not None
    assert gap.blind
    assert "not seen for 600.0 s" in gap.dropped[0]
    assert after is not None
    assert after.sides[0].counts.attempts == 1


@pytest.mark.parametrize("up_s", [math.nan, math.inf, -1.0])
def test_impossible_numbers_are_dropped(up_s: float) -> None:
    bad = Reading(2, 5.0, {"one": ProxyReading(up_s, {"r12": counts(20)})})
    _, tick = meter(reading(1, counts(10), counts(100)), bad)
    assert tick is not None
    assert tick.blind
    negative = reading(2, replace(counts(20), failed=-3), counts(200))
    _, tick = meter(reading(1, counts(10), counts(100)), negative)
    assert tick is not None
    assert tick.dropped == ("one: impossible numbers",)
    assert meter(reading(1, counts(10), counts(100)), reading(math.nan, counts(20), counts(100)))[1] is None


def test_no_proxy_is_blind() -> None:
    _, tick = meter(reading(1, counts(10), counts(100)), Reading(2, 5.0, {}))
    assert tick is not None
    assert tick.blind


def test_15_a_share_that_moves_is_said() -> None:
    moved = reading(2, counts(20), counts(200), percent=25.0)
    _, first, second = meter(reading(1, counts(10), counts(100)), moved, replace(moved, at_s=3))
    assert first is not None
    assert not first.steady
    assert second is not None
    assert second.steady


def test_5_requests_that_wait_for_long_are_known_to_hang_once() -> None:
    rows = [reading(at_s, counts(10 * at_s, answered=0), counts(100 * at_s)) for at_s in range(1, 9)]
    hanging = [tick.sides[0].hanging for tick in meter(*rows) if tick]
    assert hanging[:2] == [0, 0]
    assert hanging[2:] == [10] * 5
    assert all(tick.sides[1].hanging == 0 for tick in meter(*rows) if tick)


def test_5_slow_answers_do_not_hang_where_they_are_usual() -> None:
    """What the baseline's slowest percent takes is waited for four times over."""
    usual = EDGES_MS.index(2560)
    rows = []
    for at_s in range(1, 12):
        slow = tuple(0 if index < usual else 100 * at_s for index in range(len(EDGES_MS)))
        theirs = Counts(100 * at_s, 100 * at_s, 0, 0, 0, slow)
        rows.append(reading(at_s, counts(10 * at_s, answered=max(0, 10 * (at_s - 4))), theirs))
    assert sum(tick.sides[0].hanging for tick in meter(*rows) if tick) == 0


def test_9_and_10_only_labelled_routes_count_and_guarded_ones_stand_alone() -> None:
    """What both generations share, or what a header forced onto one of them, carries no label of the two."""
    at = [
        Reading(
            at_s,
            5.0,
            {
                "one": ProxyReading(
                    at_s,
                    {
                        "r12": counts(10 * n),
                        "r12.pay": counts(n, n),
                        "r11": counts(100 * n),
                        "r11.pay": counts(9 * n),
                        "r9": counts(777 * n),
                        "r12-forced": counts(500 * n, 500 * n),
                    },
                )
            },
        )
        for n, at_s in ((1, 1.0), (2, 2.0))
    ]
    _, tick = meter(*at)
    assert tick is not None
    assert tick.sides[0].counts.attempts == 11
    assert tick.sides[1].counts.attempts == 109
    assert set(tick.routes) == {"pay"}
    assert tick.routes["pay"][0].failures == 1


def test_a_reading_is_written_and_read() -> None:
    one = reading(1.25, counts(10, 3), counts(100))
    assert read_reading(write_reading(one)) == one


def test_a_record_is_judged_again_bit_for_bit() -> None:
    case = Case(12, 11, Terms())
    trial, lines, digest = Trial(case), [write_case(case)], Digest()
    said = []
    for at_s in range(1, 40):
        one = reading(at_s + 0.1 * math.sin(at_s), counts(10 * at_s, 2 * at_s), counts(190 * at_s, at_s))
        lines.append(write_line(one))
        tick, found = trial.take(one)
        if tick:
            said.append(write_assessment(found))
    for line in lines:
        digest.add(line)
    again = [write_assessment(found) for _, found in replay(lines)]
    assert again == said
    assert again[-1]["outcome"] == "bad"
    assert digest.lines == 40
    assert len(digest.hex) == 64


def test_a_record_that_is_damaged_says_where() -> None:
    case = write_case(Case(12, None, Terms()))
    with pytest.raises(Damaged, match="line 2 is no reading"):
        list(replay([case, "{nonsense\n"]))
