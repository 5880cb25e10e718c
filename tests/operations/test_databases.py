"""Databases in a release: scripts kept, the way back proven before, the schema moved in its turn. Real SQLite files."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lastgood.bootstrap.databases import make_database_driver
from lastgood.effects.databases.managed import ManagedDatabases
from lastgood.errors import ConfigError, Refused
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import DatabaseMaker, stored_history, stored_verdicts
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.finalizing import needed_by, refuse_unproven_release
from lastgood.operations.loop import Loop
from lastgood.operations.rollback import RollbackAsk
from lastgood.ports import Driver
from tests.operations.controller import Controlled, controlled, text

ASK = DeployAsk(by="test")
BACK = RollbackAsk(by="test")
SECTION = b"databases:\n  main: { url: sqlite:///app.db, migrations: migrations/main }\n"
ONE = {
    "0001_goods.up.sql": "CREATE TABLE goods (id integer PRIMARY KEY);",
    "0001_goods.down.sql": "DROP TABLE goods;",
}
TWO = {
    **ONE,
    "0002_price.up.sql": "ALTER TABLE goods ADD COLUMN price integer;",
    "0002_price.down.sql": "ALTER TABLE goods DROP COLUMN price;",
}
Files = dict[str, str]


@dataclass
class Site:
    """A controller whose repository has one database."""

    shop: Controlled
    path: Path
    tree: set[str] = field(default_factory=set)
    section: bytes = SECTION

    def commit(self, files: Files, path: str = "/*") -> None:
        tree: dict[str, bytes | None] = {f"migrations/main/{name}": sql.encode() for name, sql in files.items()}
        gone = dict.fromkeys(self.tree - tree.keys())
        self.shop.repository.commit({"lastgood.yaml": text(path) + self.section, **gone, **tree}, "x")
        self.tree = set(tree)

    async def deploy(self, files: Files, path: str = "/*", ask: DeployAsk = ASK) -> None:
        self.commit(files, path)
        await self.shop.verbs.deploy("HEAD", ask)
        await self.shop.at_rest()

    async def back(self, ask: RollbackAsk = BACK) -> None:
        await self.shop.verbs.rollback(ask)
        await self.shop.at_rest()

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as raw, raw:
            return raw.execute(statement).fetchall()

    def columns(self) -> list[object]:
        return [row[1] for row in self.sql("PRAGMA table_info(goods)")]


@asynccontextmanager
async def site_in(folder: Path) -> AsyncIterator[Site]:
    sqlite3.connect(folder / "app.db").close()
    databases = ManagedDatabases(lambda reference: reference, folder)

    def drivers(configurations: Configurations, loop: Callable[[], Loop]) -> dict[str, Driver]:
        return {"database": make_database_driver(databases, configurations, loop)}

    async with controlled(drivers=drivers) as shop:
        assert shop.verbs.drafting is not None
        shop.verbs.drafting.makers = (DatabaseMaker(databases),)
        shop.verbs.schemas = databases
        yield Site(shop, folder / "app.db")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path) as made:
        yield made


async def test_a_migration_goes_up_with_its_release_and_stays_on_the_way_back(site: Site) -> None:
    await site.deploy(ONE)
    assert site.columns() == ["id"]
    await site.deploy(TWO, "/two")
    assert site.columns() == ["id", "price"]
    plan = site.shop.state.deployments[2].plan
    assert plan is not None
    assert plan.steps[0].verb == "migrate_up", "before anything else moves"
    await site.back()
    assert site.shop.state.live == 1
    assert site.columns() == ["id", "price"], "an expansion stays"
    await site.deploy(TWO, "/three")
    assert site.shop.state.live == 3, "what made r2 bad is its routes; the scripts stay in every later commit"


async def test_a_migration_alone_is_a_difference_wherever_differences_are_told(site: Site) -> None:
    await site.deploy(ONE)
    site.commit(TWO)
    verbs, new = site.shop.verbs, "database main: migration 0002 is new"
    assert [one["text"] for one in (await verbs.plan_deploy("HEAD"))["changes"]] == [new]
    assert [one["text"] for one in verbs.diff("r1", "HEAD")["changes"]] == [new]
    answer = await verbs.deploy("HEAD", ASK)
    assert [one["text"] for one in answer["changes"]] == [new]
    await site.shop.at_rest()
    assert [one["text"] for one in verbs.diff("r2", "r1")["changes"]] == ["database main: migration 0002 is gone"]
    assert (await verbs.plan_rollback(replace(BACK, target="r1")))["reverts"] == [], "the schema stays"
    plan = await verbs.plan_rollback(replace(BACK, target="r1", with_schema=True))
    assert [one["text"] for one in plan["reverts"]] == ["database main: migration 0002 is gone"]
    assert [one["text"] for one in verbs.report("d2")["changes"]] == [new]


async def test_the_schema_goes_back_when_asked_by_the_scripts_of_the_database_and_without_git(site: Site) -> None:
    await site.deploy(ONE)
    await site.deploy(TWO, "/two")
    site.shop.verbs.drafting = None
    plan = await site.shop.verbs.plan_rollback(BACK)
    assert "the schema of main at 2 (--with-schema takes it to 1)" in plan["keeps"]
    await site.back(replace(BACK, with_schema=True))
    assert site.columns() == ["id"]
    steps = site.shop.state.deployments[3].plan
    assert steps is not None
    assert steps.steps[-1].verb == "migrate_down", "last of all"


async def test_any_build_can_go_back_for_the_release_has_the_scripts(site: Site) -> None:
    await site.deploy(TWO)
    history = stored_history(site.shop.verbs.configurations, 1, "main")
    assert history is not None
    assert [m.up.text for m in history.migrations] == [TWO["0001_goods.up.sql"], TWO["0002_price.up.sql"]]
    assert [m.down.text for m in history.migrations if m.down] == [
        TWO["0001_goods.down.sql"],
        TWO["0002_price.down.sql"],
    ]
    assert stored_history(site.shop.verbs.configurations, 1, "other") is None
    release = site.shop.loop.release_of(1)
    assert release.schemas == {"main": "2"}
    assert site.shop.verbs.configurations.attached(1, "proof")["proof:main"].startswith(b"{")


BROKEN = {**TWO, "0002_price.down.sql": "SELECT count(*) FROM goods;"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (BROKEN, "column goods.price is left over"),
        ({**TWO, "0002_price.down.sql": ""}, "its down script does nothing"),
        ({name: sql for name, sql in TWO.items() if name != "0002_price.down.sql"}, "it has no down script"),
        ({**TWO, "0002_price.up.sql": "ALTER TABLE absent ADD COLUMN x integer"}, "the way up fails"),
    ],
)
async def test_without_a_proof_there_is_no_deployment(files: Files, words: str, site: Site) -> None:
    await site.deploy(ONE)
    with pytest.raises(Refused, match=words):
        await site.deploy(files, "/two", replace(ASK, accept_loss=True))
    assert site.columns() == ["id"]
    assert site.shop.state.releases == (1,)


async def test_what_is_marked_irreversible_goes_up_and_is_told(site: Site) -> None:
    await site.deploy(ONE)
    site.commit({**TWO, "0002_price.down.sql": "-- lastgood:irreversible prices were paid"}, "/two")
    answer = await site.shop.verbs.deploy("HEAD", ASK)
    await site.shop.at_rest()
    assert site.columns() == ["id", "price"]
    assert any("irreversible" in warning and "prices were paid" in warning for warning in map(str, answer["warnings"]))
    with pytest.raises(Refused, match="prices were paid"):
        await site.back(replace(BACK, with_schema=True))
    await site.back()
    assert site.shop.state.live == 1


async def test_rows_are_lost_only_when_a_person_says_so_and_are_counted_before(site: Site) -> None:
    await site.deploy(ONE)
    await site.deploy(TWO, "/two")
    site.sql("INSERT INTO goods (price) VALUES (3), (4), (NULL)")
    asked = replace(BACK, with_schema=True)
    assert (await site.shop.verbs.plan_rollback(asked))["loses"] == ["2 values of goods.price in database main"]
    with pytest.raises(Refused, match=r"2 values of goods.price .* nothing was changed"):
        await site.back(asked)
    assert site.shop.state.live == 2, "a question is asked before anything moves"
    await site.back(replace(asked, accept_loss=True))
    assert (site.shop.state.live, site.columns()) == (1, ["id"])


async def test_an_up_that_loses_rows_is_refused_before_it_runs(site: Site) -> None:
    await site.deploy(TWO)
    site.sql("INSERT INTO goods (price) VALUES (3)")
    drop = {
        **TWO,
        "0003_free.up.sql": "ALTER TABLE goods DROP COLUMN price;",
        "0003_free.down.sql": "ALTER TABLE goods ADD COLUMN price integer;",
    }
    with pytest.raises(Refused, match=r"lossy\(1 rows\): 1 rows of goods"):
        await site.deploy(drop, "/two")
    await site.deploy(drop, "/two", replace(ASK, accept_loss=True))
    assert site.columns() == ["id"]


async def test_a_schema_changed_by_hand_stops_the_schema_and_not_the_requests(site: Site) -> None:
    await site.deploy(ONE)
    await site.deploy(TWO, "/two")
    site.sql("CREATE TABLE mine (x integer)")
    with pytest.raises(Refused, match=r"changed by hand.*table mine is left over") as refused:
        await site.back(replace(BACK, with_schema=True))
    assert refused.value.next == "lastgood rollback r1 moves the requests and leaves the schema"
    await site.back()
    assert site.shop.state.live == 1


async def test_a_database_that_is_away_stops_what_changes_it_and_nothing_else(site: Site) -> None:
    await site.deploy(ONE)
    site.path.rename(site.path.with_suffix(".away"))
    with pytest.raises(Refused, match=r"could not be proven: the database does not exist"):
        await site.deploy(TWO, "/two")
    await site.deploy(ONE, "/two")
    assert site.shop.state.live == 2, "its scripts are the same"
    await site.back()
    assert site.shop.state.live == 1


async def test_a_migration_that_fails_takes_the_release_back(site: Site) -> None:
    await site.deploy(ONE)
    site.commit(TWO, "/two")
    with closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await site.shop.verbs.deploy("HEAD", ASK)
        other.execute("ALTER TABLE goods ADD COLUMN price integer")
        other.execute("COMMIT")
    await site.shop.at_rest()
    ended = site.shop.state.deployments[2].ended
    assert ended is not None
    assert (ended.live, ended.outcome) == (1, "went back")
    assert "duplicate column name: price" in ended.why
    assert site.shop.state.verdict(2).name == "bad"


async def test_what_is_wrong_with_the_files_is_told_with_their_places(site: Site) -> None:
    files = {"0001_a.up.sql": "CREATE TABLE a (x text DEFAULT 'never closed);", "0001_b.up.sql": "SELECT 1;"}
    site.commit(files)
    with pytest.raises(ConfigError) as refused:
        await site.shop.verbs.check("HEAD")
    told = [str(problem) for problem in refused.value.problems]
    assert any(line.startswith("migrations/main/0001_a.up.sql:1") for line in told), told
    assert any("0001" in line and "also the version of" in line for line in told), told


async def test_the_verdict_of_the_proof_stands_in_the_release_and_in_the_database(site: Site) -> None:
    await site.deploy(ONE)
    alone = {
        "0003_v.up.sql": "ALTER TABLE goods ADD COLUMN kind text; VACUUM; UPDATE goods SET id = id + 100;",
        "0003_v.down.sql": "ALTER TABLE goods DROP COLUMN kind",
    }
    site.sql("INSERT INTO goods DEFAULT VALUES")
    await site.deploy({**TWO, **alone}, "/two", replace(ASK, accept_loss=True))
    kept = stored_verdicts(site.shop.verbs.configurations, 2, "main")
    assert kept == {"2": "lossy(1 rows)", "3": "lossy(1 rows)"}
    log = site.sql("SELECT version, what, release FROM lastgood_log ORDER BY seq")
    assert log == [
        ("0001", "up", "r1"),
        ("0001", "proven exact", "r1"),
        ("0002", "up", "r2"),
        ("0002", "proven lossy(1 rows)", "r2"),
        ("0003", "up", "r2"),
        ("0003", "proven lossy(1 rows)", "r2"),
    ]


async def test_the_digest_of_a_database_is_that_of_its_scripts_in_both_directions(site: Site) -> None:
    def part(files: Files) -> str:
        site.commit(files)
        assert site.shop.verbs.drafting is not None
        return site.shop.verbs.drafting.draft("HEAD").draft.parts["database:main"]

    assert part(TWO) == part({**TWO, "README.md": "x"})
    changed = [{**TWO, name: sql + " -- more"} for name, sql in TWO.items()]
    assert len({part(TWO), part(ONE), *map(part, changed)}) == 6


KEPT_SECTION = SECTION.replace(b" }", b", keep_dropped: true }")
DROP = {
    **TWO,
    "0003_free.up.sql": "ALTER TABLE goods DROP COLUMN price;",
    "0003_free.down.sql": "ALTER TABLE goods ADD COLUMN price integer;",
}


async def test_what_is_kept_is_not_lost_in_either_direction(site: Site) -> None:
    site.section = KEPT_SECTION
    await site.deploy(TWO)
    site.sql("INSERT INTO goods (price) VALUES (3)")
    await site.deploy(DROP, "/two")
    assert "price" not in site.columns()
    site.sql("INSERT INTO goods DEFAULT VALUES")
    assert (await site.shop.verbs.plan_rollback(replace(BACK, with_schema=True)))["loses"] == []
    await site.back(replace(BACK, with_schema=True))
    assert site.sql("SELECT id, price FROM goods") == [(1, 3), (2, None)]


async def test_what_a_down_puts_aside_is_no_loss_of_the_rows_beside_it(site: Site) -> None:
    """Its proof compares the rows of a table that has the column twice: as it was, and put aside by the way down."""
    site.section = KEPT_SECTION
    await site.deploy(ONE)
    site.sql("INSERT INTO goods DEFAULT VALUES")
    await site.deploy(TWO, "/two")
    assert site.shop.state.live == 2
    site.sql("UPDATE goods SET price = 7")
    await site.back(replace(BACK, with_schema=True))
    assert "price" not in site.columns()
    await site.deploy(TWO, "/three")
    assert site.sql("SELECT id, price FROM goods") == [(1, 7)], "and comes back with its values"


async def test_the_release_that_is_left_may_be_the_first_that_keeps(site: Site) -> None:
    await site.deploy(ONE)
    site.sql("INSERT INTO goods DEFAULT VALUES")
    site.section = KEPT_SECTION
    await site.deploy(TWO, "/two")
    site.sql("UPDATE goods SET price = 7")
    assert (await site.shop.verbs.plan_rollback(replace(BACK, with_schema=True)))["loses"] == []
    await site.back(replace(BACK, with_schema=True))
    assert site.shop.state.live == 1
    assert "price" not in site.columns()
    await site.deploy(TWO, "/three")
    assert site.sql("SELECT id, price FROM goods") == [(1, 7)]


async def test_what_is_kept_goes_for_good_when_no_kept_release_needs_it(site: Site) -> None:
    site.section = KEPT_SECTION
    await site.deploy(TWO)
    await site.deploy(DROP, "/two")
    known = site.shop.verbs.configurations
    applied = ["0001", "0002", "0003"]
    assert needed_by("0003", "main", applied, {1, 2}, known) == (1,), "r1 has the column"
    assert needed_by("0003", "main", applied, {2}, known) == ()
    assert needed_by("0003", "main", applied[:2], {1, 2}, known) == (2,), "taken back, r2 attaches it again"
    assert needed_by("0003", "other", applied, {1, 2}, known) == ()
    refuse_unproven_release(site.shop.state)
    await site.shop.verbs.mark("r2", "bad", "test", "it is")
    with pytest.raises(Refused):
        refuse_unproven_release(site.shop.state)
