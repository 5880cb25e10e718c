"""What a service brings into a release: its part, its instances, and the bundle that it runs from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lastgood.errors import Refused
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.service_maker import ServiceMaker
from lastgood.ports import MadeOf
from lastgood.testing.fake_artifacts import FakeArtifacts
from tests.operations.controller import Controlled, controlled, text

ASK = DeployAsk(by="test")
SERVICE = "services:\n  catalog: {{ source: services/catalog, command: [python, main.py], instances: 2{more} }}\n"


class Site:
    def __init__(self, shop: Controlled) -> None:
        self.shop, self.artifacts = shop, FakeArtifacts()
        assert shop.verbs.drafting is not None
        self.drafting = shop.verbs.drafting
        self.drafting.makers = (ServiceMaker(self.artifacts),)

    def commit(self, code: str = "print(1)", more: str = "") -> str:
        main = text() + SERVICE.format(more=more).encode()
        return self.shop.repository.commit({"lastgood.yaml": main, "services/catalog/main.py": code.encode()}, "x")

    def part(self, code: str = "print(1)", more: str = "") -> str:
        self.commit(code, more)
        return self.drafting.draft("HEAD").draft.parts["service:catalog"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with controlled() as shop:
        yield Site(shop)


async def test_what_the_process_sees_makes_the_version_and_nothing_else(site: Site) -> None:
    first = site.part()
    assert site.part() == first
    assert site.part(more=", strategy: { rolling: { batch: 2 } }") == first, "how it takes over restarts nothing"
    assert site.part(more=", build_timeout: 5s") == first
    others = [
        site.part("print(2)"),
        site.part(more=", environment: { A: b }"),
        site.part(more=", environment: { A: c }"),
        site.part(more=', build: ["true"]'),
        site.part(more=", drain: 3s"),
        site.part(more=", health: { tcp: true }"),
    ]
    assert len({first, *others}) == 7


async def test_a_release_keeps_the_bundle_its_service_runs_from(site: Site) -> None:
    site.commit(more=', build: ["true"]')
    drafted = site.drafting.draft("HEAD")
    assert site.artifacts.built == [], "a plan and a check build nothing"
    assert drafted.draft.instances == {"catalog": 2}
    assert drafted.draft.keep_old_s == {"catalog": 1800.0}
    prepared = drafted.prepared()
    assert len(site.artifacts.built) == 1
    made = MadeOf.from_json(prepared.contents[prepared.draft.entries["artifact:catalog"]])
    assert site.artifacts.find(made.digest, made.seal).digest == made.digest
    assert prepared.draft.parts == drafted.draft.parts


async def test_a_build_that_fails_changes_nothing(site: Site) -> None:
    site.commit(more=', build: ["false"]')
    with pytest.raises(Refused, match="catalog: the build failed"):
        await site.shop.verbs.deploy("HEAD", ASK)
    assert site.shop.state.releases == ()
