"""The contract of ``ports.Proxies``, kept by the fake and by real Envoys."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from lastgood.config.configuration import Configuration
from lastgood.effects.envoy.preflight import Preflight
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.gateway.snapshot import Generation
from lastgood.testing.contracts.proxies import CLAUSES, Subject
from lastgood.testing.fake_proxies import FakeProxies
from tests.envoy.handmade import Builder, runtime
from tests.envoy.machines import Machine, Process, Upstream, get, until

EMPTY = Configuration("shop", {})


class Fake:
    timeout_s = 0.01

    def __init__(self) -> None:
        self.proxies = FakeProxies(timeout_s=self.timeout_s)
        self.proxies.refuse(66)

    def generation(self, release: int) -> Generation:
        return Generation(release, EMPTY)

    async def send(self, count: int) -> dict[int, int]:
        there = [state.name for state in self.proxies.states() if state.connected]
        answered: dict[int, int] = {}
        for number in range(count):
            for release, one in self.proxies.request(there[number % len(there)]).items():
                answered[release] = answered.get(release, 0) + one
        return answered

    async def hang(self, name: str) -> None:
        self.proxies.hang(name)

    async def vanish(self, name: str) -> None:
        self.proxies.vanish(name)

    async def heal(self, name: str) -> None:
        self.proxies.heal(name)


class Real:
    timeout_s = 1.0

    def __init__(self, machine: Machine) -> None:
        self.machine, self.upstream = machine, Upstream()
        self.processes: dict[str, Process] = {}

    async def start(self) -> None:
        await self.upstream.start()
        build = Builder(self.machine.port, bad=[66], upstream=self.upstream.port)
        preflight = Preflight(self.machine.folder, self.machine.launcher)
        both = [self.machine.proxy(name) for name in ("one", "two")]
        self.proxies = EnvoyProxies(
            both, build, runtime=runtime, preflight=preflight, timeout_s=self.timeout_s, grace_s=0.2
        )
        await self.proxies.start()
        for name in ("one", "two"):
            self.processes[name] = await self.machine.envoy(name)
        assert await self.proxies.fleet.connected(10)

    async def stop(self) -> None:
        await self.proxies.stop()
        await self.upstream.stop()

    def generation(self, release: int) -> Generation:
        return Generation(release, EMPTY)

    async def send(self, count: int) -> dict[int, int]:
        answered: dict[int, int] = {}
        for _ in range(count):
            status, text = await get(self.machine.port, "shop")
            assert status == 200
            answered[int(text[1:])] = answered.get(int(text[1:]), 0) + 1
        return answered

    async def hang(self, name: str) -> None:
        self.processes[name].signal(signal.SIGSTOP)
        # Its share of the shared port would hang requests with it: the contract is about the others' convergence.
        await asyncio.sleep(0)

    async def vanish(self, name: str) -> None:
        await self.processes[name].stop()
        await until(lambda: not self._state(name)[0])

    async def heal(self, name: str) -> None:
        if self.processes[name].running():
            self.processes[name].signal(signal.SIGCONT)
        else:
            self.processes[name] = await self.machine.envoy(name)
        assert self.proxies.fleet.target
        digest = self.proxies.fleet.target.digest
        await until(lambda: self._state(name) == (True, digest))
        await self.machine.ready(name)

    def _state(self, name: str) -> tuple[bool, str | None]:
        return next((s.connected, s.acknowledged) for s in self.proxies.states() if s.name == name)


@pytest.fixture(params=["fake", "real"])
async def subject(request: pytest.FixtureRequest, machine: Machine) -> AsyncIterator[Subject]:
    if request.param == "fake":
        yield Fake()
        return
    real = Real(machine)
    await real.start()
    yield real
    await real.stop()


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_contract(subject: Subject, clause: object) -> None:
    assert callable(clause)
    await clause(subject)
