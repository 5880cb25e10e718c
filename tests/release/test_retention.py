"""What something may still go back to: a count and an age, tags, what is live, what runs."""

from __future__ import annotations

from lastgood.release import events as ev
from lastgood.release.release import Release
from lastgood.release.retention import kept_releases
from lastgood.release.state import State, fold
from tests.release.folded import Owned, at, journal

DAY_S = 86_400.0


def history(count: int) -> State:
    """Releases that went live one after the other."""
    bodies: list[Owned] = []
    for number in range(1, count + 1):
        source = number - 1 or None
        bodies += [
            (None, ev.Released(number, f"d{number}")),
            (number, ev.Requested("deploy", number, source, "test")),
            (number, ev.Ended(number, "done")),
        ]
    return fold(journal(*bodies))


def release_of(number: int) -> Release:
    return Release(number, "shop", None, {"service:catalog": f"v{number}"})


def kept(state: State, days: float, running: tuple[str, ...] = (), **more: float) -> list[int]:
    now_s = at(0).wall_s + days * DAY_S
    pairs = [("catalog", digest) for digest in running]
    return sorted(kept_releases(state, release_of, pairs, now_s, **more))  # type: ignore[arg-type]


def test_a_release_goes_only_beyond_the_count_and_beyond_the_age() -> None:
    state = history(30)
    assert kept(state, 29) == list(range(1, 31)), "young enough"
    assert kept(state, 31) == list(range(11, 31)), "the newest twenty, however old"
    assert kept(state, 31, count=3) == [28, 29, 30]


def test_tags_what_is_live_what_runs_and_the_known_good_one_stay() -> None:
    state = fold(
        [*journal((None, ev.Tagged("before-the-sale", 2)), (None, ev.Judged(4, "good", "timed", "x")), start_s=100.0)],
        history(30),
    )
    assert kept(state, 31, count=3) == [2, 4, 28, 29, 30]
    assert kept(state, 31, ("v7",), count=3) == [2, 4, 7, 28, 29, 30]


def test_what_is_under_way_stays_however_long_it_takes() -> None:
    bodies: list[Owned] = [(99, ev.Requested("deploy", 5, 3, "test"))]
    state = fold(journal(*bodies, start_s=200.0), history(30))
    assert {3, 5} <= set(kept(state, 400, count=1))
