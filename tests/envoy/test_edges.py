"""Binary, bootstrap, admin socket, counters and the ADS socket, each by itself."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import grpc
import pytest

from lastgood.effects.envoy.admin import Admin
from lastgood.effects.envoy.binary import find_envoy
from lastgood.effects.envoy.bootstrap import Proxy, argv, bootstrap
from lastgood.effects.envoy.counters import confirm_silent, read_counts
from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.effects.envoy.server import AdsServer
from lastgood.effects.envoy.wire import METHOD, SERVICE
from lastgood.errors import Conflict, Unavailable
from lastgood.gateway.runtime import runtime_resource
from tests.envoy.handmade import world
from tests.envoy.machines import Machine, until
from tests.envoy.test_compiled import compiler

# --- binary ----------------------------------------------------------------------------------------------------------


def test_the_variable_names_the_binary(tmp_path: Path) -> None:
    mine = tmp_path / "my-envoy"
    mine.write_text("")
    with pytest.raises(Unavailable, match="not an executable") as problem:
        find_envoy({"LASTGOOD_ENVOY": str(mine)})
    assert "LASTGOOD_ENVOY" in (problem.value.next or "")
    mine.chmod(0o755)
    assert find_envoy({"LASTGOOD_ENVOY": str(mine)}) == mine


def test_the_wheel_comes_next() -> None:
    assert find_envoy({"PATH": ""}).parts[-4:] == ("site-packages", "envoy", "_bin", "envoy")


# --- bootstrap -------------------------------------------------------------------------------------------------------


def test_envoy_takes_the_bootstrap(tmp_path: Path) -> None:
    proxy = Proxy("one", tmp_path / "ads.sock", tmp_path / "admin.sock", concurrency=2)
    path = tmp_path / "bootstrap.json"
    path.write_text(bootstrap(proxy))
    command = [*argv(find_envoy(), path, proxy), "--mode", "validate"]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def test_the_bootstrap_has_no_port_and_no_admin_layer() -> None:
    made = json.loads(bootstrap(Proxy("one", Path("/x/ads.sock"), Path("/x/admin.sock"))))
    assert "socket_address" not in json.dumps(made)
    assert made["admin"]["address"]["pipe"]["mode"] == 0o600
    assert [layer["name"] for layer in made["layered_runtime"]["layers"]] == ["lastgood"]
    assert bootstrap(Proxy("one", Path("/a"), Path("/b"))) == bootstrap(Proxy("one", Path("/a"), Path("/b")))


# --- admin -----------------------------------------------------------------------------------------------------------


async def test_a_real_admin_socket(machine: Machine) -> None:
    fleet = Fleet(["one"])
    server = AdsServer(machine.ads_socket, fleet)
    await server.start()
    process = await machine.envoy("one")
    admin = Admin(machine.proxy("one").admin_socket)
    assert not await admin.ready()
    await fleet.connected(10)
    await fleet.push(world(machine.port, {f"h{i}": "x" for i in range(200)}))
    await machine.ready("one")
    assert (await admin.server_info())["state"] == "LIVE"
    assert await admin.stats("runtime.num_layers") == {"runtime.num_layers": 1}
    assert len(await admin.stats(".*")) > 100
    await admin.drain()
    await admin.quit()
    await until(lambda: not process.running())
    with pytest.raises(Unavailable, match=r"one\.sock"):
        await admin.stats("x")
    await server.stop()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n", None])
async def test_an_admin_socket_that_answers_nonsense_is_unavailable(machine: Machine, answer: bytes | None) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await asyncio.sleep(1)
        else:
            writer.write(answer)
        writer.close()

    path = machine.folder / "x.sock"
    server = await asyncio.start_unix_server(talk, path)
    with pytest.raises(Unavailable):
        await Admin(path, timeout_s=0.1).stats("x")
    server.close()


# --- counters --------------------------------------------------------------------------------------------------------


async def test_not_knowing_is_not_zero(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await read_counts({"one": Admin(tmp_path / "nothing.sock")})


async def test_silence_is_measured_and_survives_a_restart_of_a_proxy() -> None:
    readings = iter([{"a": {1: 100}, "b": {1: 50}}, {"a": {1: 100}, "b": {1: 2}, "c": {1: 1}}])
    slept: list[float] = []

    async def read() -> dict[str, dict[int, int]]:
        return next(readings)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    silence = await confirm_silent(read, 1, 0.5, sleep)
    assert (silence.requests, silence.silent, silence.proxies, slept) == (3, False, ("a", "b", "c"), [0.5])


async def test_nobody_to_ask_is_not_silence() -> None:
    async def read() -> dict[str, dict[int, int]]:
        return {}

    assert not (await confirm_silent(read, 1, 0.0)).silent


# --- the ADS socket --------------------------------------------------------------------------------------------------


async def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(machine: Machine) -> None:
    path = machine.ads_socket
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    first, second = AdsServer(path, Fleet()), AdsServer(path, Fleet())
    third = AdsServer(path, Fleet(), take_over=True)
    try:
        await first.start()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with pytest.raises(Conflict, match="another controller"):
            await second.start()
        await third.start()
        await first.stop()
        assert path.exists(), "the first controller must not take away the socket of the one that took over"
    finally:  # a server that is left running keeps the test run from ending
        for server in (first, second, third):
            await server.stop()
    assert list(machine.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/ads.sock", "x" * 120])
async def test_a_socket_that_cannot_be_made_is_unavailable(machine: Machine, name: str) -> None:
    with pytest.raises(Unavailable) as problem:
        await AdsServer(machine.folder / name, Fleet()).start()
    assert problem.value.next


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b""])
async def test_garbage_on_the_socket_ends_that_stream_only(machine: Machine, message: bytes) -> None:
    fleet = Fleet()
    server = AdsServer(machine.ads_socket, fleet)
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{machine.ads_socket}") as channel:
        stream = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        await stream.write(message)
        with pytest.raises(grpc.aio.AioRpcError) as problem:
            await asyncio.wait_for(stream.read(), 5)
    assert problem.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert fleet.states() == ()
    await server.stop()


async def test_nothing_of_a_stream_is_left_when_the_proxies_are_let_go(machine: Machine) -> None:
    """gRPC prints a traceback for each of its tasks that the end of the event loop cancels."""
    proxies = EnvoyProxies([machine.proxy("one")], compiler(), runtime=runtime_resource)
    await proxies.start()
    await machine.envoy("one")
    await proxies.fleet.connected(10)
    before = [task for task in asyncio.all_tasks() if "rpc" in name_of(task)]
    await proxies.stop()
    assert before
    assert [name for task in asyncio.all_tasks() if "rpc" in (name := name_of(task)) or name == "_write"] == []


def name_of(task: asyncio.Task[object]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", ""))
