"""The HTTP API: every verb, what a refusal looks like, and that it says of itself what it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lastgood import errors
from lastgood.effects.secrets import SecretStore
from lastgood.interfaces.cli.client import _refuse as raise_as_the_command_line
from lastgood.interfaces.http.app import Control, describe, make_app
from lastgood.interfaces.http.events import KEPT, Feed, as_json
from lastgood.interfaces.http.looks import MachineLooks
from lastgood.operations.deploy import DeployAsk
from lastgood.ports import JournalFull
from lastgood.release import events as ev
from lastgood.settings import Places, prepare
from lastgood.stamp import Stamp
from tests.operations.controller import Controlled, controlled

ME = DeployAsk(by="test")
AT = Stamp(1_700_000_000.0, "boot", 1.0)


@dataclass
class Served:
    """A controller behind its API."""

    shop: Controlled
    client: httpx.AsyncClient
    app: FastAPI
    feed: Feed
    asked: list[str] = field(default_factory=list)

    async def get(self, path: str) -> Any:
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.client.post(path, json=body)
        assert set(answer.json()) == {"error"}
        return answer.status_code, answer.json()["error"]


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    async with controlled() as shop:
        asked: list[str] = []
        feed = Feed()

        async def refresh() -> None:
            asked.append("refresh")

        control = Control(feed, stop=lambda: asked.append("stop"), refresh=refresh, about=lambda: {"pid": 7})
        app = make_app(shop.verbs, control)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://lastgood") as client:
            yield Served(shop, client, app, feed, asked)


async def two_releases(made: Served, bake: str = "50ms") -> None:
    made.shop.commit("/one", "one")
    await made.post("/v1/deploy")
    await made.shop.at_rest()
    made.shop.commit("/two", "two", bake=bake)
    await made.post("/v1/deploy", by="ada", why="because")
    await (made.shop.at_rest() if bake == "50ms" else made.shop.baking())


async def test_there_and_back() -> None:
    async with served() as made:
        await two_releases(made)
        status = await made.get("/v1/status")
        assert (status["live"]["release"], status["live"]["verdict"]) == (2, "good")
        assert status["controller"] == {"pid": 7}
        planned = await made.post("/v1/plan/rollback")
        assert (planned["from"], planned["to"]) == (2, 1)
        answer = await made.post("/v1/rollback", basis=planned["basis"], why="slow", by="ada")
        assert (answer["release"], answer["from"]) == (1, 2)
        await made.shop.at_rest()
        report = await made.get(f"/v1/deployments/d{answer['deployment']}")
        assert (report["by"], report["why"], report["ended"]["live"]) == ("ada", "slow", 1)
        assert report["timeline"][0]["kind"] == "Requested"
        history = await made.get("/v1/history?limit=2")
        assert [one["deployment"] for one in history["deployments"]] == [3, 2]
        assert (await made.client.get("/v1/history?limit=0")).status_code == 422
        assert (await made.get("/v1/diff?old=r1&new=r2"))["changes"]


async def test_steering() -> None:
    async with served() as made:
        made.shop.commit("/one", "one")
        await made.post("/v1/deploy")
        await made.shop.at_rest()
        made.shop.commit("/two", "two", bake="10m")
        await made.post("/v1/deploy", percent=10, confirm_within_s=600)
        await made.shop.until(
            lambda state: bool(state.deployment) and "hold" in state.deployment.progress  # type: ignore[union-attr]
        )
        await made.post("/v1/confirm", extend_s=900)
        assert (await made.get("/v1/status"))["deployment"]["confirm_left_s"] > 800
        await made.post("/v1/confirm")
        await made.post("/v1/promote")
        await made.shop.baking()
        assert made.shop.proxies.request("one", 10) == {2: 10}
        await made.post("/v1/abort", why="enough")
        await made.shop.at_rest()
        assert made.shop.state.live == 1
        assert await made.post("/v1/mark", release="r2", verdict="bad") == {"release": 2, "verdict": "bad"}
        assert await made.post("/v1/tag", name="stable", release="r1") == {"tag": "stable", "release": 1}
        for path in ("/v1/confirm", "/v1/promote", "/v1/abort", "/v1/retry"):
            assert (await made.refused(path))[0] == 403
        await made.post("/v1/refresh")
        await made.post("/v1/stop")
        assert made.asked == ["refresh", "stop"]


async def test_looking_changes_nothing() -> None:
    async with served() as made:
        await two_releases(made)
        made.shop.commit("/three", "three")
        before = len(made.shop.events)
        assert (await made.post("/v1/check"))["routes"] == 1
        assert (await made.post("/v1/plan/deploy"))["changes"]
        for path in ("/v1/status", "/v1/history", "/v1/diff?old=r1&new=HEAD", "/v1/deployments/d1", "/metrics"):
            assert (await made.client.get(path)).status_code == 200, path
        assert len(made.shop.events) == before


REFUSALS = [
    (errors.UsageError("no"), 400),
    (errors.ConfigError((errors.Problem("lastgood.yaml", 3, "wrong", "right"),)), 422),
    (errors.Refused("no", next="yes"), 403),
    (errors.Conflict("no"), 409),
    (errors.Fenced("no"), 409),
    (errors.Failed("no"), 502),
    (errors.Rejected("no", where="proxy-1"), 502),
    (errors.Unavailable("no"), 503),
    (errors.Damaged("no"), 503),
    (JournalFull("no"), 507),
    (errors.LastgoodError("no"), 500),
]


@pytest.mark.parametrize(("error", "status"), REFUSALS, ids=lambda value: getattr(value, "code", None))
async def test_a_refusal_has_its_status_and_comes_back_as_the_same_error(
    error: errors.LastgoodError, status: int
) -> None:
    async with served() as made:

        @made.app.get("/refuse")
        async def refuses() -> None:
            raise error

        answer = await made.client.get("/refuse")
        assert answer.status_code == status
        assert answer.json() == {"error": describe(error)}
        with pytest.raises(errors.LastgoodError) as again:
            raise_as_the_command_line(status, answer.content)
        assert (again.value.exit_code, again.value.code, again.value.next) == (error.exit_code, error.code, error.next)
        assert again.value.what == error.what


def verbs_of(app: FastAPI) -> list[tuple[str, str]]:
    return [(path, method) for path, told in app.openapi()["paths"].items() for method in told]


async def test_fields_nobody_knows_are_refused_by_every_verb_that_takes_a_body() -> None:
    async with served() as made:
        paths = [path for path, told in made.app.openapi()["paths"].items() if "requestBody" in told.get("post", {})]
        assert len(paths) >= 10
        for path in paths:
            status, error = await made.refused(path, relase="r1")
            assert (status, error["code"]) == (422, "usage"), path
            assert "relase" in error["what"]
        assert made.shop.events[1:] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/deploy", {"percent": 0}),
        ("/v1/deploy", {"percent": 101}),
        ("/v1/deploy", {"confirm_within_s": 0}),
        ("/v1/deploy", {"confirm_within_s": 1e9}),
        ("/v1/deploy", {"by": "x" * 201}),
        ("/v1/confirm", {"extend_s": -1}),
        ("/v1/mark", {"release": "r1", "verdict": "baking"}),
        ("/v1/mark", {"verdict": "bad"}),
        ("/v1/rollback", {"target": 7}),
    ],
)
async def test_values_that_make_no_sense_are_refused_without_being_repeated(path: str, body: dict[str, Any]) -> None:
    async with served() as made:
        status, error = await made.refused(path, **body)
        assert (status, error["exit_code"]) == (422, 2)
        assert "x" * 50 not in json.dumps(error)


async def test_what_is_no_json_is_refused() -> None:
    async with served() as made:
        answer = await made.client.post("/v1/rollback", content=b"{", headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "usage"


async def test_a_wrong_commit_names_every_problem() -> None:
    async with served() as made:
        made.shop.repository.commit({"lastgood.yaml": b"project: shop\nnonsense: 1\nmore: 2\n"}, "wrong")
        status, error = await made.refused("/v1/deploy")
        assert (status, error["exit_code"]) == (422, 3)
        assert [(problem["file"], problem["line"]) for problem in error["problems"]][:2] == [
            ("lastgood.yaml", 2),
            ("lastgood.yaml", 3),
        ]


async def test_two_deployments_at_once_one_wins() -> None:
    async with served() as made:
        made.shop.commit("/one", "one", bake="10m")
        answers = await asyncio.gather(*(made.client.post("/v1/deploy", json={}) for _ in range(4)))
        deployments = {answer.json().get("deployment") for answer in answers if answer.status_code == 200}
        assert deployments - {None} == {1}
        assert made.shop.state.releases == (1,)


def test_the_reference_is_what_the_application_says() -> None:
    page = json.loads((Path(__file__).parents[2] / "docs/reference/openapi.json").read_text())
    look = MachineLooks(Places(Path(), Path()))
    control = Control(Feed(), stop=lambda: None, refresh=lambda: None, about=dict, look=look)
    app = make_app(None, control)  # type: ignore[arg-type]
    assert page == app.openapi()
    for told in page["paths"].values():
        for verb in told.values():
            assert verb["summary"]


async def test_metrics_can_be_read_by_prometheus() -> None:
    async with served() as made:
        await two_releases(made)
        await made.post("/v1/rollback")
        await made.shop.at_rest()
        answer = await made.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = parsed(answer.text)
        assert found["lastgood_live_release"] == {"": 1.0}
        assert found["lastgood_proxy_connected"] == {'proxy="one"': 1.0, 'proxy="two"': 1.0}
        assert found["lastgood_deployments"]['intent="rollback",outcome="done"'] == 1.0
        assert found["lastgood_deployment_active"] == {"": 0.0}
        assert set(found["lastgood_convergence_seconds"]) == {'intent="deploy"', 'intent="rollback"'}


def parsed(text: str) -> dict[str, dict[str, float]]:
    """The exposition format, strictly: help and type before the samples of a name, each name once."""
    found: dict[str, dict[str, float]] = {}
    told: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            told.append(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            is_counter = told[-1].endswith("_total") and told[-1] != "lastgood_releases_total"
            assert line.split(" ") == ["#", "TYPE", told[-1], "counter" if is_counter else "gauge"]
        else:
            name, _, rest = line.rpartition(" ")
            name, _, labels = name.partition("{")
            assert name == told[-1]
            samples = found.setdefault(name, {})
            assert labels.rstrip("}") not in samples
            samples[labels.rstrip("}")] = float(rest)
    assert len(told) == len(set(told))
    return found


def event(seq: int, deployment: int | None = 1, body: ev.Body | None = None) -> ev.Event:
    return ev.Event(seq, 1, deployment, AT, body or ev.Noted(f"note {seq}"))


async def test_the_feed_tells_what_is_kept_then_what_comes_then_ends() -> None:
    feed = Feed()
    for seq in range(1, 4):
        feed.publish(event(seq))
    told: list[int] = []

    async def listen(after: int, deployment: int | None) -> None:
        async for line in feed.follow(after, deployment):
            told.append(line["seq"])  # noqa: PERF401 it has to be seen while it goes on

    listening = asyncio.create_task(listen(1, 1))
    await asyncio.sleep(0)
    feed.publish(event(4, deployment=2))
    feed.publish(event(5))
    await asyncio.sleep(0.01)
    feed.close()
    await asyncio.wait_for(listening, 5)
    assert told == [2, 3, 5]


async def test_the_feed_keeps_a_bounded_number() -> None:
    feed = Feed()
    for seq in range(1, 3 * KEPT):
        feed.publish(event(seq))
    assert KEPT <= len(feed._events) <= 2 * KEPT
    assert feed._events[-1].seq == 3 * KEPT - 1


async def test_events_over_http_are_one_object_a_line() -> None:
    async with served() as made:
        made.feed.publish(event(1, body=ev.StepEnded("shift", {"took_ms": 1.5})))
        made.feed.publish(event(2, deployment=None))
        reading = asyncio.create_task(made.client.get("/v1/events?after=0"))
        await asyncio.sleep(0.02)
        made.feed.close()
        lines = (await asyncio.wait_for(reading, 5)).text.splitlines()
        assert [json.loads(line) for line in lines] == [
            as_json(event(1, body=ev.StepEnded("shift", {"took_ms": 1.5}))),
            as_json(event(2, deployment=None)),
        ]
        assert json.loads(lines[0])["at"] == "2023-11-14T22:13:20.000Z"


async def test_what_is_not_there_and_what_is_lacking_are_errors_like_all_others() -> None:
    async with served() as made:
        code, error = await made.refused("/v1/nothing")
        assert (code, error["what"]) == (404, "there is no POST /v1/nothing")
        assert "openapi.json" in error["next"]
        code, error = await made.refused("/v1/status")
        assert (code, error["what"]) == (405, "there is no POST /v1/status")
        answer = await made.client.post("/v1/mark")
        assert answer.status_code == 422
        assert answer.json()["error"]["what"].startswith("body: ")


async def test_logs_and_the_doctor_are_asked_on_the_machine_they_are_of(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / ".lastgood")
    prepare(places)
    SecretStore(places.secrets).set("key", "canary-4711")
    (places.logs / "controller.log").write_text("first\nsecond with canary-4711\nthird\n")
    look = MachineLooks(places)
    async with controlled() as shop:
        control = Control(Feed(), stop=lambda: None, refresh=lambda: None, about=dict, look=look)
        transport = httpx.ASGITransport(make_app(shop.verbs, control), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://lastgood") as client:
            said = (await client.get("/v1/logs/controller?lines=2")).json()
            assert said["lines"] == ["second with [redacted]", "third"]
            unknown = await client.get("/v1/logs/nobody")
            assert (unknown.status_code, "there is no log of 'nobody'" in unknown.text) == (400, True)
            assert (await client.get("/v1/logs/controller?lines=-1")).status_code == 422
            checks = (await client.get("/v1/doctor")).json()["checks"]
            assert {"name", "level", "what", "next"} <= checks[0].keys()
            assert "secrets" in {check["name"] for check in checks}
