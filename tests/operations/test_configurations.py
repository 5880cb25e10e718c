"""Reading releases back from the journal: by several threads at once, each gets what it asked for."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from lastgood.operations import configurations
from lastgood.operations.configurations import Configurations
from lastgood.operations.drafting import Drafting
from lastgood.release.release import Release
from lastgood.stamp import Stamp
from lastgood.testing.fake_journal import FakeJournal
from lastgood.testing.fake_repository import FakeRepository
from tests.operations.controller import text

RELEASES = configurations.KEPT + 2
SWITCH_S = 1e-6


@pytest.fixture
def journal() -> FakeJournal:
    """More releases than are kept at hand, all of them different."""
    made, repository = FakeJournal(), FakeRepository()
    made.take_over("test", Stamp(0.0, "boot", 0.0), is_alive=False)
    drafting = Drafting(repository, lambda reference: True)
    for number in range(1, RELEASES + 1):
        drafted = drafting.draft(repository.commit({"lastgood.yaml": text(f"/{number}")}, "change"))
        made.put_contents(drafted.contents)
        entries = {key: entry.digest for key, entry in drafted.configuration.entries.items()}
        made.put_release(Release(number, "shop", None, {"gateway": str(number)}), entries)
    return made


def test_threads_that_push_each_others_configurations_out_all_get_theirs(journal: FakeJournal) -> None:
    shared = Configurations(journal)

    def read(start: int) -> None:
        for turn in range(300):
            number = (start + turn * 5) % RELEASES + 1
            assert f"/{number}" in repr(shared.of(number).entries["route:all"].value)

    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(read, start) for start in range(8)]:
                done.result(timeout=60)
    finally:
        sys.setswitchinterval(before_s)
