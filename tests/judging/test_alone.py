"""What nothing stands beside: the first release, and one that brings nothing but a schema."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from lastgood.bootstrap.databases import make_database_driver
from lastgood.effects.databases.managed import ManagedDatabases
from lastgood.health.reading import WHOLE
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import DatabaseMaker
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.judging import subject_of
from lastgood.operations.loop import Loop
from lastgood.operations.watching import Watching
from lastgood.ports import Checked, Driver
from lastgood.release import events as ev
from lastgood.testing.fake_journal import FakeJournal, Pages
from tests.judging.court import MEASURED, SHOP, Court, court
from tests.operations.controller import controlled

SECTION = "databases:\n  main: { url: sqlite:///app.db, migrations: migrations/main }\n"
SCRIPTS = {
    "0001_goods": ("CREATE TABLE goods (id integer PRIMARY KEY);", "DROP TABLE goods;"),
    "0002_price": ("ALTER TABLE goods ADD COLUMN price integer;", "ALTER TABLE goods DROP COLUMN price;"),
}
SHORT = MEASURED.replace("for: 5m", "for: 300ms")
LIMITED = MEASURED[:-2] + " }, { errors: { below: 2% } }]"
ASK = DeployAsk(by="test")


async def baking(it: Court) -> None:
    await it.made.until(lambda state: state.deployment is not None and "bake" in state.deployment.progress)


async def first(it: Court, bake: str = MEASURED) -> None:
    """r1 bakes, and there was nothing before it."""
    it.commit("/*", bake)
    await it.made.verbs.deploy("main", ASK)
    await baking(it)


async def seconds(it: Court, n: int, *, fails: float = 0.0, per_second: int = 100) -> None:
    """So many looks, a second apart, with requests to the gateway before each."""
    for _ in range(n):
        it.counters.requests(WHOLE, per_second, failed=round(fails * per_second))
        it.clock.ahead_s += 1
        await it.judging.look()
        await asyncio.sleep(0.001)


@asynccontextmanager
async def with_database(folder: Path) -> AsyncIterator[Court]:
    """A court whose system has a database."""
    sqlite3.connect(folder / "app.db").close()
    databases, pages = ManagedDatabases(lambda reference: reference, folder), Pages()

    def drivers(configurations: Configurations, loop: Callable[[], Loop]) -> dict[str, Driver]:
        return {"database": make_database_driver(databases, configurations, loop)}

    async with controlled(pages, drivers=drivers) as made:
        assert made.verbs.drafting is not None
        made.verbs.drafting.makers = (DatabaseMaker(databases),)
        made.verbs.schemas = databases
        yield Court(made, pages)


async def deploy(it: Court, scripts: int, bake: str) -> None:
    files = {
        f"migrations/main/{name}.{way}.sql": sql.encode()
        for name, both in list(SCRIPTS.items())[:scripts]
        for way, sql in zip(("up", "down"), both, strict=True)
    }
    text = SHOP.format(path="/*", bake=bake) + SECTION
    it.made.repository.commit({"lastgood.yaml": text.encode(), **files}, "x")
    await it.made.verbs.deploy("main", ASK)


async def schema_alone(it: Court, bake: str = MEASURED) -> None:
    """r1 is live and known good; r2 bakes and brings nothing but a column."""
    await deploy(it, 1, "for: 50ms")
    await it.made.at_rest()
    await deploy(it, 2, bake)
    await baking(it)


def columns(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "app.db")) as raw:
        return [row[1] for row in raw.execute("PRAGMA table_info(goods)")]


async def test_the_first_release_becomes_known_good_by_what_is_measured() -> None:
    async with court() as it:
        await first(it)
        assert (it.made.state.verdict(1).name, it.made.state.verdict(1).basis) == ("baking", "measured")
        await seconds(it, 110)
        verdict = it.made.state.verdict(1)
        assert (verdict.name, verdict.basis) == ("good", "measured")
        await it.made.at_rest()
        it.made.verbs.evidence = it.evidence
        explained = it.made.verbs.verdict("r1")["measured"]
        assert (explained["replay"], explained["alone"]) == ("same", True)


async def test_without_objectives_time_makes_the_first_release_good() -> None:
    async with court() as it:
        await first(it, "for: 200ms")
        await it.judging.look()
        await it.made.at_rest()
        assert (it.made.state.verdict(1).name, it.made.state.verdict(1).basis) == ("good", "timed")


async def test_a_first_release_of_which_every_request_fails_is_kept_and_told_and_never_good() -> None:
    async with court() as it:
        await first(it, SHORT.replace("300ms", "3s"))
        await seconds(it, 3, fails=1.0)
        state = it.made.state
        verdict = state.verdict(1)
        assert (verdict.name, verdict.basis) == ("undecided", "measured")
        assert "failed, and none succeeded; there is nothing to go back to" in verdict.evidence
        await it.made.at_rest()
        assert it.made.state.live == 1
        assert it.made.state.deployments[1].halted is None
        assert not it.made.state.quarantine
        told = [note.what for _, note in it.made.state.notes if "looks bad" in note.what]
        assert len(told) == 1


async def test_a_first_release_that_nobody_asks_for_anything_stays_undecided_and_holds_nobody_up() -> None:
    async with court() as it:
        await first(it, SHORT + ", undecided: rollback")
        await seconds(it, 3, per_second=0)
        it.clock.ahead_s += 1
        await it.judging.look()
        await it.made.until(lambda state: state.verdict(1).name == "undecided")
        await it.made.at_rest()
        assert it.made.state.live == 1
        told = next(note.what for _, note in it.made.state.notes if "undecided" in note.what)
        assert told.startswith("r1 is undecided: lastgood mark r1 good, or deploy a commit that works (")
        it.commit("/new/*", "for: 50ms")
        await it.made.verbs.deploy("main", ASK)
        await it.made.at_rest()
        assert it.made.state.live == 2


async def test_the_checks_of_a_first_release_are_asked() -> None:
    check = "checks: [{ name: shop, url: 'http://127.0.0.1:9/', every: 1s, fails: 2 }]"
    async with court() as it:
        it.checks.says["shop"] = Checked(False, "it answers with 500")
        await first(it, f"{MEASURED}, {check}")
        await seconds(it, 8)
        assert it.checks.asked
        assert it.made.state.verdict(1).name == "undecided"
        assert "check shop: it answers with 500" in it.made.state.verdict(1).evidence


async def test_a_schema_alone_becomes_known_good_by_what_is_measured(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it)
        subject = subject_of(it.made.state)
        assert subject is not None
        assert (subject.release, subject.baseline, subject.before) == (2, None, 1)
        await seconds(it, 120)
        await it.made.at_rest()
        assert (it.made.state.verdict(2).name, it.made.state.verdict(2).basis) == ("good", "measured")
        assert it.made.state.live == 2
        assert columns(tmp_path) == ["id", "price"]


async def test_a_schema_that_breaks_everything_goes_back_by_itself_with_the_schema(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it)
        await seconds(it, 5)
        assert columns(tmp_path) == ["id", "price"]
        await seconds(it, 3, fails=1.0)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        assert it.made.state.verdict(2).name == "bad"
        assert columns(tmp_path) == ["id"]
        assert "database:main" in it.made.state.quarantine[2]


async def test_a_schema_that_breaks_a_limit_goes_back_by_itself(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it, LIMITED)
        await seconds(it, 10)
        await seconds(it, 20, fails=0.2)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        assert "errors below 2%" in it.made.state.verdict(2).evidence
        assert columns(tmp_path) == ["id"]


async def test_a_schema_that_fails_more_than_the_gateway_ever_did_goes_back(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it)
        await seconds(it, 120)
        await it.made.at_rest()
        await watch(it, 130)
        text = {"migrations/main/0003_tax.up.sql": b"ALTER TABLE goods ADD COLUMN tax integer;"}
        text["migrations/main/0003_tax.down.sql"] = b"ALTER TABLE goods DROP COLUMN tax;"
        it.made.repository.commit(text, "tax")
        await it.made.verbs.deploy("main", ASK)
        await baking(it)
        await seconds(it, 5)
        await seconds(it, 20, fails=0.1)
        await it.made.until(lambda state: state.deployment is None and state.live == 2)
        assert "more failures than ever" in it.made.state.verdict(3).evidence
        assert columns(tmp_path) == ["id", "price"]


async def watch(it: Court, looks: int, *, fails: float = 0.0) -> None:
    """So many looks after the bake, ten seconds apart."""
    configurations = Configurations(FakeJournal(it.pages))
    sources = (it.counters, it.evidence, it.clock, configurations.of)
    watching = Watching(it.made.loop, *sources, it.made.verbs.back_by_itself)
    for _ in range(looks):
        it.counters.requests(WHOLE, 1000, failed=round(fails * 1000))
        it.clock.ahead_s += 10
        await watching.look()
        await asyncio.sleep(0.001)


async def test_after_its_bake_a_limit_that_was_set_takes_it_back_with_the_schema(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it, LIMITED)
        await seconds(it, 120)
        await it.made.at_rest()
        await watch(it, 10)
        await watch(it, 5, fails=0.2)
        await it.made.until(lambda state: state.deployment is None and state.live == 1)
        assert columns(tmp_path) == ["id"]
        newest = it.made.state.deployments[max(it.made.state.deployments)]
        assert newest.asked.by == "the judge"


async def test_after_its_bake_what_was_only_learnt_is_told(tmp_path: Path) -> None:
    async with with_database(tmp_path) as it:
        await schema_alone(it)
        await seconds(it, 120)
        await it.made.at_rest()
        await watch(it, 130)
        await watch(it, 10, fails=0.2)
        assert it.made.state.live == 2
        assert any("more failures than ever" in note.what for _, note in it.made.state.notes)


async def test_what_was_alone_teaches_no_release_that_has_something_beside_it() -> None:
    async with court() as it:
        await first(it)
        await seconds(it, 120, fails=0.004)
        await it.made.at_rest()
        it.commit("/new/*")
        await it.made.verbs.deploy("main", ASK)
        await it.made.until(lambda state: (state.accepted or {}).get("candidate") == 2)
        await it.judging.look()
        now = it.judging.now
        assert now is not None
        assert now.case.terms.references == {}
        assert [event.body for event in it.made.events if isinstance(event.body, ev.Halted)] == []
