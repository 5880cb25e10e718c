"""Going back with one part: a derived release, held, and what automation does about it."""

from __future__ import annotations

import pytest

from lastgood.config.configuration import Configuration, Entry, make_entry
from lastgood.config.model import Route, Upstream
from lastgood.errors import Refused, UsageError
from lastgood.operations.deploy import DeployAsk, Draft, deploy
from lastgood.operations.derive import belongs
from lastgood.operations.loop import Loop
from lastgood.operations.only import Shelf, plan_only, rollback_only
from lastgood.operations.rollback import RollbackAsk, rollback
from lastgood.release.release import Release
from lastgood.release.state import State
from lastgood.testing.fake_journal import FakeJournal
from lastgood.testing.simulation import Simulation, at_rest
from tests.invariants.scenes import played
from tests.simulation.scenario import move

MOVES = {"catalog": move(keep_old_s=60.0), "stock": move(keep_old_s=60.0)}


def draft(name: str, catalog: str, stock: str, gateway: str = "g") -> Draft:
    parts = {"gateway": gateway, "service:catalog": catalog, "service:stock": stock}
    entries = {
        "route:all": f"route-{gateway}",
        "service:catalog": f"entry-{catalog}",
        "artifact:catalog": f"bundle-{catalog}",
        "service:stock": f"entry-{stock}",
        "artifact:stock": f"bundle-{stock}",
        "bake:bake": f"bake-{name}",
    }
    sizes = {"catalog": 3 if catalog == "c1" else 2, "stock": 2}
    return Draft("shop", f"commit-{name}", name, "main", parts, entries, {}, 60.0, sizes, {}, MOVES)


def journal_of(loop: Loop) -> FakeJournal:
    journal = loop._world.journal
    assert isinstance(journal, FakeJournal)
    return journal


def shelf(loop: Loop) -> Shelf:
    journal = journal_of(loop)

    def store(release: Release, entries: object, configuration: Configuration) -> str:
        return journal.put_release(release, entries)  # type: ignore[arg-type]

    return Shelf(journal.entries, lambda number: Configuration("shop", {}), store)


async def went(loop: Loop, made: Draft, **ask: object) -> dict[str, object]:
    journal = journal_of(loop)
    request = DeployAsk(by="test", **ask)  # type: ignore[arg-type]
    answer = await loop.ask(lambda view: deploy(made, request, journal.put_release, view, journal.entries))
    await at_rest(loop)
    return dict(answer)


async def only(loop: Loop, part: str, target: str | None = None) -> dict[str, object]:
    ask, kept = RollbackAsk(by="test", target=target, only=part), shelf(loop)
    return dict(await loop.ask(lambda view: rollback_only(ask, view, commit=lambda text: None, shelf=kept)))


async def two_releases(loop: Loop) -> None:
    await went(loop, draft("one", "c1", "s1"))
    await went(loop, draft("two", "c2", "s2", "g2"))


def after(script: object) -> tuple[Simulation, State]:
    sim = Simulation()

    async def all_of_it(loop: Loop) -> None:
        await two_releases(loop)
        await script(loop)  # type: ignore[operator]

    return sim, played(sim, all_of_it)


async def catalog_back(loop: Loop) -> None:
    answer = await only(loop, "catalog")
    assert answer["why"] == "r2 with catalog@r1 (the newest known good with another service:catalog)"
    await at_rest(loop)


def test_one_part_goes_back_and_the_rest_is_not_touched() -> None:
    sim, state = after(catalog_back)
    made = sim.pages.releases[3]
    assert dict(made.parts) == {"gateway": "g2", "service:catalog": "c1", "service:stock": "s2"}
    assert (made.derived_from, made.revision, made.subject) == (2, None, "r2 with catalog@r1")
    assert made.instances == {"catalog": 3, "stock": 2}, "as many as that version had"
    assert sim.system.instances == {("catalog", "c1"): 3, ("stock", "s2"): 2}
    assert state.live == 3
    plan = state.deployments[3].plan
    assert plan is not None
    assert not [step for step in plan.steps if step.part in ("service:stock", "git")]
    assert sim.system.violations == []


def test_it_is_stored_with_what_belongs_to_each_part() -> None:
    sim, _ = after(catalog_back)
    assert sim.pages.manifests[3] == {
        "route:all": "route-g2",
        "service:catalog": "entry-c1",
        "artifact:catalog": "bundle-c1",
        "service:stock": "entry-s2",
        "artifact:stock": "bundle-s2",
        "bake:bake": "bake-two",
    }


def test_only_the_content_that_was_left_is_bad() -> None:
    _, state = after(catalog_back)
    assert state.quarantine == {2: {"service:catalog": "c2"}}
    assert (state.verdict(2).name, state.verdict(3).name) == ("bad", "unproven")


def test_automation_leaves_the_part_alone_and_moves_the_others() -> None:
    async def script(loop: Loop) -> None:
        await catalog_back(loop)
        assert loop.state.held == {"service:catalog": 3}
        await went(loop, draft("three", "c3", "s3", "g2"), automatic=True)

    sim, state = after(script)
    made = sim.pages.releases[4]
    assert dict(made.parts) == {"gateway": "g2", "service:catalog": "c1", "service:stock": "s3"}
    assert sim.pages.manifests[4]["artifact:catalog"] == "bundle-c1"
    assert made.instances["catalog"] == 3
    assert state.held == {"service:catalog": 3}


