"""The gateway of this machine moves a function's requests as a platform does that moves its own."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lastgood.config.configuration import Configuration
from lastgood.config.model import Function, Listener, Route
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.effects.functions.local import LocalFunctions
from lastgood.errors import UsageError
from lastgood.gateway.runtime import runtime_resource
from lastgood.gateway.snapshot import Generation, Traffic
from lastgood.ports import FunctionAnswer, FunctionRequest
from lastgood.ports.functions import refuse_odd
from lastgood.testing.contracts.function_traffic import CLAUSES, TrafficWorld
from lastgood.testing.fake_functions import FakeFunctions
from tests.envoy.machines import Machine
from tests.envoy.test_compiled import compiler, configuration
from tests.functions.test_contract import local, root

__all__ = ["root"]
CODE = """
def app(event, context):
    return {{"statusCode": 200, "headers": {{"x-word": {word!r}}}, "body": ""}}
"""
BROKEN = "raise RuntimeError('it cannot start')\n"


class GatewayTraffic:
    """``ports.FunctionTraffic`` by a real Envoy: two versions are two generations of the route to the function."""

    def __init__(self, functions: LocalFunctions, folder: Path) -> None:
        self._functions, self._machine = functions, Machine(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._proxies = EnvoyProxies([self._machine.proxy("one")], compiler(), runtime=runtime_resource)
        self._shares: Mapping[str, float] = {}
        self._numbers: dict[str, int] = {}

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    @contextmanager
    def running(self) -> Iterator[GatewayTraffic]:
        self._thread.start()
        try:
            self._run(self._open())
            yield self
        finally:
            self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _open(self) -> None:
        await self._proxies.start()
        await self._machine.envoy("one")
        await self._proxies.fleet.connected(10)

    async def _close(self) -> None:
        await self._proxies.stop()
        await self._machine.launcher.stop()

    def shift(self, name: str, shares: Mapping[str, float]) -> None:
        refuse_odd(shares)
        made = {digest: self._generation(name, digest) for digest in shares}
        stays = next((digest for digest in self._shares if digest in shares), next(iter(shares)))
        comes = next((digest for digest in shares if digest != stays), None)
        candidate = made[comes] if comes is not None else None
        self._run(self._proxies.serve(Traffic(made[stays], candidate, shares[comes] if comes is not None else 0.0)))
        if not self._shares:
            self._run(self._machine.ready("one"))
        self._shares = dict(shares)

    def _generation(self, name: str, digest: str) -> Generation:
        address = self._functions.activate(name, digest).removeprefix("http://")
        number = self._numbers.setdefault(digest, len(self._numbers) + 1)
        return Generation(number, self._configuration(name), {name: (address,)}, {name: digest})

    def _configuration(self, name: str) -> Configuration:
        route = Route.model_validate({"name": "all", "match": {"host": "shop.example"}, "to": name, "public": True})
        function = Function.model_validate({"source": "functions/price"})
        listener = ("listener:web", Listener(port=self._machine.port))
        return configuration(listener, (f"function:{name}", function), ("route:all", route))

    def shares(self, name: str) -> Mapping[str, float]:
        return self._shares

    def ask(self, name: str, request: FunctionRequest) -> FunctionAnswer:
        if not self._shares:
            raise UsageError("no version has traffic")
        began_s = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._machine.port, timeout=10)
        try:
            connection.request(request.method, request.path, request.body, {"host": "shop.example"})
            got = connection.getresponse()
            return FunctionAnswer(got.status, tuple(got.getheaders()), got.read(), (time.monotonic() - began_s) * 1000)
        finally:
            connection.close()


@pytest.mark.parametrize("kind", ["fake", "gateway"])
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_contract(clause: Callable[[TrafficWorld], None], kind: str, root: Path) -> None:
    folder, machine = root / "code", root / "gateway"
    folder.mkdir()
    machine.mkdir()
    settings: dict[str, object] = {"source": "functions/price"}
    parts = (folder, settings, lambda word: CODE.format(word=word), BROKEN)
    if kind == "fake":
        platform = FakeFunctions()
        clause(TrafficWorld(platform, platform, *parts))
        return
    functions = local(root)
    with GatewayTraffic(functions, machine).running() as traffic:
        clause(TrafficWorld(functions, traffic, *parts))
