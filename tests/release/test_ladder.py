"""Rungs: batches, shares and what they need, for every size, limit and state in the middle of something."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lastgood.release.strategies.crew import Crew
from lastgood.release.strategies.ladder import ladder

SIZES = st.integers(1, 12)


def rolling(size: int, *, batch: int = 1, surge: int = 1, unavailable: int = 0, **more: int) -> Crew:
    return Crew(
        "a", "rolling", "new", size, left="old", left_asked=more.pop("left_asked", size), left_size=size,
        batch=batch, surge=surge, unavailable=unavailable, **more,
    )  # fmt: skip


def told(
    *crews: Crew, landings: tuple[Fraction, ...] = (), share: Fraction = Fraction(0)
) -> list[tuple[int, str, int]]:
    """``(instances of the new one, share, instances of the old one)`` of the first service after each rung."""
    rungs = ladder(crews, landings, share)
    return [(rung.crews[0].healthy, str(rung.share), rung.crews[0].left_asked) for rung in rungs]


def test_one_by_one_with_one_more() -> None:
    assert told(rolling(3)) == [(1, "1/3", 2), (2, "2/3", 1), (3, "1", 0)]


def test_batches_of_two() -> None:
    assert told(rolling(5, batch=2, surge=2)) == [(2, "2/5", 3), (4, "4/5", 1), (5, "1", 0)]


def test_without_room_an_old_one_goes_first() -> None:
    assert told(rolling(3, surge=0, unavailable=1)) == [(0, "0", 2), (1, "1/2", 1), (2, "1", 0), (3, "1", 0)]


def test_blue_green_is_one_rung_and_leaves_the_old_one_alone() -> None:
    assert told(Crew("a", "blue_green", "new", 3, left="old", left_asked=3, left_size=3)) == [(3, "1", 3)]


def test_a_canary_grows_with_its_share() -> None:
    crew = Crew("a", "canary", "new", 10, left="old", left_asked=10, left_size=10)
    landings = (Fraction(5, 100), Fraction(1, 4), Fraction(1, 2))
    assert told(crew, landings=landings) == [(1, "1/20", 10), (3, "1/4", 10), (5, "1/2", 10), (10, "1", 10)]


def test_services_that_move_together_move_by_one_share() -> None:
    green = Crew("b", "blue_green", "new", 2, left="old", left_asked=2, left_size=2)
    rungs = ladder([rolling(2), green])
    assert [dict(rung.starts) for rung in rungs] == [{"a": 1, "b": 2}, {"a": 2}]
    assert [rung.share for rung in rungs] == [Fraction(1, 2), 1]


def test_limits_that_leave_no_way_give_way() -> None:
    stuck = rolling(3, surge=0, unavailable=0)
    assert told(stuck)[-1] == (3, "1", 0)
    too_many = rolling(2, left_asked=9)
    assert told(too_many)[-1] == (2, "1", 0)


@st.composite
def crews(draw: st.DrawFn) -> Crew:
    """Any service at any point of a rolling update that kept its promises so far, or one not begun."""
    size = draw(SIZES)
    surge = draw(st.integers(0 if size > 1 else 1, 4))
    unavailable = draw(st.integers(0 if surge else 1, size - 1))
    crew = rolling(size, batch=draw(st.integers(1, 4)), surge=surge, unavailable=unavailable)
    return draw(st.sampled_from([crew, replace(crew, kind="blue_green"), replace(crew, kind="canary")]))


@given(
    st.lists(crews(), min_size=1, max_size=3), st.lists(st.fractions(Fraction(1, 100), Fraction(99, 100)), max_size=3)
)
def test_capacity_is_kept_on_both_sides_and_the_limits_hold(made: list[Crew], landings: list[Fraction]) -> None:
    made = [replace(crew, name=f"s{number}") for number, crew in enumerate(made)]
    before, share = tuple(made), Fraction(0)
    rungs = ladder(made, sorted(landings))
    for rung in rungs:
        assert share <= rung.share <= min([each for each in landings if each > share], default=Fraction(1))
        for old, crew in zip(before, rung.crews, strict=True):
            assert crew.healthy >= math.ceil(rung.share * crew.floor)
            assert crew.left_asked >= math.ceil((1 - rung.share) * max(1, crew.left_size - crew.unavailable)) or (
                crew.left_asked == old.left_asked
            )
            if crew.kind == "rolling":
                assert crew.healthy + old.left_asked <= crew.size + crew.surge, "before the old ones stop"
            if crew.kind != "rolling":
                assert crew.left_asked == crew.left_size, "it stays warm"
        before, share = rung.crews, rung.share
    assert share == 1
    assert all(crew.is_done for crew in before)
    assert set(landings) <= {rung.share for rung in rungs}, "a hold is never passed over"


@given(crews(), st.data())
def test_back_from_any_rung_there_is_a_way_that_keeps_capacity(crew: Crew, data: st.DataObject) -> None:
    """The same from the other side: what was left is gone back to, from wherever the way forward stopped."""
    rungs = ladder([crew])
    rung = data.draw(st.sampled_from(rungs))
    here = rung.crews[0]
    kind = "rolling" if crew.kind == "rolling" else "blue_green"
    back = Crew(
        "a", kind, "old", here.left_size, healthy=here.left_asked, asked=here.left_asked, left="new",
        left_asked=here.asked, left_size=here.size, batch=here.left_size, surge=here.surge,
        unavailable=here.unavailable,
    )  # fmt: skip
    ways = ladder([back], (), 1 - rung.share)
    for way in ways:
        assert way.crews[0].healthy >= math.ceil(way.share * back.floor)
    if ways:
        assert ways[-1].share == 1
        assert ways[-1].crews[0].healthy >= back.size
    if crew.kind != "rolling":
        assert len(ways) <= 1, "what is warm is one shift away"
