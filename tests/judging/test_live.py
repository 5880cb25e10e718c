"""With real Envoy, Git, processes and load: releases that fail or are slow go back by themselves, good ones stay."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lastgood.interfaces.demo.load import Probe
from tests.support.judged import BAKE, PROBES, bad_answers, converged_s, open_with, release, text, went_back
from tests.support.moody import Moody
from tests.support.processes import eventually
from tests.support.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("judging")]


AFTER_THE_RULING = 25
"""Requests: those of one look, of the push, and those that were under way."""


def judged(found: dict[str, object]) -> tuple[int, int]:
    """Requests of the release that was judged, and failures among them, when its verdict was spoken."""
    finding = found["measured"]["finding"]  # type: ignore[index]
    return finding["requests"][0], finding["failures"][0]


@pytest.fixture
def sides() -> Iterator[tuple[Moody, Moody]]:
    made = Moody("old"), Moody("new")
    yield made
    for side in made:
        side.stop()


@pytest.fixture
def shop(sides: tuple[Moody, Moody]) -> Iterator[Shop]:
    """r1 is live and known good, 200 requests a second arrive at ``old``."""
    made = Shop()
    try:
        open_with(made, sides[0])
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("fails", "within"), [(1.0, 40), (0.2, 150)])
def test_a_release_that_fails_goes_back(shop: Shop, sides: tuple[Moody, Moody], fails: float, within: int) -> None:
    """Within so many of its requests (ten a second): the judge counts, and no clock of this machine is asked."""
    sides[1].fails = fails
    with shop.load(*PROBES, per_second=25.0) as load:
        time.sleep(3.0)
        release(shop, sides[1])
        found = went_back(shop, 40)
        time.sleep(0.5)
    first, last, many = bad_answers(load, lambda answer: answer.status == 500)
    assert found["verdict"] == "bad"
    assert found["measured"]["replay"] == "same"  # type: ignore[index]
    asked, failed = judged(found)
    assert asked <= within
    assert many <= failed + AFTER_THE_RULING
    settled_s = converged_s(shop) - first
    print(f"\n{fails:.0%} failing: {last - first:.2f} s from the first bad answer to the last, {many} of them;")
    print(f"  {settled_s:.2f} s to the proof by counters that nothing goes to it any more")


def test_a_release_that_is_twice_as_slow_goes_back(shop: Shop, sides: tuple[Moody, Moody]) -> None:
    sides[0].wait_s, sides[1].wait_s = 0.02, 0.04
    with shop.load(*PROBES, per_second=25.0) as load:
        time.sleep(4.0)
        release(shop, sides[1])
        found = went_back(shop, 40)
        time.sleep(0.5)
    first, last, _ = bad_answers(load, lambda answer: answer.body == "new")
    assert found["verdict"] == "bad"
    assert "slower" in str(found["evidence"])
    assert judged(found)[0] <= 200
    print(f"\ntwice as slow: {last - first:.2f} s")


def test_a_release_that_never_answers_goes_back(shop: Shop, sides: tuple[Moody, Moody]) -> None:
    sides[1].hangs = True
    with shop.load(*PROBES, per_second=25.0):
        time.sleep(3.0)
        release(shop, sides[1], "50%")
        found = went_back(shop, 40)
    assert found["verdict"] == "bad"


def test_healthy_releases_become_known_good_by_evidence(shop: Shop, sides: tuple[Moody, Moody]) -> None:
    """Three in a row, each beside the one before."""
    with shop.load(*PROBES, per_second=25.0) as load:
        time.sleep(1.0)
        for number, side in enumerate((sides[1], sides[0], sides[1]), 2):
            began_s = time.monotonic()
            changed = text(shop, side).replace("to: side,", f"to: side, timeout: {number}s,")
            shop.commit(changed)
            shop.ok("deploy", "--percent", "95%", "--no-wait")
            eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=60)
            assert shop.live == number
            found = shop.ask("verdict", f"r{number}")
            assert (found["verdict"], found["basis"]) == ("good", "measured")
            assert found["measured"]["replay"] == "same"
            print(f"\nr{number} known good after {time.monotonic() - began_s:.1f} s")
    assert not load.failed()


def test_a_regression_that_begins_after_the_bake_goes_back(shop: Shop, sides: tuple[Moody, Moody]) -> None:
    """What else goes through the gateway is well meanwhile; had it failed, too, nothing would have moved."""
    limit = BAKE.replace("[{", "[{ errors: { below: 5% } }, {")
    rest = Probe("somebody else", "/legacy/1")
    with shop.load(*PROBES, *[rest] * 8, per_second=25.0) as load:
        time.sleep(1.0)
        release(shop, sides[1], "95%", limit)
        eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=60)
        assert shop.live == 2
        time.sleep(12.0)
        sides[1].fails = 0.5
        eventually(lambda: shop.live, lambda live: live == 1, within_s=60)
        found = went_back(shop, 10)
        time.sleep(0.5)
    first, last, many = bad_answers(load, lambda answer: answer.status == 500)
    assert (found["verdict"], found["basis"]) == ("bad", "measured")
    assert "errors below 5%" in str(found["evidence"])
    assert found["measured"]["replay"] == "same"  # type: ignore[index]
    print(f"\nafter the bake, half failing: {last - first:.1f} s, {many} of them")
