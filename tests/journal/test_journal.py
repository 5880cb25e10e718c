"""The contract of a journal, held by the real one and by the one of the simulations."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.errors import Conflict, Damaged, Fenced
from lastgood.ports import JournalFull, Stamp
from lastgood.release import events as ev
from lastgood.release.plan import Plan
from lastgood.release.release import Release
from lastgood.release.step import Cond, Step
from lastgood.testing.fake_journal import FakeJournal, Pages

AT = Stamp(1_700_000_000.0, "boot", 10.0)
Opened = Callable[[], Any]


@pytest.fixture(params=["real", "fake"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    pages = Pages()
    if request.param == "fake":
        return lambda: FakeJournal(pages)
    return lambda: SqliteJournal(tmp_path / "journal.db")


def taken(opened: Opened, *, alive: bool = False, at: Stamp = AT) -> Any:
    journal = opened()
    journal.take_over("me", at, is_alive=alive)
    return journal


def a_plan() -> Plan:
    step = Step("a", "gateway", "serve", {"base": 1, "candidate": None, "percent": 0.0}, frozenset({"b"}))
    guarded = Step("b", "service:x", "start", guard=(Cond("service:x", "healthy", ">=", 2),), deadline_s=3.0)
    return Plan("d1.1", 1, "basis", "deploy", None, 1, None, (step, guarded), (1,))


def test_what_was_written_is_read_back_by_the_next_controller(opened: Opened) -> None:
    journal = taken(opened)
    bodies: list[tuple[int | None, ev.Body]] = [
        (None, ev.Released(1, "digest")),
        (1, ev.Requested("deploy", 1, None, "me", "why", 60.0)),
        (1, ev.Planned(a_plan())),
        (1, ev.StepStarted("a")),
        (1, ev.StepEnded("a", {"took_ms": 1.5}, "no")),
        (1, ev.Halted("neither", ("one", "two"))),
        (None, ev.Quarantined(1, {"gateway": "x"}, "bad")),
    ]
    written = journal.append(AT, bodies)
    read = list(opened().read())
    assert [event.body for event in read] == [body for _, body in bodies]
    assert [event.seq for event in written] == list(range(1, 8))
    assert all(event.at == AT for event in read)
    assert opened().of_deployment(1) == [event for event in read if event.deployment == 1]


def test_a_live_controller_is_not_taken_over_from(opened: Opened) -> None:
    taken(opened)
    with pytest.raises(Conflict):
        taken(opened, alive=True)


def test_a_controller_that_was_not_seen_for_long_is_fenced_by_the_next(opened: Opened) -> None:
    first = taken(opened)
    later = Stamp(AT.wall_s + 60, "boot", AT.boot_s + 60)
    second = taken(opened, alive=True, at=later)
    assert second.epoch == first.epoch + 1
    with pytest.raises(Fenced):
        first.append(AT, [(None, ev.Noted("I am back"))])
    with pytest.raises(Fenced):
        first.check_fence()
    with pytest.raises(Fenced):
        first.renew(later)
    second.append(later, [(None, ev.Noted("fine"))])


def test_a_release_comes_back_with_its_manifest_and_contents(opened: Opened) -> None:
    journal = taken(opened)
    for number in range(1, 100):
        entries = {f"route:{n}": f"{n * 7 if n == number else n}" for n in range(1, number + 1)}
        release = Release(number, "shop", "abc", {"gateway": str(number)}, schemas={"main": "003"})
        journal.put_contents({f"content-{number}": b"%d" % number, "shared": b"same"})
        journal.put_release(release, entries)
    again = opened()
    assert again.release(70).parts == {"gateway": "70"}
    assert again.release(70).schemas == {"main": "003"}
    for number in (1, 2, 63, 64, 65, 66, 70, 99):
        assert again.entries(number) == {f"route:{n}": f"{n * 7 if n == number else n}" for n in range(1, number + 1)}
    assert again.contents(["content-2", "shared"]) == {"content-2": b"2", "shared": b"same"}
    with pytest.raises(Damaged):
        again.contents(["nothing"])


def test_a_full_disk_refuses_and_keeps_what_is_there(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.take_over("me", AT, is_alive=False)
    journal.append(AT, [(None, ev.Noted("before"))])
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalFull):
        journal.append(AT, [(None, ev.Noted("x" * 10_000))] * 100)
    assert (tmp_path / "reserve").exists(), "the reserve is for the way back alone"
    with pytest.raises(JournalFull):
        journal.append(AT, [(None, ev.Noted("x" * 10_000))] * 100, back=True)
    assert not (tmp_path / "reserve").exists(), "the reserve is given up before a write is refused"
    events = list(SqliteJournal(tmp_path / "journal.db").read())
    assert events[0].body == ev.Noted("before")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET body = replace(body, 'two', 'six') WHERE seq = 2",
        "UPDATE event SET wall_s = 0 WHERE seq = 2",
        "DELETE FROM event WHERE seq = 2",
    ],
)
def test_whoever_changes_the_journal_is_found_out(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.take_over("me", AT, is_alive=False)
    for word in ("one", "two", "three"):
        journal.append(AT, [(None, ev.Noted(word))])
    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        journal._db.execute(statement)
    journal.close()
    forger = sqlite3.connect(path, isolation_level=None)
    for trigger in ("event_stays", "event_kept"):
        forger.execute(f"DROP TRIGGER {trigger}")
    forger.execute(statement)
    forger.close()
    with pytest.raises(Damaged, match=r"event [23]") as caught:
        list(SqliteJournal(path).read())
    assert caught.value.next == "lastgood doctor --salvage", "not to where it was found"


def test_a_file_that_is_no_journal_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"garbage" * 5000)
    with pytest.raises(Damaged) as caught:
        SqliteJournal(path)
    assert "journal.db" in str(caught.value)
    assert caught.value.exit_code == 8


def test_a_release_that_is_put_again_is_read_back_as_it_was_put_last(opened: Opened) -> None:
    journal = taken(opened)
    for number, route in ((1, "a"), (2, "b"), (2, "c"), (3, "d")):
        journal.put_release(Release(number, "shop", None, {"gateway": route}), {"route:x": route, "route:y": "y"})
    again = opened()
    assert [again.entries(number)["route:x"] for number in (1, 2, 3)] == ["a", "c", "d"]
    assert again.entries(3)["route:y"] == "y"


def test_the_journal_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.db")
    assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0


def test_releases_are_read_from_other_threads_while_the_journal_is_written(opened: Opened) -> None:
    from concurrent.futures import ThreadPoolExecutor

    journal = taken(opened)
    journal.put_contents({"c": b"content"})
    journal.put_release(Release(1, "shop", None, {"gateway": "x"}), {"route:a": "c"})
    with ThreadPoolExecutor(4) as pool:
        reads = [
            pool.submit(lambda: (journal.release(1), journal.entries(1), journal.contents(["c"]))) for _ in range(20)
        ]
        for _ in range(20):
            journal.append(AT, [(None, ev.Noted("meanwhile"))])
        for read in reads:
            assert read.result()[1:] == ({"route:a": "c"}, {"c": b"content"})


def test_what_verifies_of_a_damaged_journal_is_salvaged(tmp_path: Path) -> None:
    from lastgood.effects.journal.salvage import salvage
    from lastgood.errors import Refused

    path = tmp_path / "journal.db"
    journal = taken(lambda: SqliteJournal(path))
    journal.put_contents({"c": b"content"})
    digest = journal.put_release(Release(1, "shop", None, {"gateway": "x"}), {"route:a": "c"})
    journal.append(AT, [(None, ev.Released(1, digest)), (None, ev.Noted("two")), (None, ev.Noted("three"))])
    journal.close()
    with pytest.raises(Refused, match="whole"):
        salvage(path, "damaged")
    forger = sqlite3.connect(path, isolation_level=None)
    forger.execute("DROP TRIGGER event_stays")
    forger.execute("UPDATE event SET body = replace(body, 'three', 'forged') WHERE seq = 3")
    forger.close()

    saved = salvage(path, "damaged")
    assert (saved.events, saved.releases) == (2, 1)
    assert saved.aside.exists()
    again = SqliteJournal(path)
    assert [event.body for event in again.read()] == [ev.Released(1, digest), ev.Noted("two")]
    assert again.contents(again.entries(1).values()) == {"c": b"content"}
    assert again.take_over("next", AT, is_alive=False) == 2


def test_a_file_of_garbage_is_put_aside(tmp_path: Path) -> None:
    from lastgood.effects.journal.salvage import salvage

    path = tmp_path / "journal.db"
    path.write_bytes(b"garbage" * 5000)
    saved = salvage(path, "damaged")
    assert saved.events == 0
    assert list(SqliteJournal(path).read()) == []


def test_a_journal_locked_by_another_program_keeps_nobody_waiting_long(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = taken(lambda: SqliteJournal(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalFull, match="locked"):
        journal.append(AT, [(None, ev.Noted("now"))])
    assert (tmp_path / "reserve").exists(), "a lock is no reason to give the reserve up"
    other.execute("ROLLBACK")
    other.close()
    journal.append(AT, [(None, ev.Noted("later"))])


def test_room_is_booked_again_once_there_is_some(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    (tmp_path / "reserve").unlink()
    assert journal.book_room()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 8 * 1024 * 1024


def test_whoever_takes_over_is_told_when_the_one_before_was_seen_last(tmp_path: Path) -> None:
    first = SqliteJournal(tmp_path / "journal.db")
    first.take_over("one", Stamp(1.0, "boot", 10.0), is_alive=False)
    assert first.seen_before_s is None
    first.renew(Stamp(2.0, "boot", 17.0))
    second = SqliteJournal(tmp_path / "journal.db")
    second.take_over("two", Stamp(3.0, "boot", 30.0), is_alive=False)
    assert second.seen_before_s == 17.0
    second.renew(Stamp(4.0, "boot", 31.0))
    second.give_up()
    third = SqliteJournal(tmp_path / "journal.db")
    third.take_over("three", Stamp(5.0, "boot", 31.5), is_alive=True)
    assert third.seen_before_s == 31.0, "given up, it is free at once, and still known"
