"""What Prometheus is told of judgements."""

from __future__ import annotations

from lastgood.health.reading import WHOLE
from lastgood.interfaces.http.metrics import render_metrics
from tests.http.test_api import parsed
from tests.judging.court import court


async def test_a_release_that_went_back_is_told_with_its_times_and_counts() -> None:
    async with court() as it:
        await it.second()
        await it.seconds(5)
        await it.seconds(10, fails=0.2)
        await it.made.until(lambda state: state.deployment is None)
        found = parsed(render_metrics(it.made.loop.view(), (), 0))
        assert found["lastgood_verdicts"]['verdict="bad",basis="measured"'] == 1.0
        assert found["lastgood_verdicts"]['verdict="good",basis="timed"'] == 1.0
        assert found["lastgood_harm"]['release="r2"'] >= 1000
        assert found["lastgood_measured_requests"]['release="r2",side="new",outcome="failed"'] >= 19
        assert 4 <= found["lastgood_detection_seconds"][""] <= 15
        assert 0 <= found["lastgood_rollback_seconds"][""] < 10


async def test_where_nothing_was_judged_the_names_are_there_all_the_same() -> None:
    async with court() as it:
        await it.first()
        text = render_metrics(it.made.loop.view(), (), 0)
        assert "# TYPE lastgood_detection_seconds gauge" in text
        assert "lastgood_detection_seconds" not in parsed(text)


async def test_requests_are_counters_by_proxy_and_release() -> None:
    async with court() as it:
        await it.first()
        for label, n, failed in (("r2", 7, 2), ("r2.pay", 3, 1), ("r1", 90, 0), (WHOLE, 110, 4)):
            it.counters.requests(label, n, failed=failed)
        readings = await it.counters.read()
        text = render_metrics(it.made.loop.view(), (), 0, readings)
        found = parsed(text)
        assert found["lastgood_failed_requests_total"] == {
            'proxy="one",release="all"': 4.0,
            'proxy="one",release="r1"': 0.0,
            'proxy="one",release="r2"': 3.0,
        }
        assert found["lastgood_requests_total"]['proxy="one",release="r2"'] == 10.0
        assert "# TYPE lastgood_failed_requests_total counter" in text


async def test_a_proxy_that_does_not_answer_is_left_out() -> None:
    async with court() as it:
        await it.first()
        it.counters.vanish()
        assert "lastgood_requests_total" not in parsed(
            render_metrics(it.made.loop.view(), (), 0, await it.counters.read())
        )
