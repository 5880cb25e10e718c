"""Who lives and gives no answer any more is restarted; who says no, or was only kept from being asked, is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lastgood.config.model import InstanceHealth
from lastgood.effects.instances.probing import Answer, probe
from lastgood.effects.instances.vitals import STALLED_S, Instance, Vitals, instance_of
from lastgood.process import ProcessState
from tests.services.town import ONE, Town

pytestmark = pytest.mark.timeout(60)
WELL, NO, SILENCE = Answer(True), Answer(False, "answered with 503"), Answer(False, "no answer", silent=True)
HASTY = InstanceHealth.model_validate({"interval": "20ms", "timeout": "100ms", "unhealthy": 2, "restart_after": 4})


class Bedside:
    """One instance whose answers are given, and a clock that is set."""

    def __init__(self, **settings: object) -> None:
        self.health = InstanceHealth.model_validate({"restart_after": 3, "unhealthy": 2, **settings})
        self.now_s, self.answer, self.takes_s = 100.0, WELL, 0.0
        self.vitals = Vitals(lambda _: self._probe, clock=lambda: self.now_s)
        made = instance_of(ProcessState(f"catalog@{ONE}.20001", "instance", "running"))
        assert made is not None
        self.instance: Instance = made

    async def _probe(self, port: int, health: object) -> Answer:
        self.now_s += self.takes_s
        return self.answer

    async def look(self, *answers: Answer, takes_s: float = 0.0, apart_s: float = 1.0) -> bool:
        """Whether it is hung after it gave these answers."""
        for self.answer in answers:
            self.now_s += apart_s
            self.takes_s = takes_s
            await self.vitals.look([self.instance], lambda _: self.health)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await self.vitals.look([self.instance], lambda _: self.health)
        return self.vitals.is_hung(self.instance, self.health)


async def test_silence_in_a_row_is_what_counts() -> None:
    bed = Bedside()
    assert not await bed.look(WELL, SILENCE, SILENCE)
    assert not await bed.look(WELL, SILENCE, SILENCE, NO, SILENCE, SILENCE)
    assert await bed.look(SILENCE)
    assert not bed.vitals.is_ready(bed.instance)
    assert not await bed.look(WELL), "it came back by itself"


async def test_who_says_no_lives() -> None:
    bed = Bedside()
    assert not await bed.look(WELL, *[NO] * 20)
    assert not bed.vitals.is_ready(bed.instance)


async def test_who_never_was_well_is_still_starting() -> None:
    bed = Bedside()
    await bed.look()
    await bed.vitals.look([], lambda _: bed.health)  # a controller that has looked before it came
    assert not await bed.look(*[SILENCE] * 20)


async def test_zero_restarts_nobody() -> None:
    assert not await Bedside(restart_after=0).look(WELL, *[SILENCE] * 20)


async def test_after_a_suspended_machine_the_count_begins_again() -> None:
    bed = Bedside()
    assert not await bed.look(WELL, SILENCE, SILENCE)
    assert not await bed.look(SILENCE, apart_s=STALLED_S + 1)
    assert not await bed.look(SILENCE)
    assert await bed.look(SILENCE)


async def test_what_came_late_because_we_were_away_is_no_silence() -> None:
    bed = Bedside(timeout="1s")
    assert not await bed.look(WELL, *[SILENCE] * 20, takes_s=1.6)
    assert await bed.look(*[SILENCE] * 3, takes_s=1.0)


@pytest.mark.parametrize(
    ("settings", "said", "silent"),
    [
        ({}, "GET /healthz was not answered within 0.2 s", True),
        ({"command": ["sleep", "9"]}, "the command sleep was not answered within 0.2 s", True),
        ({"command": ["false"]}, "the command false ended with 1", False),
        (
            {"command": ["/does-not-exist"]},
            "the command /does-not-exist cannot be run: there is no such program",
            False,
        ),
    ],
)
async def test_what_is_said_of_an_answer(settings: dict[str, object], said: str, silent: bool) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    health = InstanceHealth.model_validate({"timeout": "200ms", **settings})
    assert await probe(port, health) == Answer(False, said, silent)
    server.close()
    if not settings:
        refused = f"nothing listens on port {port} (connection refused)"
        assert await probe(port, health) == Answer(False, refused, silent=True)


async def hang(town: Town, *keys: str) -> None:
    """They take connections and answer nothing, until they are restarted."""
    town.processes.hung |= set(keys)


def pids(states: Sequence[ProcessState]) -> dict[str, int | None]:
    return {state.key: state.pid for state in states}


async def test_one_that_hangs_leaves_the_gateway_first_and_the_others_are_not_touched(town: Town) -> None:
    town.health = HASTY
    await town.do("start", instances=3)
    town.gate.versions = {ONE}
    await town.until("healthy", 3)
    before = pids(await town.processes.list())
    hung = town.running()[0]
    await hang(town, hung)
    await town.until("healthy", 2)
    async with asyncio.timeout(10):
        while not town.processes.restarted:
            await town.facts()
            await asyncio.sleep(0.01)
    key, published = town.processes.restarted[0]
    assert (key, len(published)) == (hung, 2), "the gateway sent it nothing any more"
    await town.until("healthy", 3)
    after = pids(await town.processes.list())
    assert {key for key in before if before[key] != after[key]} == {hung}
    assert len(town.processes.restarted) == 1


async def test_what_it_has_in_its_hands_is_waited_for_and_who_comes_back_is_left_alone(town: Town) -> None:
    town.health = HASTY
    await town.do("start", instances=2)
    town.gate.versions = {ONE}
    await town.until("healthy", 2)
    hung = town.running()[0]
    _, writer = await asyncio.open_connection("127.0.0.1", int(hung.rpartition(".")[2]))
    await hang(town, hung)
    await town.until("healthy", 1)
    for _ in range(30):
        await town.facts()
        await asyncio.sleep(0.02)
    assert town.processes.restarted == [], "somebody still waits for its answer"
    town.processes.hung.clear()
    await town.until("healthy", 2)
    writer.close()
    for _ in range(20):
        await town.facts()
        await asyncio.sleep(0.01)
    assert town.processes.restarted == []


async def test_where_all_hang_all_are_restarted_and_nobody_waits(town: Town) -> None:
    town.health = HASTY
    await town.do("start", instances=2)
    town.gate.versions = {ONE}
    await town.until("healthy", 2)
    await hang(town, *town.running())
    await town.until("healthy", 0)
    await town.until("healthy", 2)
    assert sorted(key for key, _ in town.processes.restarted) == town.running()


async def test_one_that_hangs_again_and_again_fails(town: Town) -> None:
    town.health = HASTY
    await town.do("start", instances=1)
    for times in range(1, 4):
        await town.until("healthy", 1)
        assert "failing" not in await town.facts()
        await hang(town, *town.running())
        await town.until("healthy", 0)
        while len(town.processes.restarted) < times:
            await town.facts()
            if times == 3:
                town.processes.never_back = True
            await asyncio.sleep(0.01)
    assert "stops answering again and again: restarted 3 times" in (await town.facts())["failing"]


async def test_a_supervisor_that_is_away_is_asked_again(town: Town) -> None:
    town.health = HASTY
    await town.do("start", instances=1)
    town.processes.deaf_to_restarts = 2
    await hang(town, *town.running())
    await town.until("healthy", 0)
    await town.until("healthy", 1)
    assert town.processes.deaf_to_restarts == 0
