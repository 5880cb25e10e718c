"""Which release a person means, which one is known good, what is held."""

from __future__ import annotations

import pytest

from lastgood.errors import Refused, UsageError
from lastgood.release import events as ev
from lastgood.release.ledger import (
    content_to_quarantine,
    equal_before,
    held_by,
    known_good,
    known_good_ones,
    leaving_now,
    previous,
    resolve_target,
)
from lastgood.release.release import Release
from lastgood.release.releases import Releases
from lastgood.release.state import State, evolve
from tests.release.folded import at, begun, release, state

RELEASES = {number: release(number, f"v{number}") for number in range(1, 6)}


def lived(*numbers: int, **verdicts: str) -> State:
    bodies: list[tuple[int | None, ev.Body]] = [(None, ev.Released(number, "x")) for number in RELEASES]
    for n, number in enumerate(numbers, 1):
        bodies += [(n, ev.Requested("deploy", number, None, "test")), (n, ev.Ended(number, "done"))]
    bodies += [(None, ev.Judged(int(name[1:]), verdict, "timed", "e")) for name, verdict in verdicts.items()]  # type: ignore[arg-type]
    return state(*bodies)


def evolved(made: State, body: ev.Body) -> State:
    """One event more."""
    return evolve(made, ev.Event(made.seq + 1, 1, None, at(99.0), body))


def target(text: str | None, made: State) -> int:
    commits = {"abc": "commit-2", "zzz": "commit-9"}
    return resolve_target(text, made, RELEASES.__getitem__, commit=commits.get).release


def test_the_newest_known_good_before_the_one_that_is_left_and_what_was_skipped() -> None:
    made = lived(1, 2, 3, 4, r1="good", r2="good", r3="undecided", r4="good")
    choice = known_good(made, RELEASES.__getitem__, leaving=4)
    assert (choice.release, choice.skipped) == (2, ((3, "undecided"),))
    assert known_good(made, RELEASES.__getitem__, leaving=2).release == 1, "never forward"


def test_the_same_content_under_another_number_is_no_way_back() -> None:
    same = {**RELEASES, 3: Release(3, "shop", "c", RELEASES[4].parts)}
    made = lived(1, 2, 3, 4, r2="good", r3="good")
    assert known_good(made, same.__getitem__, leaving=4).release == 2


def test_nothing_known_good_offers_what_was_live_before_and_nothing_at_all_refuses() -> None:
    with pytest.raises(Refused, match="r1 was live before, it is unproven") as refused:
        known_good(lived(1, 2), RELEASES.__getitem__, leaving=2)
    assert "lastgood rollback previous" in (refused.value.next or "")
    with pytest.raises(Refused, match="no release to go back to"):
        known_good(lived(1), RELEASES.__getitem__, leaving=1)


def test_the_release_before_is_named_as_what_it_is() -> None:
    bad = lived(1, 2, r1="bad")
    assert resolve_target("previous", bad, RELEASES.__getitem__, commit=lambda _: None).why == (
        "live before, known to be bad"
    )


def test_what_a_person_can_call_a_release() -> None:
    made = lived(1, 2, 3, r1="good")
    tagged = state((None, ev.Released(1, "x")), (None, ev.Tagged("stable", 1)))
    assert target(None, made) == 1
    assert target("previous", made) == 2
    assert target("r3", made) == 3
    assert target("r3~2", made) == 1
    assert target("abc", made) == 2
    assert target("stable", tagged) == 1


@pytest.mark.parametrize("text", ["r9", "r1~1", "zzz", "nothing", "--force", ""])
def test_what_names_nothing_is_said_to(text: str) -> None:
    with pytest.raises(UsageError):
        target(text, lived(1, 2))


def test_how_many_there_are_before_it_is_said() -> None:
    for text, said in (("r1~1", "there is no release before r1"), ("r2~2", "there is one release before r2")):
        with pytest.raises(UsageError, match=said):
            target(text, lived(1, 2))


def test_the_release_a_rollback_leaves_is_the_one_on_its_way() -> None:
    assert leaving_now(state(*begun(source=1, target=2))) == 2
    assert leaving_now(lived(1, 2)) == 2
    assert leaving_now(State()) is None
    assert previous(lived(1, 2, 1), 1) == 2


