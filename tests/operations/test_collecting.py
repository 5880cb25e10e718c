"""Bundles that no release may need any more are freed, and no other."""

from __future__ import annotations

from lastgood.operations.collecting import UNTOUCHED_S, free, running
from lastgood.operations.configurations import Configurations
from lastgood.operations.makers import attachment_digest
from lastgood.ports import MadeOf
from lastgood.release.observed import Fact, Observed
from lastgood.release.release import Release
from lastgood.testing.contracts.artifacts import recipe
from lastgood.testing.fake_artifacts import FakeArtifacts
from lastgood.testing.fake_journal import FakeJournal, Pages


def test_only_what_no_kept_release_runs_from_and_nobody_asked_for_lately_goes() -> None:
    journal, artifacts = FakeJournal(Pages()), FakeArtifacts()
    bundles = [artifacts.make(recipe(f"print({number})".encode())) for number in range(4)]
    for number, bundle in enumerate(bundles[:3], 1):
        content = MadeOf(bundle.digest, bundle.seal).to_json()
        digest = attachment_digest("artifact:catalog", content)
        journal.put_contents({digest: content})
        journal.put_release(Release(number, "shop", None, {}), {"artifact:catalog": digest})
    configurations = Configurations(journal)
    assert free(configurations, artifacts, [2, 3], now_s=100.0) == (), "young ones stay in any case"
    gone = free(configurations, artifacts, [2, 3], now_s=UNTOUCHED_S + 100.0)
    assert sorted(gone) == sorted([bundles[0].digest, bundles[3].digest])
    assert {held.digest for held in artifacts.held()} == {bundles[1].digest, bundles[2].digest}


def test_what_runs_is_seen_in_the_facts() -> None:
    observed = Observed.of(
        [Fact("service:a", "wanted:11", 2), Fact("gateway", "wanted:22", 1), Fact("service:b", "x", 1)]
    )
    assert running(observed) == {("a", "11")}