def test_a_person_deploys_the_part_again_and_it_is_free() -> None:
    async def script(loop: Loop) -> None:
        await catalog_back(loop)
        await went(loop, draft("three", "c3", "s3"))

    sim, state = after(script)
    assert sim.pages.releases[4].parts["service:catalog"] == "c3"
    assert state.held == {}


def test_going_back_as_a_whole_frees_it_too() -> None:
    async def script(loop: Loop) -> None:
        await catalog_back(loop)
        ask = RollbackAsk(by="test", target="r1")
        await loop.ask(lambda view: rollback(ask, lambda text: None, lambda old, new: (), view))
        await at_rest(loop)

    _, state = after(script)
    assert (state.live, state.held) == (1, {})


def test_the_gateway_alone_goes_back_while_the_code_stays() -> None:
    async def script(loop: Loop) -> None:
        await only(loop, "gateway", "r1")
        await at_rest(loop)

    sim, _ = after(script)
    assert dict(sim.pages.releases[3].parts) == {"gateway": "g", "service:catalog": "c2", "service:stock": "s2"}
    assert sim.pages.manifests[3]["route:all"] == "route-g"


def test_while_it_bakes_what_is_tried_is_what_is_left() -> None:
    async def script(loop: Loop) -> None:
        journal = journal_of(loop)
        ask = DeployAsk(by="test")
        await loop.ask(lambda view: deploy(draft("x", "c4", "s2", "g2"), ask, journal.put_release, view))
        await only(loop, "catalog", "r2")
        await at_rest(loop)

    sim, state = after(script)
    assert (state.live, sim.pages.releases[4].parts["service:catalog"]) == (4, "c2")
    assert state.verdict(4).name == "good", "the same content as r2, whose verdict it inherits"


@pytest.mark.parametrize(
    ("part", "target", "error", "said"),
    [
        ("nothing", None, UsageError, "r2 has no part 'nothing'"),
        ("stock", "r2", Refused, "is the same in r2"),
        ("catalog", "r7", UsageError, "there is no release r7"),
    ],
)
def test_what_cannot_be_is_refused(part: str, target: str | None, error: type[Exception], said: str) -> None:
    async def script(loop: Loop) -> None:
        with pytest.raises(error, match=said):
            await only(loop, part, target)

    _, state = after(script)
    assert (sorted(state.releases), state.live) == ([1, 2], 2)


def test_a_plan_of_it_changes_nothing() -> None:
    async def script(loop: Loop) -> None:
        ask = RollbackAsk(by="test", only="catalog")
        mixed = plan_only(ask, loop.view(), lambda text: None, shelf(loop))
        assert (mixed.part, mixed.other.number, mixed.planned.target.number) == ("service:catalog", 1, 3)

    sim, state = after(script)
    assert sorted(sim.pages.releases) == [1, 2]
    assert len(state.deployments) == 2


def test_routes_that_would_lead_nowhere_are_refused() -> None:
    old: dict[str, Entry] = {
        entry.key: entry
        for entry in (
            make_entry("route:all", Route(name="all", to="legacy", public=True)),
            make_entry("upstream:legacy", Upstream(endpoints=("127.0.0.1:1",))),
        )
    }
    new = {
        **{key: entry for key, entry in old.items() if key.startswith("upstream")},
        "route:all": make_entry("route:all", Route(name="all", to="catalog", public=True)),
    }

    async def script(loop: Loop) -> None:
        told = shelf(loop)
        lost = Shelf(told.entries_of, lambda number: Configuration("shop", {1: new, 2: old}[number]), told.store)
        ask = RollbackAsk(by="test", only="gateway", target="r1")
        with pytest.raises(Refused, match="route all leads to catalog, which is not there"):
            plan_only(ask, loop.view(), lambda text: None, lost)

    after(script)


@pytest.mark.parametrize(
    ("key", "part", "mine"),
    [
        ("service:catalog", "service:catalog", True),
        ("artifact:catalog", "service:catalog", True),
        ("artifact:catalogue", "service:catalog", False),
        ("migration:main/0001", "database:main", True),
        ("migration:main/0001", "service:main", False),
        ("route:catalog", "service:catalog", False),
        ("route:catalog", "gateway", True),
        ("file:keys/jwks.json", "gateway", True),
        ("service:catalog", "gateway", False),
        ("bake:bake", "gateway", False),
    ],
)
def test_what_belongs_to_a_part(key: str, part: str, mine: bool) -> None:
    assert belongs(key, part) is mine


def test_a_part_of_a_newer_release_is_no_judgement_on_what_is_live() -> None:
    """r2 was bad and went back to r1; its catalogue, chosen by a person, says nothing against r1."""

    async def script(loop: Loop) -> None:
        await went(loop, draft("two", "c2", "s2", "g2"))
        back = RollbackAsk(by="test", target="r1", revert_commit=False)
        await loop.ask(lambda view: rollback(back, lambda text: None, lambda one, two: (), view))
        await at_rest(loop)
        assert loop.state.verdict(2).name == "bad"
        await only(loop, "catalog", "r2")

    _, state = after(script)
    assert state.verdict(1).name == "good"
    assert 1 not in state.quarantine
