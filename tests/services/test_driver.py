"""The driver of services: start, see, drain, stop; each again is harmless, and nothing unseen is taken for gone."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lastgood.config.model import InstanceHealth, SmokeCheck
from lastgood.errors import Failed, LastgoodError, Unavailable
from lastgood.ports import KeeperAway
from lastgood.release.step import Step
from tests.services.town import ONE, TWO, Town

pytestmark = pytest.mark.timeout(60)


async def test_start_ends_when_all_are_seen_to_be_well(town: Town) -> None:
    result = await town.do("start", instances=3)
    assert (result["instances"], result["already"]) == (3, 0)
    facts = await town.facts()
    assert (facts["wanted"], facts["healthy"], len(facts["endpoints"])) == (3, 3, 3)
    before = town.running()
    assert (await town.do("start", instances=3))["already"] == 3
    assert (await town.do("start", instances=2))["already"] == 3, "start never ends anything"
    assert town.running() == before
    await town.do("start", instances=4)
    assert len(town.running()) == 4


async def test_one_that_answers_with_500_is_not_well(town: Town) -> None:
    town.processes.status[ONE] = 500
    with pytest.raises(TimeoutError):
        await town.do("start", instances=1, timeout_s=0.5)
    facts = await town.facts()
    assert (facts["wanted"], facts["healthy"], facts["endpoints"]) == (1, 0, [])
    assert town.services.endpoints("catalog", ONE) == ()
    town.processes.status[ONE] = 200
    await town.until("healthy", 1)


async def test_fifty_that_look_at_once_ask_the_supervisor_once(town: Town) -> None:
    await asyncio.gather(*(town.services.observe() for _ in range(50)))
    assert town.processes.lists == 1


async def test_thresholds_count_in_a_row(town: Town) -> None:
    town.health = InstanceHealth.model_validate({"interval": "100ms", "healthy": 4, "unhealthy": 3})
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await town.do("start", instances=1)
    assert loop.time() - began_s > 0.28, "four answers, three pauses"
    town.processes.status[ONE] = 503
    await asyncio.sleep(0.12)
    assert (await town.facts())["healthy"] == 1, "one failure is not enough"
    await town.until("healthy", 0)


async def test_one_that_ends_again_and_again_fails_at_once_with_the_end_of_its_log(town: Town) -> None:
    town.argv = ("python", "deaf")
    starting = asyncio.create_task(town.do("start", instances=1))
    await asyncio.sleep(0.1)
    (town.folder / f"catalog@{ONE[:8]}.log").write_text("cannot reach db with hunter2\n")
    for _ in range(3):
        town.processes.crash((await town.processes.list())[0].key, 3)
    with pytest.raises(Failed) as caught:
        await starting
    assert "catalog ends again and again: 3 times within a minute, last with 3" in caught.value.what
    assert "cannot reach db with [redacted]" in caught.value.what
    assert "again and again" in (await town.facts())["failing"]


async def test_who_is_not_ready_in_time_says_what_came_of_asking(town: Town) -> None:
    """Before its deadline, which knows nothing of it: every reason, and the end of the log."""
    town.argv = ("python", "deaf")
    (town.folder / f"catalog@{ONE[:8]}.log").write_text("listening on 9999 for hunter2\n")
    step = Step("x", "service:catalog", "start", {"digest": ONE, "release": 1, "instances": 2}, deadline_s=0.6)
    with pytest.raises(Failed) as caught:
        async with asyncio.timeout(5):
            await town.services.perform(step, "d1.1/x")
    ports = sorted(int(state.key.rpartition(".")[2]) for state in await town.processes.list())
    refused = [f"127.0.0.1:{port}: nothing listens on port {port} (connection refused)" for port in ports]
    assert caught.value.what.splitlines() == [
        "0 of 2 x catalog healthy within 0.6 s:",
        *(f"    {line}" for line in refused),
        "  the end of its log:",
        "    listening on 9999 for [redacted]",
    ]
    assert "start_timeout" in (caught.value.next or "")
    assert (await town.facts())["unready"] == refused


async def test_what_a_sick_one_answers_is_told_until_it_is_well(town: Town) -> None:
    town.processes.status[ONE] = 503
    with pytest.raises(TimeoutError):
        await town.do("start", instances=1, timeout_s=0.5)
    [told] = (await town.facts())["unready"]
    assert told.endswith(": GET /healthz was answered with 503")
    town.processes.status[ONE] = 200
    await town.until("unready", [])


async def test_draining_takes_out_of_the_gateway_waits_for_connections_and_is_undone_by_start(town: Town) -> None:
    await town.do("start", instances=2)
    town.gate.versions = {ONE}
    await town.until("healthy", 2)
    busy = town.running()[0]
    _, writer = await asyncio.open_connection("127.0.0.1", int(busy.rpartition(".")[2]))
    draining = asyncio.create_task(town.do("drain", keep=0, drain_s=5.0))
    await asyncio.sleep(0.3)
    assert not draining.done(), "somebody still speaks to one of them"
    assert town.gate.said[ONE] == ()
    assert (await town.facts())["healthy"] == 0
    writer.close()
    result = await draining
    assert (result["drained"], result["connections"]) == (2, 0)
    assert len(town.running()) == 2, "nothing was stopped"
    await town.do("start", instances=2)
    assert len(town.gate.said[ONE]) == 2


async def test_one_that_drains_is_not_counted_wherever_requests_go(town: Town) -> None:
    await town.do("start", instances=2)
    await town.do("drain", keep=1, drain_s=0.1)
    facts = await town.facts()
    assert (facts["wanted"], facts["healthy"]) == (2, 1)
    await town.do("start", instances=2)
    assert (await town.facts())["healthy"] == 2


async def test_a_supervisor_that_is_away_for_a_moment_is_waited_for(town: Town) -> None:
    """Nobody condemns a version because what starts it was killed."""
    town.processes.refusals += [KeeperAway("the supervisor cannot be asked")] * 3
    assert (await town.do("start", instances=2))["instances"] == 2
    town.processes.refusals += [KeeperAway("the supervisor cannot be asked")] * 3
    await town.do("stop", keep=0, drain_s=0.1)
    assert town.running() == []
    town.processes.refusals += [Unavailable("it refuses")]
    with pytest.raises(Unavailable, match="refuses"):
        await town.do("start", instances=1)


async def test_services_that_start_at_once_get_ports_of_their_own(town: Town) -> None:
    """Where many begin together a port is chosen long before anything listens there."""
    steps = [Step("x", f"service:s{n}", "start", {"digest": ONE, "release": 1, "instances": 4}) for n in range(80)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(town.services.perform(step, f"d1.1/{step.part}") for step in steps))
    ports = [key.rpartition(".")[2] for key in town.running()]
    assert len(set(ports)) == len(ports) == 320


async def test_an_instance_whose_port_somebody_took_gets_another_one(town: Town) -> None:
    """Between the choice of a port and its use any other program may have begun to listen there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        town.chosen = [taken]
        await town.do("start", instances=2)
        ports = [int(key.rpartition(".")[2]) for key in town.running()]
    assert len(ports) == 2
    assert taken not in ports


