"""What status says of services: versions, instances and shares, in values and in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lastgood.interfaces.cli.render_status import status as rendered
from lastgood.operations import reporting
from lastgood.operations.loop import Loop
from lastgood.operations.service_report import services
from lastgood.operations.world import View
from lastgood.release.observed import Fact
from lastgood.testing.simulation import Simulation
from tests.invariants.scenes import played
from tests.simulation.scenario import deployed, do_deploy, move, shop

CANARY = move("canary", steps=(10.0,), hold_s=60.0, keep_old_s=60.0)


def told(sim: Simulation) -> View:
    views: list[View] = []

    async def script(loop: Loop) -> None:
        await deployed(loop, shop("one", {"catalog": "v1", "stock": "s1"}, {"catalog": CANARY}, instances=10))
        await do_deploy(loop, shop("two", {"catalog": "v2", "stock": "s1"}, {"catalog": CANARY}, instances=10))
        await asyncio.sleep(5)
        sim.system.broken.add("v2")
        await loop.observe()
        views.append(loop.view())

    played(sim, script)
    return views[0]


def test_each_version_with_its_instances_its_share_and_its_releases() -> None:
    catalog, stock = services(told(Simulation()))
    common = {"failing": None, "unready": []}
    assert catalog == {
        "service": "catalog",
        "enough": 10,
        "held_by": None,
        "versions": [
            {"version": "v1", "wanted": 10, "healthy": 10, "percent": 90.0, "releases": [1], **common},
            {"version": "v2", "wanted": 1, "healthy": 0, "percent": 10.0, "releases": [2], **common},
        ],
    }
    assert [(each["version"], each["percent"], each["releases"]) for each in stock["versions"]] == [
        ("s1", 100.0, [1, 2])
    ]


def test_it_stands_in_the_status_and_what_is_held_is_said() -> None:
    view = told(Simulation())
    view = replace(view, state=replace(view.state, held={"service:stock": 1}))
    lines = rendered({**reporting.status(view, (), 0), "controller": None})
    [first, second, third, held] = [line for line in lines if line.startswith(("catalog:", "stock:"))]
    assert first.split("  ")[0] == "catalog:"
    assert "v1 (r1)" in first
    assert "10 of 10 instances healthy" in first
    assert first.endswith("90 % of the requests")
    assert "0 of 1 instance healthy" in second
    assert "s1 (r1, r2)" in third
    assert held.split() == ["stock:", "held", "by", "r1", "automation", "leaves", "it", "alone"]


def test_who_is_not_ready_is_told_with_the_reason() -> None:
    view = told(Simulation())
    reasons = ["127.0.0.1:20001: nothing listens on port 20001 (connection refused)", "127.0.0.1:20002: ended with 3"]
    seen = {**view.observed.facts, ("service:catalog", "unready:v2"): Fact("service:catalog", "unready:v2", reasons)}
    view = replace(view, observed=replace(view.observed, facts=seen))
    assert services(view)[0]["versions"][1]["unready"] == reasons
    [line] = [line for line in rendered({**reporting.status(view, (), 0), "controller": None}) if "not ready" in line]
    assert line.endswith(f"not ready: {reasons[0]} (and 1 more)")


def test_what_nobody_could_look_at_is_unknown_and_not_gone() -> None:
    """Without a controller, or while the supervisor is away; instances go on all the same."""
    view = told(Simulation())
    others = {key: fact for key, fact in view.observed.facts.items() if not fact.part.startswith("service:")}
    never = replace(view, observed=replace(view.observed, facts=others, unknown=frozenset({"service"})))
    versions = [each for service in services(never) for each in service["versions"]]
    assert versions
    assert {(each["wanted"], each["healthy"]) for each in versions} == {(None, None)}
    away = replace(view, observed=view.observed.unseen("service"))
    for seen, said in ((never, "instances unknown"), (away, "10 instances, unknown how many are healthy")):
        lines = rendered({**reporting.status(seen, (), 0), "controller": None})
        assert any(line.startswith("catalog:") and said in line for line in lines)
        assert not [line for line in lines if "0 of" in line]
