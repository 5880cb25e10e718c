"""A version that ends again and again takes its release back, once requests have reached it."""

from __future__ import annotations

from lastgood.operations.failing import failing_release
from lastgood.release import events as ev
from lastgood.release.observed import Fact
from lastgood.release.release import Release
from lastgood.release.state import State
from lastgood.release.step import Step
from tests.release.folded import begun, state

SHIFT = Step("shift", "gateway", "serve", {"base": 1, "candidate": 2, "percent": 100.0})


def release_of(number: int) -> Release:
    return Release(number, "shop", None, {"service:catalog": f"v{number}", "service:same": "v0"})


def failing(name: str, digest: str) -> list[Fact]:
    return [Fact(f"service:{name}", f"failing:{digest}", "it ends again and again", stable=False)]


def baking(*more: tuple[int | None, ev.Body]) -> State:
    shifted: list[tuple[int | None, ev.Body]] = [(1, ev.StepStarted("shift")), (1, ev.StepEnded("shift"))]
    return state((None, ev.Released(1, "a")), (None, ev.Released(2, "b")), *begun(SHIFT), *shifted, *more)


def test_the_new_version_of_what_is_deployed_condemns_its_release() -> None:
    assert failing_release(baking(), failing("catalog", "v2"), release_of) == (
        2,
        "it ends again and again",
        "service:catalog",
    )


def test_nothing_else_does() -> None:
    assert failing_release(baking(), failing("catalog", "v1"), release_of) is None, "the old one fails: not its fault"
    assert failing_release(baking(), failing("same", "v0"), release_of) is None, "it was there before"
    before = state((None, ev.Released(2, "b")), *begun(SHIFT))
    assert failing_release(before, failing("catalog", "v2"), release_of) is None, "its start says so itself"
    judged = baking((None, ev.Judged(2, "bad", "veto", "x")))
    assert failing_release(judged, failing("catalog", "v2"), release_of) is None, "once is enough"
    assert failing_release(State(), failing("catalog", "v2"), release_of) is None
    back = state((None, ev.Released(2, "b")), *begun(SHIFT, intent="rollback"))
    assert failing_release(back, failing("catalog", "v2"), release_of) is None, "a way back waits for nobody"


def test_there_is_no_way_back_into_a_version_that_is_dead() -> None:
    def old(healthy: int) -> list[Fact]:
        said = {"wanted:v1": 2, "healthy:v1": healthy}
        return [Fact("service:catalog", key, value, stable=False) for key, value in said.items()]

    assert failing_release(baking(), [*failing("catalog", "v2"), *old(0)], release_of) is None
    assert failing_release(baking(), [*failing("catalog", "v2"), *old(1)], release_of) is not None