async def test_patience_with_connections_ends(town: Town) -> None:
    await town.do("start", instances=1)
    _, writer = await asyncio.open_connection("127.0.0.1", int(town.running()[0].rpartition(".")[2]))
    result = await town.do("stop", keep=0, drain_s=0.2)
    assert result["stopped"] == 1
    assert await town.facts() == {}
    writer.close()
    assert (await town.do("stop", keep=0, drain_s=0.2))["stopped"] == 0, "again is harmless"


async def test_who_is_not_well_goes_first_and_others_are_kept(town: Town) -> None:
    await town.do("start", instances=3)
    sick = town.running()[2]
    town.processes.status[sick] = 500
    await town.until("healthy", 2)
    await town.do("drain", keep=2, drain_s=0.1)
    await town.do("stop", keep=2, drain_s=0.1)
    assert sick not in town.running()
    assert len(town.running()) == 2
    assert (await town.facts())["healthy"] == 2


async def test_a_new_instance_counts_once_the_gateway_knows_it(town: Town) -> None:
    """Otherwise a share of the requests would be moved to capacity that does not take them yet."""
    await town.do("start", instances=1)
    town.gate.versions = {ONE}
    await town.gate.publish()
    pushes = town.gate.pushes
    await town.do("start", instances=2)
    assert len(town.gate.said[ONE]) == 2
    assert town.gate.pushes > pushes
    town.gate.said, town.gate.is_deaf = {ONE: ()}, True
    assert (await town.facts())["healthy"] == 0


