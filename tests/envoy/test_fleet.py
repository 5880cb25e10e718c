"""The fleet without sockets: scripted proxies answer as slowly as a test needs."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lastgood.config.configuration import Configuration
from lastgood.effects.envoy.fleet import Fleet
from lastgood.effects.envoy.link import Link
from lastgood.effects.envoy.proxies import EnvoyProxies
from lastgood.errors import Conflict, Rejected
from lastgood.gateway.messages import Request
from lastgood.gateway.snapshot import CLUSTER, LISTENER, RUNTIME, RUNTIME_LAYER, SCOPE, Generation, Snapshot, Traffic
from tests.envoy.handmade import Builder, cluster, runtime, world
from tests.envoy.machines import Machine


class Script:
    """A proxy that answers when ``go`` is set; it lists the types it was told."""

    def __init__(self, fleet: Fleet, name: str, *, refuses: str | None = None) -> None:
        self.fleet, self.name, self.refuses = fleet, name, refuses
        self.go = asyncio.Event()
        self.go.set()
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self.link: Link = fleet.connect(name)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        for url in (CLUSTER, LISTENER, SCOPE):
            self.link.receive(Request(url))
        self.link.receive(Request(RUNTIME, subscribe=(RUNTIME_LAYER,)))
        while response := await self.link.outbox.get():
            self.told.append((response.type_url.rpartition(".")[2], response.removed))
            await self.go.wait()
            words = self.refuses if response.type_url == SCOPE else None
            self.link.receive(Request(response.type_url, nonce=response.nonce, error=words))

    def end(self) -> None:
        self._task.cancel()
        self.fleet.disconnect(self.link)


def state(text: str, *clusters: str, percent: float = 0.0) -> Snapshot:
    made = [cluster(name, 9) for name in clusters]
    return world(1, {"a": text}, clusters=made, key=runtime(2, percent))


async def test_nothing_is_removed_anywhere_before_every_proxy_has_the_new_scopes() -> None:
    fleet = Fleet(["quick", "slow"])
    quick, slow = Script(fleet, "quick"), Script(fleet, "slow")
    await fleet.push(state("old", "c-old"))
    slow.go.clear()
    push = asyncio.create_task(fleet.push(state("new", "c-new")))
    await asyncio.sleep(0.05)
    assert quick.link.conversation.effective
    assert ("Cluster", ("c-old",)) not in quick.told
    slow.go.set()
    proof = await push
    assert ("Cluster", ("c-old",)) in quick.told
    assert ("Cluster", ("c-old",)) in slow.told
    assert proof.details["settled_ms"] >= proof.took_ms


async def test_a_silent_proxy_is_away_after_the_timeout_and_catches_up_later() -> None:
    fleet = Fleet(["good", "silent"], timeout_s=0.1)
    good, silent = Script(fleet, "good"), Script(fleet, "silent")
    await fleet.push(state("old", "c-old"))
    silent.go.clear()
    started_s = time.monotonic()
    proof = await fleet.push(state("new", "c-new"))
    assert 0.09 < time.monotonic() - started_s < 1.0
    assert (proof.acknowledged, proof.away, proof.details["silent"]) == (("good",), ("silent",), ["silent"])
    silent.go.set()
    await asyncio.sleep(0.05)
    assert {state.acknowledged for state in fleet.states()} == {proof.digest}
    assert ("Cluster", ("c-old",)) in silent.told, "what it does not need any more goes when it is there"
    assert good.told


async def test_a_proxy_that_was_just_lost_is_waited_for_a_moment() -> None:
    fleet = Fleet(["here", "lost", "never"], timeout_s=5, grace_s=0.2)
    Script(fleet, "here")
    lost = Script(fleet, "lost")
    await fleet.push(state("old"))
    lost.end()
    push = asyncio.create_task(fleet.push(state("new")))
    await asyncio.sleep(0.05)
    Script(fleet, "lost")
    proof = await push
    assert (proof.acknowledged, proof.away) == (("here", "lost"), ("never",))
    started_s = time.monotonic()
    await fleet.push(state("newer"))
    assert time.monotonic() - started_s < 0.1, "one that is away for long is not waited for"


async def test_a_newer_push_supersedes_the_one_under_way() -> None:
    fleet = Fleet(["one"])
    one = Script(fleet, "one")
    await fleet.push(state("old"))
    one.go.clear()
    slow = asyncio.create_task(fleet.push(state("new", "c-new")))
    await asyncio.sleep(0.01)
    newer = asyncio.create_task(fleet.push(state("old")))
    with pytest.raises(Conflict):
        await slow
    one.go.set()
    proof = await newer
    assert proof.acknowledged == ("one",)
    assert fleet.accepted is not None
    assert fleet.accepted.digest == proof.digest


async def test_the_runtime_overtakes_a_push_that_hangs() -> None:
    fleet = Fleet(["one"])
    one = Script(fleet, "one")
    await fleet.push(state("old"))
    one.go.clear()
    slow = asyncio.create_task(fleet.push(state("new", "c-new", percent=10)))
    await asyncio.sleep(0.01)
    overtaking = asyncio.create_task(fleet.push(state("new", "c-new", percent=50)))
    await asyncio.sleep(0.01)
    assert one.link.outbox.qsize() == 1, "the runtime is on its way though the clusters were not acknowledged"
    one.go.set()
    assert (await overtaking).acknowledged == ("one",)
    assert [kind for kind, _ in one.told][-3:] == ["Cluster", "Runtime", "ScopedRouteConfiguration"]
    with pytest.raises(Conflict):
        await slow


async def test_who_refuses_is_named_in_its_own_words_without_secrets() -> None:
    fleet = Fleet(["calm", "loud"], redact=lambda words: words.replace("hunter2", "[redacted]"))
    Script(fleet, "calm")
    loud = Script(fleet, "loud")
    good = await fleet.push(state("old"))
    loud.refuses = "key hunter2 is no good"
    with pytest.raises(Rejected) as refusal:
        await fleet.push(state("new"))
    assert "proxy loud: refused a ScopedRouteConfiguration: key [redacted] is no good" in str(refusal.value)
    assert "restart this proxy" in str(refusal.value), "it refuses the last good state as well"
    states = {state.name: state for state in fleet.states()}
    assert states["calm"].acknowledged == good.digest
    assert states["loud"].refusal == "key [redacted] is no good"


async def test_a_second_stream_of_a_proxy_replaces_the_first() -> None:
    fleet = Fleet(["one"])
    first = Script(fleet, "one")
    await fleet.push(state("old"))
    second = Script(fleet, "one")
    await asyncio.wait_for(first._task, 1)  # its outbox was ended
    fleet.disconnect(first.link)
    assert (await fleet.push(state("new"))).acknowledged == ("one",)
    assert ("ScopedRouteConfiguration", ()) in second.told
    assert len(first.told) == 4


async def test_a_proxy_nobody_expected_counts_while_it_is_there() -> None:
    fleet = Fleet([], grace_s=0.0)
    guest = Script(fleet, "guest")
    assert (await fleet.push(state("old"))).acknowledged == ("guest",)
    guest.end()
    proof = await fleet.push(state("new"))
    assert (proof.acknowledged, proof.away, fleet.states()) == ((), (), ())


async def test_a_state_that_took_long_to_compile_does_not_replace_a_newer_one(machine: Machine) -> None:
    builder, slow = Builder(1), threading.Event()

    def build(traffic: Traffic) -> Snapshot:
        if traffic.base.release == 2:
            assert slow.wait(5)
        return builder(traffic)

    proxies = EnvoyProxies([machine.proxy("one")], build, runtime=runtime)
    Script(proxies.fleet, "one")
    one, two = (Generation(number, Configuration("shop", {})) for number in (1, 2))
    late = asyncio.create_task(proxies.serve(Traffic(two)))
    await asyncio.sleep(0.01)
    proof = await proxies.serve(Traffic(one))
    slow.set()
    with pytest.raises(Conflict):
        await late
    assert proxies.states()[0].acknowledged == proof.digest


async def test_a_percent_is_on_its_way_before_anything_is_compiled(machine: Machine) -> None:
    builder, seen = Builder(1), []

    def build(traffic: Traffic) -> Snapshot:
        seen.append([kind for kind, _ in one.told])
        return builder(traffic)

    proxies = EnvoyProxies([machine.proxy("one")], build, runtime=runtime)
    one = Script(proxies.fleet, "one")
    base, candidate = (Generation(number, Configuration("shop", {})) for number in (1, 2))
    await proxies.serve(Traffic(base, candidate, 5.0))
    one.told.clear()
    again = Generation(1, Configuration("shop", {}))
    proof = await proxies.serve(Traffic(again, candidate, 60.0))
    assert seen[-1] == ["Runtime"]
    assert one.told == [("Runtime", ())]
    assert proof.digest == builder(Traffic(base, candidate, 60.0)).digest
