"""The relay of the examples, as Alertmanager calls it: real sockets on both sides; forged and flooded, too."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from lastgood import bootstrap
from lastgood.effects.secrets import SecretStore
from lastgood.interfaces.http.alerts import KEY, PER_MINUTE, AlertDoor
from lastgood.interfaces.http.app import Control, make_app
from lastgood.interfaces.http.events import Feed
from lastgood.interfaces.http.listening import SocketServer
from lastgood.operations.deploy import DeployAsk
from lastgood.settings import Places, prepare
from tests.operations.controller import Controlled, controlled

FILE = Path(__file__).parents[2] / "examples" / "alertmanager" / "relay.py"
FIRING = {"status": "firing", "labels": {"alertname": "Broken", "lastgood": "rollback", "release": "r2"}}
TOKEN = "the relay's"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("relay", FILE)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@dataclass
class Relayed:
    """A controller with two releases, its API on its socket, and the relay in front."""

    shop: Controlled
    port: int

    async def call(self, body: bytes, token: str = TOKEN) -> int:
        return await asyncio.to_thread(self._call, body, token)

    def _call(self, body: bytes, token: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/", body, {"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


@asynccontextmanager
async def relayed(folder: Path) -> AsyncIterator[Relayed]:
    places = Places(folder, folder / ".lastgood")
    prepare(places)
    SecretStore(places.secrets).set("alerts", "a long random text")
    async with controlled() as shop:
        for path in ("/one", "/two"):
            shop.commit(path)
            await shop.verbs.deploy("main", DeployAsk(by="test"))
            await shop.at_rest()
        door = AlertDoor(partial(SecretStore(places.secrets).resolve, KEY))
        control = Control(Feed(), stop=lambda: None, refresh=lambda: None, about=dict, door=door)
        server = SocketServer(make_app(shop.verbs, control), bootstrap.api_socket(places))
        serving = asyncio.create_task(server.serve())
        made = loaded().relay(places, TOKEN)
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            while not bootstrap.api_socket(places).exists():
                await asyncio.sleep(0.01)
            yield Relayed(shop, made.server_address[1])
        finally:
            made.shutdown()
            made.server_close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_an_alert_takes_the_release_back(tmp_path: Path) -> None:
    async with relayed(tmp_path) as it:
        assert await it.call(json.dumps({"alerts": [FIRING]}).encode()) == 200
        await it.shop.until(lambda state: state.deployment is None and state.live == 1)
        assert it.shop.state.verdict(2).name == "bad"


async def test_without_the_token_nothing_gets_through(tmp_path: Path) -> None:
    async with relayed(tmp_path) as it:
        assert await it.call(json.dumps({"alerts": [FIRING]}).encode(), "guessed") == 401
        assert await it.call(b"x" * (257 * 1024)) == 413
        assert await it.call(b"no json") == 400
        assert it.shop.state.live == 2


async def test_a_flood_is_turned_away_and_told_so(tmp_path: Path) -> None:
    async with relayed(tmp_path) as it:
        resolved = [json.dumps({"alerts": [{**FIRING, "status": "resolved", "n": n}]}).encode() for n in range(40)]
        found = [await it.call(body) for body in resolved]
        assert found[:PER_MINUTE] == [200] * PER_MINUTE
        assert set(found[PER_MINUTE:]) == {503}, "Alertmanager tries again"
        assert it.shop.state.live == 2
