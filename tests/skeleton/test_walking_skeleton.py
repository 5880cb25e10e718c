"""ONE plan moves a gateway route (real Envoy), a process and an SQLite schema, forward and back, through one engine.

It keeps the engine from becoming a pusher of routes. What a crash at every step does is told by ``tests/simulation``.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lastgood.config.configuration import Configuration, make_entry
from lastgood.config.model import Health, Route, Service, Upstream
from lastgood.config.model import Listener as ListenerSection
from lastgood.effects.envoy.bootstrap import Proxy
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.effects.envoy.snapshots import Snapshots
from lastgood.effects.envoy.supervised import ensure_proxies
from lastgood.effects.gateway import GatewayDriver
from lastgood.effects.instances.launch import Launch
from lastgood.effects.instances.ports import free_port
from lastgood.effects.journal.sqlite import SqliteJournal
from lastgood.effects.processes.client import SupervisedProcesses, ensure_supervisor
from lastgood.effects.services import ServiceDriver
from lastgood.effects.system_clock import SystemClock
from lastgood.gateway.runtime import runtime_resource
from lastgood.operations.deploy import DeployAsk, Draft, deploy
from lastgood.operations.loop import Loop
from lastgood.operations.rollback import RollbackAsk, rollback
from lastgood.operations.world import World
from lastgood.release.observed import Fact
from lastgood.release.step import Step

SERVER = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *parts): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
MIGRATIONS = {
    "001": ("CREATE TABLE item (id INTEGER PRIMARY KEY)", "DROP TABLE item"),
    "002": ("ALTER TABLE item ADD COLUMN price INTEGER", "ALTER TABLE item DROP COLUMN price"),
}


class SqliteSchema:
    """Real migrations of a real database file, as plain as they can be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE applied (version TEXT PRIMARY KEY)")

    def versions(self) -> list[str]:
        with sqlite3.connect(self.path) as db:
            return [row[0] for row in db.execute("SELECT version FROM applied ORDER BY version")]

    def columns(self) -> list[str]:
        with sqlite3.connect(self.path) as db:
            return [row[1] for row in db.execute("PRAGMA table_info(item)")]

    async def observe(self) -> Sequence[Fact]:
        return [Fact("database:main", "schema", (["", *self.versions()])[-1])]

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        with sqlite3.connect(self.path) as db:
            applied = self.versions()
            for version, (up, down) in sorted(MIGRATIONS.items(), reverse=step.verb == "migrate_down"):
                if step.verb == "migrate_up" and version not in applied and version <= step.args["to"]:
                    db.execute(up)
                    db.execute("INSERT INTO applied VALUES (?)", (version,))
                if step.verb == "migrate_down" and version in applied and version > step.args["to"]:
                    db.execute(down)
                    db.execute("DELETE FROM applied WHERE version = ?", (version,))
        return {}


@dataclass
class Shop:
    loop: Loop
    journal: SqliteJournal
    configurations: dict[int, Configuration]
    services: ServiceDriver
    schema: SqliteSchema
    port: int

    def configuration(self, word: str) -> Configuration:
        entries = [
            make_entry("listener:web", ListenerSection(port=self.port)),
            make_entry("route:all", Route(name="all", to="catalog", public=True)),
            make_entry("service:catalog", Service(source="catalog", command=("server", word))),
            make_entry("upstream:unused", Upstream(endpoints=("127.0.0.1:1",))),
        ]
        return Configuration("shop", {entry.key: entry for entry in entries})

    async def deploy(self, word: str, schema: str) -> None:
        digest = word.encode().hex() * 4
        parts = {"gateway": f"routes-{word}", "service:catalog": digest, "database:main": schema}
        draft = Draft("shop", None, word, None, parts, {}, {"main": schema}, 0.3, {"catalog": 2}, {"catalog": 0.2})
        number = len(self.loop.state.releases) + 1
        self.configurations[number] = self.configuration(word)
        await self.loop.ask(lambda view: deploy(draft, DeployAsk(by="test"), self.journal.put_release, view))
        await self.at_rest()

    async def rollback(self) -> None:
        ask = RollbackAsk(by="test", with_schema=True)
        await self.loop.ask(lambda view: rollback(ask, lambda text: None, lambda a, b: (), view))
        await self.at_rest()

    async def at_rest(self) -> None:
        async with asyncio.timeout(30):
            while self.loop.state.deployment is not None:
                assert self.loop.state.deployment.halted is None, self.loop.state.deployment.halted
                await asyncio.sleep(0.02)

    def ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/anything")
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    processes = await ensure_supervisor(str(folder))
    clock, journal = SystemClock(), SqliteJournal(tmp_path / "journal.db")
    processes.epoch = journal.take_over("test", clock.now(), is_alive=False)
    (tmp_path / "server.py").write_text(SERVER)
    expected = (Proxy("proxy-1", folder / "ads.sock", folder / "proxy-1.sock"),)
    snapshots = Snapshots(lambda reference: reference, folder / "slots.json")
    proxies = EnvoyProxies(expected, snapshots.build, runtime=runtime_resource)
    configurations: dict[int, Configuration] = {}
    loops: list[Loop] = []

    def launch(name: str, digest: str, release: int) -> Launch:
        word = configurations[release].services[name].command[1]
        argv = (sys.executable, "-u", str(tmp_path / "server.py"), word)
        return Launch(argv, tmp_path, tmp_path, Health(path="/healthz"), {"HOME": os.environ.get("HOME", "/")})

    def endpoints(number: int) -> Mapping[str, tuple[str, ...]]:
        digest = journal.release(number).parts["service:catalog"]
        return {"catalog": tuple(loops[0].observed.value("service:catalog", f"endpoints:{digest}", []))}

    services, schema = ServiceDriver(processes, launch), SqliteSchema(tmp_path / "shop.db")
    drivers = {
        "gateway": GatewayDriver(proxies, configurations.__getitem__, endpoints),
        "service": services,
        "database": schema,
    }
    loop = Loop(World(clock, journal, drivers))
    loops.append(loop)
    loop.recover(os.getpid())
    await proxies.start()
    await ensure_proxies(processes, expected, folder)
    running = asyncio.create_task(loop.run())
    try:
        yield Shop(loop, journal, configurations, services, schema, free_port())
    finally:
        loop.stop()
        await running
        await proxies.stop()
        await _end(processes)


async def _end(processes: SupervisedProcesses) -> None:
    await processes.shutdown(keep=False)


async def test_one_plan_moves_route_process_and_schema_forward_and_back(shop: Shop) -> None:
    await shop.deploy("one", "001")
    assert (shop.ask(), shop.schema.versions()) == ("one", ["001"])
    await shop.deploy("two", "002")
    assert (shop.ask(), shop.schema.columns()) == ("two", ["id", "price"])
    plan = shop.loop.state.deployments[2].plan
    assert plan is not None
    assert {step.part.partition(":")[0] for step in plan.steps} == {"database", "service", "gateway"}
    assert shop.loop.state.verdict(2).name == "good"

    await shop.rollback()
    assert shop.ask() == "one"
    assert shop.schema.columns() == ["id"], "the schema went back too, last"
    assert shop.loop.state.live == 1
    back = shop.loop.state.deployments[3].plan
    assert back is not None
    order = [step.verb for step in back.steps]
    assert order.index("start") < order.index("serve") < order.index("stop") < order.index("migrate_down")
    facts = {fact.key: fact.value for fact in await shop.services.observe()}
    assert sum(value for key, value in facts.items() if key.startswith("wanted:")) == 2
