"""What every ``FunctionTraffic`` has to do: the gateway of this machine, and any platform that moves its own traffic.

Run each clause of ``CLAUSES`` in a new world.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lastgood.errors import Failed, LastgoodError, UsageError
from lastgood.ports import FunctionRequest, Functions, FunctionTraffic

NAME = "price"
"""The function of every world."""


@dataclass(frozen=True)
class TrafficWorld:
    """Both ports of one platform, and what its functions are made of.

    ``code(word)`` is the file (``main.py``) of a function that answers 200 with the word in the header ``x-word``, or,
    where the platform names versions in answers itself, with a digest in ``x-version``; ``broken`` cannot start.
    """

    functions: Functions
    traffic: FunctionTraffic
    folder: Path
    settings: dict[str, object]
    code: Callable[[str], str]
    broken: str
    _words: dict[str, str] = field(default_factory=dict)

    def upload(self, word: str) -> str:
        """The digest of a version that says a word; ``broken`` is one that does not start."""
        (self.folder / "main.py").write_text(self.broken if word == "broken" else self.code(word))
        digest = self.functions.upload(NAME, self.settings, self.folder).digest
        self._words[digest] = word
        return digest

    def asked(self, times: int) -> Counter[str]:
        """The words of so many answers."""
        return Counter(self.one() for _ in range(times))

    def one(self) -> str:
        """The word of one answer, or its status."""
        answer = self.traffic.ask(NAME, FunctionRequest())
        headers = {key.lower(): value for key, value in answer.headers}
        return headers.get("x-word") or self._words.get(headers.get("x-version", ""), str(answer.status))


def _refused(kind: type[LastgoodError], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


def nobody_has_traffic_before_it_is_given(world: TrafficWorld) -> None:
    """A version that was made is nobody's yet."""
    world.upload("one")
    assert dict(world.traffic.shares(NAME)) == {}
    _refused(UsageError, world.one)


def all_requests_go_to_one_version_and_back(world: TrafficWorld) -> None:
    """Once it has moved, none goes to the one that was left."""
    one, two = world.upload("one"), world.upload("two")
    for digest, word in ((one, "one"), (two, "two"), (one, "one"), (one, "one")):
        world.traffic.shift(NAME, {digest: 100.0})
        assert dict(world.traffic.shares(NAME)) == {digest: 100.0}
        assert world.asked(20) == {word: 20}


def two_versions_share_the_requests(world: TrafficWorld) -> None:
    """By their percent, which may change again and again."""
    one, two = world.upload("one"), world.upload("two")
    world.traffic.shift(NAME, {one: 100.0})
    for share in (20.0, 50.0, 80.0):
        world.traffic.shift(NAME, {one: 100.0 - share, two: share})
        assert dict(world.traffic.shares(NAME)) == {one: 100.0 - share, two: share}
        seen = world.asked(200)
        assert set(seen) == {"one", "two"}
        assert abs(seen["two"] / 2 - share) < 16


def a_third_version_takes_the_place_of_either(world: TrafficWorld) -> None:
    """A release that follows another before that one has everything."""
    one, two, three = world.upload("one"), world.upload("two"), world.upload("three")
    world.traffic.shift(NAME, {one: 100.0})
    world.traffic.shift(NAME, {one: 50.0, two: 50.0})
    world.traffic.shift(NAME, {one: 50.0, three: 50.0})
    assert set(world.asked(60)) == {"one", "three"}
    world.traffic.shift(NAME, {three: 100.0})
    assert world.asked(20) == {"three": 20}


def what_cannot_start_gets_nothing(world: TrafficWorld) -> None:
    """And whoever had the requests keeps them."""
    one, broken = world.upload("one"), world.upload("broken")
    world.traffic.shift(NAME, {one: 100.0})
    _refused(Failed, lambda: world.traffic.shift(NAME, {one: 50.0, broken: 50.0}))
    _refused(UsageError, lambda: world.traffic.shift(NAME, {"0" * 64: 100.0}))
    assert dict(world.traffic.shares(NAME)) == {one: 100.0}
    assert world.asked(20) == {"one": 20}


def shares_that_are_none_move_nothing(world: TrafficWorld) -> None:
    """Less or more than all requests, nobody, three at once."""
    one, two, three = world.upload("one"), world.upload("two"), world.upload("three")
    world.traffic.shift(NAME, {one: 100.0})
    for shares in (
        {},
        {one: 99.0},
        {one: 60.0, two: 60.0},
        {one: -10.0, two: 110.0},
        {one: 40.0, two: 40.0, three: 20.0},
    ):
        _refused(UsageError, partial(world.traffic.shift, NAME, shares))
    assert dict(world.traffic.shares(NAME)) == {one: 100.0}


def no_request_fails_of_it(world: TrafficWorld) -> None:
    """While it moves there and back."""
    one, two = world.upload("one"), world.upload("two")
    world.traffic.shift(NAME, {one: 100.0})
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def user() -> None:
        while not stop.is_set():
            seen[world.one()] += 1

    users = [threading.Thread(target=user) for _ in range(3)]
    for each in users:
        each.start()
    try:
        for share in (50.0, 100.0) * 4:
            world.traffic.shift(NAME, {two: share, one: 100.0 - share} if share < 100 else {two: 100.0})
            world.traffic.shift(NAME, {one: 100.0})
    finally:
        stop.set()
        for each in users:
            each.join()
    assert set(seen) <= {"one", "two"}
    assert seen["one"] > 0


CLAUSES = (
    nobody_has_traffic_before_it_is_given,
    all_requests_go_to_one_version_and_back,
    two_versions_share_the_requests,
    a_third_version_takes_the_place_of_either,
    what_cannot_start_gets_nothing,
    shares_that_are_none_move_nothing,
    no_request_fails_of_it,
)