async def test_nothing_seen_is_not_nowhere(town: Town) -> None:
    with pytest.raises(Unavailable):
        town.services.endpoints("catalog", ONE)
    town.processes.refusals = [Unavailable("no supervisor")]
    with pytest.raises(LastgoodError, match="no supervisor"):
        await town.services.observe()
    with pytest.raises(Unavailable):
        town.services.endpoints("catalog", ONE)


async def test_a_new_controller_sends_requests_on_to_what_runs_and_counts_only_what_it_saw(town: Town) -> None:
    await town.do("start", instances=2)
    town.services.close()
    slow = town.running()[0]
    town.processes.shut(slow)  # it does not answer right now
    town.services = town.driver()
    await town.services.observe()
    assert len(town.services.endpoints("catalog", ONE)) == 2, "requests may be on their way to it"
    assert (await town.facts())["healthy"] <= 1
    await town.until("healthy", 1)
    async with asyncio.timeout(5):
        while len(town.services.endpoints("catalog", ONE)) > 1:
            await town.services.observe()
            await asyncio.sleep(0.02)


async def test_the_last_one_is_never_taken_out_because_its_check_fails(town: Town) -> None:
    await town.do("start", instances=2)
    town.processes.status[ONE] = 500
    await town.until("healthy", 0)
    assert len(town.services.endpoints("catalog", ONE)) == 2, "trying is better than refusing everybody"


async def test_secrets_are_brought_again_to_what_a_new_supervisor_could_not_start(town: Town) -> None:
    town.secret_env = {"TOKEN": "abc"}
    await town.do("start", instances=1)
    town.processes.without_secrets.add(town.running()[0])
    watching = asyncio.create_task(town.services.watch(0.02))
    async with asyncio.timeout(5):
        while town.processes.without_secrets:
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_smoke_checks_are_asked_and_told_apart(town: Town) -> None:
    def check(**more: object) -> SmokeCheck:
        return SmokeCheck.model_validate({"path": "/", **more})

    town.smoke = (check(), check(contains="hello"))
    await town.do("start", instances=1)
    assert await town.do("smoke") == {"checks": 2}
    for wrong, why in (
        (check(status=404), "was answered with 200, not 404"),
        (check(contains="goodbye"), "does not contain 'goodbye'"),
    ):
        town.smoke = (wrong,)
        with pytest.raises(Failed, match=why):
            await town.do("smoke")
    with pytest.raises(Unavailable, match="no instance"):
        await town.do("smoke", TWO)


@pytest.mark.parametrize(
    ("settings", "well"),
    [
        ({"tcp": True}, True),
        ({"command": ["sh", "-c", 'test "$PORT" -gt 0']}, True),
        ({"command": ["false"]}, False),
        ({"command": ["sleep", "30"], "timeout": "100ms"}, False),
        ({"command": ["/no/such/program"]}, False),
    ],
)
async def test_readiness_by_connection_or_command(town: Town, settings: dict[str, object], well: bool) -> None:
    town.health = InstanceHealth.model_validate({"interval": "50ms", **settings})
    town.processes.status[ONE] = 500
    try:
        await town.do("start", instances=1, timeout_s=2.0 if well else 0.6)
    except TimeoutError:
        assert not well
    assert (await town.facts())["healthy"] == int(well)
