"""What a maker brings goes into the release, and comes back from the journal without Git."""

from __future__ import annotations

import pytest

from lastgood.config.configuration import Configuration
from lastgood.errors import ConfigError
from lastgood.operations.makers import Made
from lastgood.ports import Repository, Revision
from tests.operations.controller import controlled
from tests.operations.test_verbs import ME

DATABASE = b"databases:\n  main: { url: secret:main, migrations: migrations }\n"


class Scripts:
    """A maker of the test: every database is a part without a driver, with one script."""

    kind = "database"

    def make(self, configuration: Configuration, revision: Revision, repository: Repository) -> Made:
        parts = {f"database:{name}": "d" * 64 for name in configuration.databases}
        return Made(parts, {f"script:{name}/1": revision.oid.encode() for name in configuration.databases})


async def test_what_a_maker_brings_is_kept_with_the_release() -> None:
    async with controlled() as shop:
        assert shop.verbs.drafting is not None
        shop.verbs.drafting.makers = (Scripts(),)
        first = shop.commit("/one")
        main = shop.repository.commits[first].files["lastgood.yaml"]
        oid = shop.repository.commit(
            {"lastgood.yaml": main + DATABASE, "migrations/1.up.sql": b"SELECT 1;"}, "with a database"
        )
        await shop.verbs.deploy("HEAD", ME)
        await shop.at_rest()
        release = shop.loop.release_of(1)
        assert set(release.parts) == {"gateway", "database:main"}
        shop.verbs.drafting = None
        assert shop.verbs.configurations.attached(1, "script") == {"script:main/1": oid.encode()}
        assert shop.verbs.configurations.attached(1, "memo") == {}
        assert not any(key.startswith("script:") for key in shop.verbs.configurations.of(1).entries)


async def test_a_kind_without_a_maker_is_refused() -> None:
    async with controlled() as shop:
        first = shop.commit("/one")
        main = shop.repository.commits[first].files["lastgood.yaml"]
        shop.repository.commit(
            {"lastgood.yaml": main + DATABASE, "migrations/1.up.sql": b"SELECT 1;"}, "with a database"
        )
        with pytest.raises(ConfigError, match="cannot be deployed yet"):
            await shop.verbs.deploy("HEAD", ME)
