"""A refusal by the preflight proxy costs nobody anything, and says the truth again afterwards."""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lastgood.effects.envoy.admin import Admin
from lastgood.effects.envoy.preflight import Preflight
from lastgood.errors import Rejected, Unavailable
from lastgood.gateway.snapshot import SCOPE, Snapshot
from tests.envoy.handmade import scope, world
from tests.envoy.machines import Machine, free_port


@pytest.fixture
async def preflight(machine: Machine) -> AsyncIterator[Preflight]:
    preflight = Preflight(machine.folder, machine.launcher)
    yield preflight
    await preflight.stop()


async def test_good_bad_good_and_the_bad_half_that_was_mended(machine: Machine, preflight: Preflight) -> None:
    await preflight.check(world(machine.port, {"a": "old", "b": "old"}))
    with pytest.raises(Rejected, match=r"missing \]") as refusal:
        await preflight.check(world(machine.port, {"a": "new", "b": "new"}, bad=["b"]))
    assert refusal.value.where == "preflight proxy"
    await preflight.check(world(machine.port, {"a": "new", "b": "new"}))


async def test_its_listeners_bind_nothing(machine: Machine, preflight: Preflight) -> None:
    await preflight.check(world(machine.port, {"a": "old"}))
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", machine.port)
    assert await Admin(machine.folder / "preflight-admin.sock").stats("listener_manager.total_listeners_active") == {
        "listener_manager.total_listeners_active": 1
    }


async def test_an_answer_is_remembered(machine: Machine, preflight: Preflight) -> None:
    good, bad = world(machine.port, {"a": "x"}), world(machine.port, {"a": "x"}, bad=["a"])
    await preflight.check(good)
    with pytest.raises(Rejected):
        await preflight.check(bad)
    await machine.launcher.stop()
    await preflight.check(good)
    with pytest.raises(Rejected):
        await preflight.check(bad)
    assert len(machine.launcher.started) == 1


async def test_a_proxy_that_died_is_started_again(machine: Machine, preflight: Preflight) -> None:
    await preflight.check(world(machine.port, {"a": "1"}))
    machine.launcher.started[-1].signal(signal.SIGKILL)
    await preflight.check(world(machine.port, {"a": "2"}))
    with pytest.raises(Rejected):
        await preflight.check(world(machine.port, {"a": "3"}, bad=["a"]))
    assert len(machine.launcher.started) == 2


async def test_a_proxy_that_hangs_is_replaced(machine: Machine) -> None:
    preflight = Preflight(machine.folder, machine.launcher, timeout_s=1.0)
    try:
        await preflight.check(world(machine.port, {"a": "1"}))
        machine.launcher.started[-1].signal(signal.SIGSTOP)
        await preflight.check(world(machine.port, {"a": "2"}))
        assert len(machine.launcher.started) == 2
        assert not machine.launcher.started[0].running()
    finally:
        await preflight.stop()


async def test_a_proxy_that_does_not_start_says_where_to_look(machine: Machine) -> None:
    nothing = machine.folder / "nothing"
    nothing.write_text("#!/bin/sh\necho no such option\nexit 1\n")
    nothing.chmod(0o700)
    preflight = Preflight(machine.folder, machine.launcher, binary=nothing, timeout_s=0.3)
    try:
        with pytest.raises(Unavailable, match=r"preflight\.log"):
            await preflight.check(world(machine.port, {"a": "1"}))
    finally:
        await preflight.stop()


async def test_a_configuration_that_kills_the_proxy_is_refused(machine: Machine) -> None:
    mortal = machine.folder / "mortal"
    mortal.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("mortal_proxy.py").read_text())
    mortal.chmod(0o700)
    preflight = Preflight(machine.folder, machine.launcher, binary=mortal, timeout_s=10.0)
    try:
        await preflight.check(world(machine.port, {"a": "1"}))
        with pytest.raises(Rejected, match="dies of this"):
            await preflight.check(world(machine.port, {"deadly": "1"}))
        await preflight.check(world(machine.port, {"a": "2"}))
    finally:
        await preflight.stop()


@pytest.mark.parametrize(("hosts", "routes"), [(1000, 10)])
async def test_one_scope_of_many_is_judged_quickly(
    machine: Machine, preflight: Preflight, hosts: int, routes: int
) -> None:
    big = world(free_port(), {f"h{i}": "old" for i in range(hosts)}, routes=routes)
    await preflight.check(big)
    took_ms, refused = [], []
    for number in range(15):
        changed = scope("h500", f"new {number}", routes=routes, bad=number % 5 == 4)
        scopes = {**big.resources[SCOPE], "h500": changed}
        state = Snapshot({**big.resources, SCOPE: scopes}, f"digest {number}")
        started_s = time.perf_counter()
        try:
            await preflight.check(state)
        except Rejected:
            refused.append(number)
        took_ms.append((time.perf_counter() - started_s) * 1000)
    assert refused == [4, 9, 14]
    print(
        f"\npreflight, one of {hosts * routes} routes: p50 {statistics.median(took_ms):.1f} max {max(took_ms):.1f} ms"
    )
    assert statistics.median(took_ms) < 50, "an order of magnitude above what is measured alone on a machine"
