"""Before a release: how long a regression takes to find at this traffic, learnt from the releases before."""

from __future__ import annotations

import pytest

from lastgood.config.bake import Bake
from lastgood.config.model import Service
from lastgood.health.dispersion import UNKNOWN
from lastgood.health.history import HOUR, Past, learn
from lastgood.health.reading import EDGES_MS, Counts, ProxyReading, Reading
from lastgood.health.record import Case, write_case, write_line
from lastgood.health.terms import Terms
from lastgood.interfaces.cli import deploy, render_plan
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.terms import first_share, promised
from tests.envoy.test_compiled import configuration
from tests.judging.court import court


def record(seconds: int, *, per_second: int = 100, failed: int = 0) -> list[str]:
    lines = [write_case(Case(2, 1, Terms()))]
    for at_s in range(1, seconds + 2):
        mine, theirs = (
            Counts(n * at_s, n * at_s, bad * at_s, 0, 0, (n * at_s,) * len(EDGES_MS))
            for n, bad in ((per_second // 10, 0), (per_second * 9 // 10, failed))
        )
        proxies = {"one": ProxyReading(float(at_s), {"r2": mine, "r1": theirs})}
        lines.append(write_line(Reading(float(at_s), 10.0, proxies)))
    return lines


def test_traffic_and_failures_are_learnt_from_what_was_known_good() -> None:
    past = learn([record(700, failed=1)])
    assert past.per_second == pytest.approx(100, rel=0.01)
    assert past.base == pytest.approx(0.01, rel=0.1)
    assert past.dispersion["errors"] == 1.0
    assert 0.01 < past.references["errors"] < 0.02


def test_where_next_to_nothing_went_to_the_baseline_the_release_s_own_past_is_the_limit() -> None:
    """All requests moved at once: what it answered at them was good enough; one in a hundred is always permitted."""
    lines = [write_case(Case(2, 1, Terms()))]
    for at_s in range(1, 60):
        mine = Counts(50 * at_s, 50 * at_s, at_s, 0, 0, (50 * at_s,) * len(EDGES_MS))
        lines.append(write_line(Reading(float(at_s), 100.0, {"one": ProxyReading(float(at_s), {"r2": mine})})))
    references = learn([lines]).references
    assert 0.02 < references["errors"] < 0.04
    assert references["refused"] == 0.01
    assert learn([lines[:4]]).references == {}, "a hundred requests are too few"


def test_without_enough_history_clusters_are_assumed() -> None:
    assert learn([]) == Past()
    assert learn([record(60)]).dispersion["errors"] == UNKNOWN


def test_a_long_record_is_learnt_from_its_end() -> None:
    lines = record(HOUR + 50)
    broken = [lines[0], "{nonsense\n", *lines[1:]]
    assert learn([broken]).per_second == pytest.approx(100, rel=0.01)


def test_a_long_watch_hides_nothing_of_the_bake_before_it() -> None:
    after = [write_case(Case(2, 1, Terms(), after=True)), *record(HOUR + 50)[1:]]
    assert learn([[*record(700, failed=1), *after]]) == learn([record(700, failed=1)])
    assert learn([after]) == Past()


async def test_a_plan_says_how_long_a_regression_takes_to_find() -> None:
    async with court() as it:
        it.made.verbs.evidence = it.evidence
        await it.second()
        await it.seconds(60)
        await it.made.at_rest()
        it.commit("/third/*")
        found = await it.made.verbs.plan_deploy("main")
        assert found["forecast"].startswith("at your traffic (9")
        assert found["forecast"] in render_plan.way_forward(found)
        assert "5% failing about" in found["forecast"]


async def test_where_nothing_is_known_it_says_nothing() -> None:
    async with court() as it:
        await it.first()
        it.made.verbs.evidence = it.evidence
        assert (await it.made.verbs.plan_deploy("main"))["forecast"] == ""


async def test_a_deployment_says_it_for_the_share_that_it_begins_with() -> None:
    async with court() as it:
        it.made.verbs.evidence = it.evidence
        await it.second(paths=("/new/*", "/*"))
        await it.seconds(60)
        await it.made.at_rest()
        it.commit("/third/*")
        found = await it.made.verbs.deploy("main", DeployAsk(by="test", percent=20.0))
        assert found["forecast"].endswith("with 20% of it on the new release")
        assert found["forecast"] in deploy.begun(found)


def test_the_first_share_is_what_was_asked_for_the_canarys_or_all_but_what_is_held_back() -> None:
    canary = {"steps": ["10%", "50%"], "hold": "1m"}
    service = Service.model_validate({"source": ".", "command": ["x"], "strategy": {"canary": canary}})
    plain, climbing, held = (
        configuration(),
        configuration(("service:a", service)),
        configuration(("bake:bake", Bake.model_validate({"hold_back": "5%"}))),
    )
    assert first_share(plain, 20.0) == 20.0
    assert first_share(climbing, 100.0) == 10.0
    assert first_share(held, 100.0) == 95.0
    assert first_share(plain, 100.0) == 100.0


def test_all_at_once_it_says_what_a_share_would_find() -> None:
    past = Past(per_second=100.0)
    assert promised(Terms(), past, 100.0).endswith("if 5% of it went to the new release first (--percent 5)")
    assert promised(Terms(), past, 50.0).endswith("with 50% of it on the new release")
    assert promised(Terms(), past, 100.0).split(", if")[0] == promised(Terms(), past, 5.0).split(", with")[0]
