"""The files that hold what was measured, and the fake that stands for them: the same clauses for both."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.effects.evidence import EvidenceFiles
from lastgood.errors import LastgoodError
from lastgood.operations.collecting import forget
from lastgood.ports import Evidence, JournalFull
from lastgood.testing.fake_measurements import FakeEvidence

Make = Callable[[Path], Evidence]


@pytest.fixture(params=[EvidenceFiles, lambda folder: FakeEvidence()], ids=["files", "fake"])
def evidence(request: pytest.FixtureRequest, tmp_path: Path) -> Evidence:
    made: Evidence = request.param(tmp_path / "measurements")
    return made


def test_lines_come_back_in_order_and_by_release(evidence: Evidence) -> None:
    assert evidence.lines(1) == ()
    assert evidence.releases() == ()
    for number, line in ((1, "a\n"), (2, "x\n"), (1, "b\n")):
        evidence.append(number, line)
    evidence.keep(1)
    evidence.keep(9)
    assert list(evidence.lines(1)) == ["a\n", "b\n"]
    assert list(evidence.releases()) == [2, 1]


def test_a_record_goes_and_may_begin_anew(evidence: Evidence) -> None:
    evidence.append(1, "a\n")
    evidence.remove(1)
    evidence.remove(9)
    assert evidence.releases() == ()
    evidence.append(1, "b\n")
    assert list(evidence.lines(1)) == ["b\n"]


def test_what_was_measured_goes_with_its_release_and_no_sooner(evidence: Evidence) -> None:
    for number in (1, 2, 3):
        evidence.append(number, "a\n")
    assert forget(evidence, frozenset({2, 7})) == (3, 1)
    assert list(evidence.releases()) == [2]


def test_a_line_that_a_crash_cut_off_is_no_line(tmp_path: Path) -> None:
    files = EvidenceFiles(tmp_path)
    files.append(3, "whole\n")
    path = tmp_path / "r3.jsonl"
    path.write_text(path.read_text() + '{"half": ')
    assert list(files.lines(3)) == ["whole\n"]
    files.append(3, "next\n")
    assert list(files.lines(3)) == ["whole\n", "next\n"]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "measurements"
    EvidenceFiles(folder).append(1, "a\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "r1.jsonl").stat().st_mode) == 0o600


def test_without_room_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFull):
        EvidenceFiles(tmp_path / "file" / "below").append(1, "a\n")
    fake = FakeEvidence()
    fake.full = True
    with pytest.raises(LastgoodError):
        fake.append(1, "a\n")
