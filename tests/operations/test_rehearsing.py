"""The rehearsal of a way back: what is ready, what blocks, and what a deployment does about that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lastgood.effects.system_clock import SystemClock
from lastgood.errors import Failed, LastgoodError, Refused, Rejected, Unavailable
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.drilling import DrillAsk, keep_drilling
from lastgood.operations.rehearsing import Trials, schemas
from lastgood.operations.service_maker import ServiceMaker
from lastgood.release.observed import Fact
from lastgood.release.step import Step
from lastgood.testing.fake_artifacts import FakeArtifacts
from tests.operations.controller import Controlled, controlled, nothing_left, text

ME = DeployAsk(by="test")


async def two_releases(site: Controlled) -> None:
    for path in ("/one", "/two"):
        site.commit(path)
        await site.verbs.deploy("HEAD", ME)
        await site.at_rest()


# --- in a whole controller ---------------------------------------------------------------------------------------


async def test_every_deployment_says_where_its_way_back_leads_and_how_long_it_takes() -> None:
    async with controlled() as site:
        site.commit("/one")
        first = await site.verbs.deploy("HEAD", ME)
        assert first["way_back"] is None, "nothing is live to go back to"
        await site.at_rest()
        site.commit("/two")
        back = (await site.verbs.deploy("HEAD", ME))["way_back"]
        assert (back["to"], back["ready"], back["tried"]) == (1, True, False)
        assert [(one["kind"], one["says"]) for one in back["checks"]] == [
            ("configuration", "served now by 2 of 2 proxies")
        ]
        assert back["estimate"]["measured"] == 1
        await site.at_rest()
        again = await site.verbs.deploy("HEAD", ME)
        assert (again["deployment"], again["way_back"]) == (None, None)


async def test_a_revision_is_rehearsed_without_a_trace() -> None:
    async with controlled() as site:
        await two_releases(site)
        before = list(site.events)
        site.commit("/three")
        found = (await site.verbs.rehearse("HEAD"))["way_back"]
        assert (found["to"], found["ready"], found["tried"]) == (2, True, True)
        assert found["checks"][0]["says"] == "a proxy without traffic accepts it"
        live = (await site.verbs.rehearse("live"))["way_back"]
        assert live["to"] == 1, "what a rollback would do now"
        quick = (await site.verbs.rehearse("HEAD", quick=True))["way_back"]
        assert (quick["tried"], quick["ready"]) == (False, True)
        assert site.events == before
        assert site.state.live == 2


async def test_where_nothing_is_known_good_there_is_no_way_back_from_what_is_live() -> None:
    async with controlled() as site:
        assert await site.verbs.rehearse("live") == {"revision": "live", "live": None, "way_back": None}
        site.commit("/one")
        await site.verbs.deploy("HEAD", ME)
        await site.at_rest()
        with pytest.raises(Refused, match="no release to go back to"):
            await site.verbs.rehearse("live")


async def test_routes_that_a_proxy_refuses_by_now_block_and_one_that_is_away_does_not() -> None:
    async with controlled() as site:
        await two_releases(site)

        async def nothing(name: str, digest: str, release: int) -> float:
            raise AssertionError(name)

        for error, standing in ((Rejected("bad regex"), "blocked"), (Unavailable("it does not start"), "limited")):

            async def refuses(number: int, error: LastgoodError = error) -> None:
                raise error

            site.verbs.trials = Trials(refuses, nothing, nothing_left)
            check = (await site.verbs.rehearse("live"))["way_back"]["checks"][0]
            assert check["standing"] == standing
            assert error.what in check["says"]
        site.verbs.trials = None
        with pytest.raises(Unavailable, match="without a controller"):
            await site.verbs.rehearse("live")


# --- with a service ----------------------------------------------------------------------------------------------

SERVICE = (
    "services:\n  catalog: {{ source: services/catalog, command: [python, main.py], instances: 2,"
    " environment: {{ KEY: 'secret:key' }}, strategy: {{ blue_green: {{ keep_old: {keep} }} }} }}\n"
)


class Crews:
    """Moves services that are numbers; ``sick`` are versions of which nothing answers any more."""

    def __init__(self) -> None:
        self.instances: dict[tuple[str, str], int] = {}
        self.sick: set[str] = set()

    async def observe(self) -> Sequence[Fact]:
        facts = []
        for (part, digest), count in self.instances.items():
            facts.append(Fact(part, f"wanted:{digest}", count))
            facts.append(Fact(part, f"healthy:{digest}", 0 if digest in self.sick else count, stable=False))
        return facts

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        version = (step.part, step.args["digest"])
        if step.verb == "start":
            self.instances[version] = step.args["instances"]
            return {"instances": step.args["instances"], "already": 0, "ready_ms": 700.0}
        if step.verb == "stop":
            self.instances.pop(version, None)
        return {}


class Site:
    """A controller with a service, whose starts aside are counted."""

    def __init__(self, shop: Controlled, crews: Crews) -> None:
        self.shop, self.crews = shop, crews
        self.started: list[tuple[str, int]] = []
        self.start_error: LastgoodError | None = None
        self.missing: dict[str, str] = {}
        assert shop.verbs.drafting is not None
        shop.verbs.drafting.makers = (ServiceMaker(FakeArtifacts()),)
        assert shop.verbs.trials is not None
        shop.verbs.trials = Trials(shop.verbs.trials.routes, self.start, nothing_left)
        shop.verbs.why_unusable = self.missing.get

    async def start(self, name: str, digest: str, release: int) -> float:
        self.started.append((name, release))
        if self.start_error is not None:
            raise self.start_error
        return 0.25

    def commit(self, code: str, path: str = "/*", *, keep: str = "50ms") -> None:
        main = text(path) + SERVICE.format(keep=keep).encode()
        self.shop.repository.commit({"lastgood.yaml": main, "services/catalog/main.py": code.encode()}, code)

    async def deploy(self, code: str, path: str = "/*", ask: DeployAsk = ME, *, keep: str = "50ms") -> dict[str, Any]:
        self.commit(code, path, keep=keep)
        answer = await self.shop.verbs.deploy("HEAD", ask)
        await self.shop.at_rest()
        return answer

    async def rehearsed(self, revision: str = "live") -> dict[str, dict[str, Any]]:
        found = (await self.shop.verbs.rehearse(revision))["way_back"]
        return {"": found, **{check["kind"]: check for check in found["checks"]}}


@asynccontextmanager
async def site_with_service() -> AsyncIterator[Site]:
    crews = Crews()
    async with controlled(drivers=lambda configurations, loop: {"service": crews}) as shop:
        yield Site(shop, crews)


async def test_a_version_that_does_not_run_is_started_aside_and_its_time_is_in_the_estimate() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        await site.deploy("two")
        found = await site.rehearsed()
        assert site.started == [("catalog", 1)]
        assert found["service"]["says"] == "does not run; started aside, it was healthy after 0.2 s"
        assert found[""]["estimate"]["start_s"] == 0.25, "what was measured just now"
        quick = await site.deploy("two", "/three")
        assert site.started == [("catalog", 1)], "a deployment starts nothing aside"
        assert [check["kind"] for check in quick["way_back"]["checks"]] == ["configuration"], "it runs and stays"


async def test_what_was_measured_of_earlier_starts_counts_where_nothing_is_tried() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        await site.deploy("two")
        site.crews.sick.add(site.shop.loop.release_of(2).parts["service:catalog"])
        site.commit("three")
        found = (await site.shop.verbs.rehearse("HEAD", quick=True))["way_back"]
        assert found["estimate"]["start_s"] == 0.7
        assert found["checks"][1]["says"] == "does not run; its bundle is whole, it is started first"


async def test_a_version_that_no_longer_starts_blocks_with_its_words() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        await site.deploy("two")
        site.start_error = Failed("catalog ended with 3\n    no such table: prices", next="lastgood logs catalog")
        found = await site.rehearsed()
        assert not found[""]["ready"]
        assert (found["service"]["standing"], found["service"]["next"]) == ("blocked", "lastgood logs catalog")
        assert "no such table: prices" in found["service"]["says"]


async def test_a_bundle_that_is_gone_refuses_the_deployment_that_would_need_it_and_nothing_else() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        site.shop.verbs.why_not_startable = lambda name, release: f"the artifact of {name} of r{release} is gone"
        before = site.shop.state
        with pytest.raises(
            Refused, match="the way back to r1 is blocked: service catalog: cannot be started"
        ) as refusal:
            await site.deploy("two")
        assert refusal.value.next == "lastgood logs catalog; or deploy all the same: --accept-blocked"
        assert (site.shop.state.live, site.shop.state.deployments) == (1, before.deployments)
        await site.deploy("one", "/routes-only")
        assert site.shop.state.live == 2, "the service runs, and stays as it is"
        answer = await site.deploy("two", ask=DeployAsk(by="test", accept_blocked=True))
        assert (answer["way_back"]["ready"], site.shop.state.live) == (False, 3)


async def test_a_secret_without_a_value_blocks_and_content_that_was_good_goes_back_all_the_same() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        await site.deploy("two")
        site.missing["secret:key"] = "cannot be used (it is revoked)"
        with pytest.raises(Refused, match="secrets secret:key: service catalog needs it: it cannot be used") as refusal:
            await site.deploy("three")
        assert refusal.value.next == "lastgood secret set key; or deploy all the same: --accept-blocked"
        answer = await site.deploy("one")
        assert (answer["same_as"], site.shop.state.live) == (1, 3), "a way back waits for no proof"


@pytest.mark.parametrize(
    ("verdict", "standing"),
    [
        ("exact", "ready"),
        ("applied", "ready"),
        ("lossy", "limited"),
        ("irreversible", "limited"),
        ("broken", "blocked"),
    ],
)
def test_what_a_proof_means_for_the_way_back(verdict: str, standing: str) -> None:
    (check,) = schemas({"main": {"verdict": verdict, "reasons": ["12 rows of goods"]}})
    assert (check.name, check.standing) == ("main", standing)
    assert ("12 rows of goods" in check.says) == (standing != "ready")


async def test_a_drill_that_would_get_stuck_half_way_is_not_begun() -> None:
    async with site_with_service() as site:
        await site.deploy("one")
        await site.deploy("two")
        site.shop.verbs.why_not_startable = lambda name, release: "its bundle is gone"
        with pytest.raises(Refused, match="the way back to r1 is blocked: service catalog: cannot be started"):
            await site.shop.verbs.drill(DrillAsk("test"))
        assert max(site.shop.state.deployments) == 2
        site.shop.verbs.why_not_startable = lambda name, release: None
        keeping = asyncio.create_task(keep_drilling(site.shop.loop, SystemClock()))
        try:
            answer = await site.shop.verbs.drill(DrillAsk("test"))
            assert (answer["release"], answer["from"]) == (1, 2)
            async with asyncio.timeout(10):
                while (site.shop.verbs.status()["drill"] or {})["standing"] != "done":
                    await asyncio.sleep(0.01)
        finally:
            keeping.cancel()
        found = site.shop.verbs.status()["drill"]
        assert found["back"]["convergence"]["of"] == found["forth"]["convergence"]["of"] == 2
        assert site.shop.verbs.report("d4")["why"] == "forward again after the drill d3"
        assert site.shop.state.live == 2
