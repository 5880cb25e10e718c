"""The contract of the repository, for the fake and for Git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.effects.git import open_repository
from lastgood.ports import Uncommitted
from lastgood.testing.contracts.repository import CLAUSES, RepositoryWorld
from lastgood.testing.fake_repository import FakeRepository
from tests.git.shop import Shop


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_git(clause: Callable[[RepositoryWorld], None], tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    def reset(oid: str) -> None:
        shop.git("reset", "-q", "--hard", oid)

    world = RepositoryWorld(open_repository(tmp_path), shop.commit, lambda path, data: shop.write({path: data}), reset)
    clause(world)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_fake(clause: Callable[[RepositoryWorld], None]) -> None:
    fake = FakeRepository()

    def edit(path: str, _: bytes) -> None:
        fake.dirty[path] = Uncommitted(path, "modified")

    clause(RepositoryWorld(fake, fake.commit, edit, lambda oid: fake.reset("main", oid)))
