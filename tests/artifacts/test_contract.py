"""The contract of ``ports.Artifacts``, held by the fake and by the folder of bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.effects.artifacts.store import ArtifactStore
from lastgood.testing.contracts.artifacts import CLAUSES, ArtifactWorld
from lastgood.testing.fake_artifacts import FakeArtifacts

Clause = Callable[[ArtifactWorld], None]
pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_the_fake_keeps_the_contract(clause: Clause) -> None:
    fake = FakeArtifacts()
    clause(ArtifactWorld(fake, ("true",), lambda: len(fake.built), fake.damaged.add))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_the_store_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    counter = tmp_path / "builds"
    counter.touch()

    def damage(digest: str) -> None:
        path = next((tmp_path / "artifacts" / digest / "bundle").glob("*.py"))
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"1", b"3"))
        path.chmod(0o444)

    store = ArtifactStore(tmp_path / "artifacts", tmp_path / "logs")
    building = ("sh", "-c", f"echo built >> {counter}")
    clause(ArtifactWorld(store, building, lambda: len(counter.read_text().splitlines()), damage))
