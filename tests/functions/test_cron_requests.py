"""A function whose time has come: what it gets, in every form of a function, and that nobody else can say so."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lastgood.effects.functions.calling import FunctionCaller
from lastgood.effects.functions.cron_request import TOKEN_HEADER, token_of
from lastgood.effects.functions.worker_build import build_worker
from lastgood.effects.functions.worker_runtime import worker_argv
from lastgood.ports import CronTrigger, Fired
from tests.functions.running import Running

AT = datetime(2026, 11, 23, 4, 5, tzinfo=UTC)
HANDLER = """
import json
SEEN = []
def app(event, context):
    if event.get("source") == "aws.events":
        SEEN.append([event["detail-type"], event["time"], event["resources"][0].rpartition("/")[2]])
        return "nobody reads this"
    return {"statusCode": 200, "body": json.dumps(SEEN)}
"""
APPLICATION = """
import json
SEEN = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/clean":
        SEEN.append([environ["REQUEST_METHOD"], environ.get("HTTP_AUTHORIZATION"), environ["HTTP_USER_AGENT"]])
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps(SEEN).encode()]
"""
OBJECT = """
const seen = [];
export default {
  async fetch() { return Response.json(seen); },
  async scheduled(event, env, ctx) {
    ctx.waitUntil(Promise.resolve());
    seen.push([event.cron, event.scheduledTime, env.WORD]);
  },
};
"""
CLASS = """
import { WorkerEntrypoint } from "cloudflare:workers";
const seen = [];
export default class extends WorkerEntrypoint {
  async fetch() { return Response.json(seen); }
  async scheduled(event) { seen.push([event.cron, event.scheduledTime, this.env.WORD]); }
}
"""
WRANGLER = {
    "main": "index.js",
    "compatibility_date": "2026-07-01",
    "vars": {"WORD": "hello"},
    "triggers": {"crons": ["5 4 * * 2"]},
}


def fire(running: Running, root: Path, path: str = "/", said: str = "5 4 * * 1", **environment: str) -> Fired:
    caller = FunctionCaller(root, lambda name, digest: [f"127.0.0.1:{running.port}"], lambda name: environment)
    return asyncio.run(caller.fire(CronTrigger("price", "d" * 64, said, said, path, 5.0), AT))


def test_a_handler_gets_the_event_of_a_schedule(tmp_path: Path) -> None:
    env = {"LASTGOOD_CRON": token_of(tmp_path, "price", "d" * 64)}
    with Running({"main.py": HANDLER}, env=env) as running:
        fired = fire(running, tmp_path)
        assert (fired.ok, fired.detail) == (True, "answered with 204")
        assert json.loads(running.request().body) == [["Scheduled Event", "2026-11-23T04:05:00Z", "5 4 * * 1"]]


def test_an_application_is_asked_for_its_path(tmp_path: Path) -> None:
    with Running({"main.py": APPLICATION}) as running:
        assert fire(running, tmp_path, "/clean", CRON_SECRET="hush").ok
        assert fire(running, tmp_path, "/clean").ok
        told = json.loads(running.request().body)
        assert told == [["GET", "Bearer hush", "lastgood-cron/1.0"], ["GET", None, "lastgood-cron/1.0"]]


@pytest.mark.usefixtures("worker_runtime")
@pytest.mark.parametrize("code", [OBJECT, CLASS], ids=["object", "class"])
def test_a_worker_gets_its_scheduled_event(tmp_path: Path, code: str) -> None:
    (tmp_path / "index.js").write_text(code)
    (tmp_path / "wrangler.json").write_text(json.dumps(WRANGLER))
    build_worker(tmp_path)
    env = {"LASTGOOD_CRON": token_of(tmp_path / "keys", "price", "d" * 64)}
    with Running({}, bundle=tmp_path, argv=worker_argv(tmp_path), tidy=False, env=env) as running:
        assert fire(running, tmp_path / "keys", said="5 4 * * 2").ok
        assert json.loads(running.request().body) == [["5 4 * * 2", int(AT.timestamp() * 1000), "hello"]]


@pytest.mark.usefixtures("worker_runtime")
def test_a_worker_without_the_handler_says_so(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("export default { fetch() { return new Response('hi'); } };")
    (tmp_path / "wrangler.json").write_text(json.dumps(WRANGLER))
    build_worker(tmp_path)
    env = {"LASTGOOD_CRON": token_of(tmp_path / "keys", "price", "d" * 64)}
    with Running({}, bundle=tmp_path, argv=worker_argv(tmp_path), tidy=False, env=env) as running:
        assert fire(running, tmp_path / "keys") == Fired(False, "answered with 501", pytest.approx(0, abs=1e4))
        assert running.request().body == b"hi"


@pytest.mark.parametrize("token", ["", "guessed", None])
def test_nobody_else_can_say_that_it_is_time(tmp_path: Path, token: str | None) -> None:
    """Not even where the function has no schedule, and so no token."""
    env = {} if token is None else {"LASTGOOD_CRON": token_of(tmp_path, "price", "d" * 64)}
    with Running({"main.py": HANDLER}, env=env) as running:
        headers = {TOKEN_HEADER: token or "", "x-lastgood-cron-at": "0", "x-lastgood-cron-schedule": "* * * * *"}
        assert json.loads(running.request(headers=headers).body) == []
        assert json.loads(running.request().body) == []


def test_one_that_fails_or_is_not_there_is_told(tmp_path: Path) -> None:
    env = {"LASTGOOD_CRON": token_of(tmp_path, "price", "d" * 64)}
    with Running({"main.py": "def app(event, context): raise ValueError('no')"}, env=env) as running:
        assert fire(running, tmp_path).detail == "answered with 500"
    assert fire(running, tmp_path).detail == "it did not answer: ConnectionRefusedError"
    nowhere = FunctionCaller(tmp_path, lambda name, digest: [], lambda name: {})
    assert asyncio.run(nowhere.fire(CronTrigger("price", "d", "* * * * *", "* * * * *"), AT)).ok is False


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    assert token_of(tmp_path, "a", "1") == token_of(tmp_path, "a", "1")
    assert len({token_of(tmp_path, *version) for version in (("a", "1"), ("a", "2"), ("b", "1"))}) == 3
    assert (tmp_path / "cron.key").stat().st_mode & 0o777 == 0o600
    assert token_of(tmp_path / "other", "a", "1") != token_of(tmp_path, "a", "1")
