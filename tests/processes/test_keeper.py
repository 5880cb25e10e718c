"""The keeper in a loop of its own: how often it looks at the machine's processes."""

from __future__ import annotations

import selectors
from collections.abc import Iterator

import pytest

from lastgood.effects.processes.census import Census
from lastgood.effects.processes.keeper import Keeper
from tests.processes.conftest import Site

MANY = 24


class Kept:
    """A keeper, its loop, and the answers it gave."""

    def __init__(self, site: Site) -> None:
        self.site, self.looks, self.turns = site, 0, 0
        self.answers: list[dict[str, object]] = []
        self.selector = selectors.DefaultSelector()
        self.keeper = Keeper(
            site.run,
            lambda fd, callback: self.selector.register(fd, selectors.EVENT_READ, callback) and None,
            lambda fd: self.selector.unregister(fd) and None,
            lambda line: None,
            self._look,
        )

    def _look(self) -> Census:
        self.looks += 1
        return Census()

    def turn(self) -> None:
        self.turns += 1
        for key, _ in self.selector.select(0.05):
            if self.selector.get_map().get(key.fd) is key:
                key.data()
        self.keeper.tick()

    def close(self) -> None:
        for key in list(self.keeper.entries):
            self.keeper.stop(key, 0, self.answers.append)
        self.site.until(lambda: self.turn() or not self.keeper.entries)
        self.selector.close()


@pytest.fixture
def kept(site: Site) -> Iterator[Kept]:
    kept = Kept(site)
    yield kept
    kept.close()


def test_many_that_stop_at_once_are_looked_at_once(kept: Kept) -> None:
    for n in range(MANY):
        kept.keeper.start(kept.site.spec(f"p{n}"), kept.answers.append)
    kept.turn()
    kept.answers.clear()
    kept.looks = kept.turns = 0
    for n in range(MANY):
        kept.keeper.stop(f"p{n}", 5.0, kept.answers.append)
    assert kept.looks == 1
    kept.site.until(lambda: kept.turn() or len(kept.answers) == MANY)
    assert [answer["stopped"] for answer in kept.answers] == [True] * MANY
    assert kept.site.ours() == set()
    assert kept.looks <= 1 + kept.turns


def test_what_started_after_the_look_is_asked_to_end_all_the_same(kept: Kept) -> None:
    kept.keeper.start(kept.site.spec("old"), kept.answers.append)
    kept.keeper.stop("old", 0, kept.answers.append)
    polite = ("sh", "-c", "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.02; done")
    kept.keeper.start(kept.site.spec("new", *polite), kept.answers.append)
    kept.site.until(lambda: "up" in kept.site.log("new"))
    kept.keeper.stop("new", 5.0, kept.answers.append)
    kept.site.until(lambda: kept.turn() or not kept.keeper.entries)
    assert "bye" in kept.site.log("new")
