"""With real Envoy, Git, processes and load: releases that fail or are slow go back by themselves, good ones stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from lastgood.interfaces.demo.load import Load, Probe
from tests.judging.moody import Moody
from tests.support.processes import eventually
from tests.support.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("judging")]

BAKE = "2m, clusters: 1, at_least: 5s, objectives: [{ errors: { not_worse_than: baseline } }]"
PROBES = tuple(Probe(f"user {n}", "/catalog/1") for n in range(8))


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
        made.begin()
        made.commit(text(made, sides[0], "300ms"))
        made.ok("up", "--detach")
        made.ok("deploy", "--wait", "ended")
        yield made
    finally:
        made.close()


def text(shop: Shop, side: Moody, bake: str = BAKE) -> str:
    upstreams = f'  side: {{ endpoints: ["127.0.0.1:{side.port}"] }}\n'
    routes = "    - { name: catalog, match: { host: shop.example, path: /catalog/* }, to: side, public: true }\n"
    routes += "    - { name: legacy, match: { host: shop.example, path: /legacy/* }, to: legacy, public: true }\n"
    return shop.text(routes, upstreams=upstreams, bake=bake)


def release(shop: Shop, side: Moody, percent: str = "5%", bake: str = BAKE) -> None:
    shop.commit(text(shop, side, bake))
    shop.ok("deploy", "--percent", percent, "--no-wait")


def went_back(shop: Shop, within_s: float) -> dict[str, object]:
    """Wait until r1 is all there is again; what the journal says of r2."""
    eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=within_s)
    assert shop.live == 1
    return shop.ask("verdict", "r2")


def bad_answers(load: Load, is_bad: Callable[[object], bool]) -> tuple[float, float, int]:
    """When the first and the last were sent, and how many."""
    sent = [answer.sent_s for answer in load.answers if is_bad(answer)]
    return sent[0], sent[-1], len(sent)


def converged_s(shop: Shop) -> float:
    """When it was seen that the release that was left gets nothing any more, by the clock of the answers."""
    ends = [event for event in shop.ask("report", "d2")["timeline"] if event.get("step") == "converged"]
    at = datetime.fromisoformat([event for event in ends if event["kind"] == "StepEnded"][-1]["at"])
    return at.timestamp() - time.time() + time.monotonic()


@pytest.mark.parametrize(("fails", "within_s"), [(1.0, 8.0), (0.2, 20.0)])
def test_a_release_that_fails_goes_back(shop: Shop, sides: tuple[Moody, Moody], fails: float, within_s: float) -> None:
    sides[1].fails = fails
    with shop.load(*PROBES, per_second=25.0) as load:
        time.sleep(3.0)
        release(shop, sides[1])
        found = went_back(shop, within_s + 20)
        time.sleep(0.5)
    first, last, many = bad_answers(load, lambda answer: answer.status == 500)  # type: ignore[attr-defined]
    assert found["verdict"] == "bad"
    assert found["measured"]["replay"] == "same"  # type: ignore[index]
    assert last - first <= within_s
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
    first, last, _ = bad_answers(load, lambda answer: answer.body == "new")  # type: ignore[attr-defined]
    assert found["verdict"] == "bad"
    assert "slower" in str(found["evidence"])
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
    first, last, many = bad_answers(load, lambda answer: answer.status == 500)  # type: ignore[attr-defined]
    assert (found["verdict"], found["basis"]) == ("bad", "measured")
    assert "errors below 5%" in str(found["evidence"])
    assert found["measured"]["replay"] == "same"  # type: ignore[index]
    print(f"\nafter the bake, half failing: {last - first:.1f} s, {many} of them")