def test_held_is_the_content_whatever_the_number() -> None:
    made = state((None, ev.Quarantined(2, {"service:catalog": "v2"}, "bad")))
    assert held_by(made, RELEASES[2]) == 2
    assert held_by(made, release(9, "v2")) == 2
    assert held_by(made, RELEASES[3]) is None
    lifted = state(
        (None, ev.Quarantined(2, {"service:catalog": "v2"}, "bad")),
        (None, ev.Quarantined(3, {"service:catalog": "v2"}, "forced", lifted=True)),
    )
    assert held_by(lifted, RELEASES[2]) is None


def test_a_commit_that_mends_one_of_several_parts_is_another_one() -> None:
    made = state((None, ev.Quarantined(2, {"service:catalog": "v2", "gateway": "g2"}, "bad")))
    parts = {"service:catalog": "v2", "gateway": "g2", "service:other": "o"}
    assert held_by(made, Release(9, "shop", None, parts)) == 2
    assert held_by(made, Release(9, "shop", None, {**parts, "service:catalog": "v3"})) is None
    assert held_by(made, Release(9, "shop", None, {**parts, "gateway": "g3"})) is None


def test_the_part_to_blame_is_held_alone_and_stays_so_whatever_is_found_later() -> None:
    good = Release(1, "shop", None, {"service:a": "1", "service:b": "1"})
    bad = Release(2, "shop", None, {"service:a": "2", "service:b": "2"})
    assert content_to_quarantine(bad, good, "service:b") == {"service:b": "2"}
    assert content_to_quarantine(bad, good, "gateway") == {"service:a": "2", "service:b": "2"}, "it did not change"
    made = state((None, ev.Quarantined(2, {"service:b": "2"}, "x")), (None, ev.Quarantined(2, dict(bad.parts), "y")))
    assert made.quarantine == {2: {"service:b": "2"}}
    assert state((None, ev.Quarantined(2, {}, "nothing"))).quarantine == {}


def test_what_was_good_and_contains_what_was_bad_since_is_passed_over() -> None:
    """A plain `git revert` made r3 of r1's content, and that was marked bad."""
    same = {**RELEASES, 3: Release(3, "shop", "c", RELEASES[1].parts)}
    bodies = lived(1, 2, 3, 4, r1="good", r3="bad", r2="good")
    made = evolved(bodies, ev.Quarantined(3, RELEASES[1].parts, "marked"))
    choice = known_good(made, same.__getitem__, leaving=4)
    assert (choice.release, choice.skipped) == (2, ((3, "bad"),))
    alone = evolved(lived(1, 3, 4, r1="good", r3="bad"), ev.Quarantined(3, RELEASES[1].parts, "marked"))
    with pytest.raises(Refused, match="no release is known good"):
        known_good(alone, same.__getitem__, leaving=4)
    assert known_good_ones(alone, same.__getitem__) == []


def test_only_what_differs_made_it_bad() -> None:
    good, bad = release(1, "v1", gateway="same"), release(2, "v2", gateway="same")
    assert content_to_quarantine(bad, good) == {"service:catalog": "v2"}
    assert content_to_quarantine(bad, None) == dict(bad.parts)


def test_nobody_is_led_to_what_is_known_to_be_bad() -> None:
    with pytest.raises(Refused) as refused:
        known_good(lived(1, 2, 1, r2="bad"), RELEASES.__getitem__, leaving=1)
    assert refused.value.next == "deploy a commit that works"
    with pytest.raises(Refused) as refused:
        known_good(lived(1, 2, 3, r2="bad"), RELEASES.__getitem__, leaving=3)
    assert refused.value.next == "lastgood rollback r1"
    with pytest.raises(Refused) as refused:
        known_good(lived(1, 2), RELEASES.__getitem__, leaving=2)
    assert (refused.value.next or "").startswith("lastgood rollback previous")


def test_equal_content_is_the_newest_of_that_content() -> None:
    again = {**RELEASES, 4: Release(4, "shop", "c", RELEASES[2].parts)}
    made = lived(1)
    assert equal_before(made, RELEASES[2].parts, Releases(again.__getitem__)) == 4
    assert equal_before(made, {"gateway": "new"}, Releases(again.__getitem__)) is None
