"""Migrations that the release before cannot live with: declared or found, shown, and taken back first. Real SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lastgood.effects.databases.managed import ManagedDatabases, TryOn
from lastgood.effects.databases.session import Session
from lastgood.errors import Refused, UsageError
from lastgood.operations.database_maker import DatabaseMaker
from lastgood.operations.drilling import DrillAsk
from tests.operations.test_databases import ASK, BACK, SECTION, Site, site_in

BEGIN = {
    "0001_goods.up.sql": "CREATE TABLE goods (id integer PRIMARY KEY, price integer);",
    "0001_goods.down.sql": "DROP TABLE goods;",
}
ADDED = {
    **BEGIN,
    "0002_note.up.sql": "ALTER TABLE goods ADD COLUMN note text;",
    "0002_note.down.sql": "ALTER TABLE goods DROP COLUMN note;",
}
UP = "ALTER TABLE goods RENAME COLUMN price TO cost;"
RENAMED = {
    **ADDED,
    "0003_cost.up.sql": UP,
    "0003_cost.down.sql": "ALTER TABLE goods RENAME COLUMN cost TO price;",
}
SAID = {**RENAMED, "0003_cost.up.sql": f"-- lastgood:breaks price is called cost\n{UP}"}
LOSING = {
    **SAID,
    "0003_cost.up.sql": "-- lastgood:breaks it wants a tax\nALTER TABLE goods ADD COLUMN tax integer;",
    "0003_cost.down.sql": "ALTER TABLE goods DROP COLUMN tax;",
}


@dataclass
class Trial:
    """The live release's service, as far as a schema is concerned: it reads ``price``."""

    tried: list[list[str]] = field(default_factory=list)

    def __call__(self, urls: Collection[str]) -> TryOn:
        def try_on(copy: Session) -> Sequence[str]:
            columns = [column.name for column in copy.columns() if column.table == "goods"]
            self.tried.append(columns)
            return () if "price" in columns else ("r1 does not work on the new schema: no such column: price",)

        return try_on


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path) as made:
        yield made


def trying(site: Site, how: str) -> Trial:
    trial = Trial()
    assert site.shop.verbs.drafting is not None
    databases = ManagedDatabases(lambda reference: reference, site.path.parent, trial)
    site.shop.verbs.drafting.makers = (DatabaseMaker(databases),)
    site.section = SECTION.replace(b" }", f", previous_release: {how} }}".encode())
    return trial


async def test_what_a_migration_declares_goes_down_first_and_no_further(site: Site) -> None:
    await site.deploy(BEGIN)
    site.commit(SAID, "/two")
    answer = await site.shop.verbs.deploy("HEAD", ASK)
    await site.shop.at_rest()
    assert any("cannot live with migration 3 (price is called cost)" in text for text in answer["warnings"])
    assert site.columns() == ["id", "cost", "note"]
    shown = await site.shop.verbs.plan_rollback(BACK)
    first = shown["steps"][0]["shows"]
    assert first == "bring the schema of main down to 2: r1 cannot live with 3 (price is called cost)"
    assert (shown["loses"], shown["blocked"]) == ([], [])
    await site.back()
    assert (site.shop.state.live, site.columns()) == (1, ["id", "price", "note"]), "the expansion stays"


async def test_rows_at_stake_block_it_before_anything_moves_until_a_person_chooses(site: Site) -> None:
    await site.deploy(BEGIN)
    await site.deploy(LOSING, "/two")
    site.sql("INSERT INTO goods (tax) VALUES (7)")
    shown = await site.shop.verbs.plan_rollback(BACK)
    assert shown["loses"] == ["1 values of goods.tax in database main"]
    [blocked] = shown["blocked"]
    assert "r1 cannot live with 3 (it wants a tax)" in blocked
    assert "--accept-loss, or --keep-schema" in blocked
    with pytest.raises(Refused, match=r"r1 cannot live with 3 .* would lose 1 values of goods.tax") as refused:
        await site.back()
    assert "--keep-schema" in (refused.value.next or "")
    assert (site.shop.state.live, site.columns()) == (2, ["id", "price", "note", "tax"])
    with pytest.raises(UsageError, match="--keep-schema leaves them"):
        await site.back(replace(BACK, keep_schema=True, with_schema=True))
    await site.back(replace(BACK, accept_loss=True))
    assert (site.shop.state.live, site.columns()) == (1, ["id", "price", "note"])


async def test_a_schema_changed_by_hand_blocks_it_and_can_be_left(site: Site) -> None:
    await site.deploy(BEGIN)
    await site.deploy(SAID, "/two")
    site.sql("CREATE TABLE mine (x integer)")
    [blocked] = (await site.shop.verbs.plan_rollback(BACK))["blocked"]
    assert "changed by hand" in blocked
    with pytest.raises(Refused, match="changed by hand") as refused:
        await site.back()
    assert refused.value.next == "lastgood rollback r1 --keep-schema moves the requests and leaves the schema"
    await site.back(replace(BACK, keep_schema=True))
    assert (site.shop.state.live, site.columns()) == (1, ["id", "cost", "note"])


async def test_what_the_live_release_does_not_work_with_is_found_by_trying(site: Site) -> None:
    trial = trying(site, "try")
    await site.deploy(BEGIN)
    await site.deploy(RENAMED, "/two")
    assert ["id", "price", "note"] in trial.tried, "each of several migrations, the oldest first"
    assert site.shop.loop.release_of(2).breaks["main"].keys() == {"3"}
    await site.back()
    assert (site.shop.state.live, site.columns()) == (1, ["id", "price", "note"])


async def test_it_is_refused_where_the_trial_is_required_and_the_migration_does_not_say_so(site: Site) -> None:
    trying(site, "require")
    await site.deploy(BEGIN)
    with pytest.raises(Refused, match=r"does not work with migration 3 of database main: r1 .* no such column"):
        await site.deploy(RENAMED, "/two")
    assert site.columns() == ["id", "price"]
    await site.deploy(SAID, "/two")
    assert site.shop.state.live == 2


async def test_what_it_lives_with_stays_and_nobody_tries_unasked(site: Site) -> None:
    assert trying(site, "ignore").tried == []
    await site.deploy(BEGIN)
    trial = trying(site, "require")
    await site.deploy(ADDED, "/two")
    assert trial.tried == [["id", "price", "note"]]
    await site.back()
    assert (site.shop.state.live, site.columns()) == (1, ["id", "price", "note"])


async def test_a_drill_moves_no_schema(site: Site) -> None:
    await site.deploy(BEGIN)
    await site.deploy(SAID, "/two")
    with pytest.raises(Refused, match="a drill leaves every schema as it is"):
        await site.shop.verbs.drill(DrillAsk(by="test"))
    assert site.columns() == ["id", "cost", "note"]
