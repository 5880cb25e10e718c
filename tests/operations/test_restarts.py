"""A deployment says what it starts, restarts and stops; what stays as it is it does not name."""

from __future__ import annotations

from lastgood.config.model import Listener
from lastgood.operations.restarts import late_listeners, not_startable, restarts
from lastgood.release.release import Release
from lastgood.release.step import Step
from tests.release.folded import plan

LIVE = Release(1, "shop", None, {"gateway": "g", "service:a": "1", "service:b": "1", "service:gone": "1"})


def test_each_change_is_one_line() -> None:
    parts = {"gateway": "h", "service:a": "1", "service:b": "2", "service:new": "1"}
    assert restarts(LIVE, parts, {"b": 3, "new": 1}, {"b": "rolling"}) == [
        "restarts service b: 3 instances of the new version in place of the old ones, batch by batch",
        "stops service gone",
        "starts service new: 1 instance",
    ]
    assert restarts(None, {"gateway": "g", "service:a": "1"}, {"a": 2}, {}) == ["starts service a: 2 instances"]
    assert restarts(LIVE, dict(LIVE.parts), {}, {}) == []


def test_functions_are_called_what_they_are() -> None:
    live = Release(1, "shop", None, {"function:price": "1", "function:gone": "1", "function:same": "1"})
    parts = {"function:price": "2", "function:same": "1", "function:new": "1"}
    assert restarts(live, parts, {}, {}) == [
        "stops function gone",
        "starts function new: 1 instance",
        "restarts function price: 1 instance of the new version beside the old ones",
    ]


def test_listeners_that_do_not_move_at_once_are_told() -> None:
    before = {"web": Listener(port=80), "old": Listener(port=81), "same": Listener(port=82, use=("a",))}
    after = {"web": Listener(port=90), "same": Listener(port=82), "new": Listener(port=81), "other": Listener(port=83)}
    assert late_listeners(before, after) == [
        "moves listener web at the end of the bake: until then it stays as it is",
        "closes listener old at the end of the bake",
        "opens listener new at the end of the bake, when old has left its port",
    ]
    assert late_listeners({}, after) == []


def test_a_way_back_says_what_it_could_not_start() -> None:
    start = Step("start:b", "service:b", "start", {"release": 3, "digest": "x", "instances": 1})
    function = Step("start:f", "service:f", "start", {"release": 3, "digest": "y", "instances": 1})
    traffic = Step("shift", "gateway", "shift", {"release": 3})
    made = plan(start, function, traffic, intent="rollback")
    target = Release(3, "shop", None, {"service:b": "x", "function:f": "y"})
    asked: list[tuple[str, int]] = []

    def why(name: str, release: int) -> str | None:
        asked.append((name, release))
        return "the artifact is damaged"

    assert not_startable(made, target, why) == [
        "service b cannot be started: the artifact is damaged",
        "function f cannot be started: the artifact is damaged",
    ]
    assert asked == [("b", 3), ("f", 3)]
    assert not_startable(made, target, lambda name, release: None) == []
