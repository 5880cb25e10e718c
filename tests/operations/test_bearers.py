"""Which release has a version of a service."""

from __future__ import annotations

from lastgood.operations.bearers import Bearers
from lastgood.release.release import Release
from lastgood.release.state import State

PARTS = {1: {"service:a": "x", "service:b": "y"}, 2: {"service:a": "x"}, 3: {"service:a": "z", "function:b": "y"}}


class Journal:
    """Releases by number, and how often one was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def release_of(self, number: int) -> Release:
        self.asked += 1
        return Release(number, "shop", None, PARTS[number])


def test_the_newest_that_has_it_is_found_once_for_each_list_of_releases() -> None:
    journal, state = Journal(), State(releases=(1, 2))
    bearers = Bearers(lambda: state, journal.release_of)
    assert bearers.newest("a", "x") == 2
    assert bearers.newest("b", "y") == 1
    assert bearers.newest("a", "z") is None
    asked = journal.asked
    assert bearers.newest("a", "x") == 2
    assert bearers.newest("a", "z") is None
    assert journal.asked == asked
    state = State(releases=(1, 2, 3))
    assert bearers.newest("a", "z") == 3
    assert bearers.newest("b", "y") == 3
