"""When a person hears that a service is away, and that it is back."""

from __future__ import annotations

from lastgood.operations.outages import LOOKS, Outages, serving_now
from lastgood.release import events as ev
from lastgood.release.ledger import live_now
from lastgood.release.observed import Fact
from lastgood.release.step import Step
from tests.release.folded import begun, state

SERVING = {"catalog": "v1"}


def facts(healthy: int, wanted: int = 2, digest: str = "v1", **more: object) -> list[Fact]:
    said = {f"wanted:{digest}": wanted, f"healthy:{digest}": healthy, **{f"{k}:{digest}": v for k, v in more.items()}}
    return [Fact("service:catalog", key, value, stable=False) for key, value in said.items()]


def test_it_is_told_once_when_it_lasts_and_once_when_it_is_over() -> None:
    outages = Outages()
    away = facts(0, unready=("127.0.0.1:1: GET /healthz was answered with 500",))
    told = [outages.look(SERVING, away) for _ in range(LOOKS + 5)]
    assert [len(each) for each in told] == [0] * (LOOKS - 1) + [1] + [0] * 5
    assert told[LOOKS - 1] == [
        "catalog: none of its instances is healthy (127.0.0.1:1: GET /healthz was answered with 500): "
        "lastgood logs catalog, or lastgood rollback"
    ]
    assert outages.look(SERVING, facts(1)) == ["catalog: instances are healthy again"]
    assert outages.look(SERVING, facts(2)) == []


def test_a_moment_is_no_outage_and_what_is_not_wanted_is_not_away() -> None:
    outages = Outages()
    for _ in range(5):
        assert [outages.look(SERVING, facts(0)) for _ in range(LOOKS - 1)] == [[]] * (LOOKS - 1)
        assert outages.look(SERVING, facts(1)) == []
    for _ in range(LOOKS * 2):
        assert outages.look(SERVING, facts(0, wanted=0)) == []
        assert outages.look(SERVING, []) == []
    [told] = [outages.look(SERVING, facts(0, failing="it ends again and again")) for _ in range(LOOKS)][-1]
    assert told.startswith("catalog: none of its instances is healthy (it ends again and again): ")


def test_what_is_being_left_is_watched_by_others() -> None:
    step = Step("shift", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 100.0})
    shifted: list[tuple[int | None, ev.Body]] = [(1, ev.StepStarted("shift")), (1, ev.StepEnded("shift"))]
    moving = state((None, ev.Released(1, "a")), (None, ev.Released(2, "b")), *begun(step), *shifted)
    versions = {1: {"catalog": "v1", "stock": "s"}, 2: {"catalog": "v2", "stock": "s"}}
    assert live_now(moving) == 2
    assert serving_now(moving, lambda number: versions[number]) == {"stock": "s"}
    assert serving_now(state(), lambda number: versions[number]) == {}
