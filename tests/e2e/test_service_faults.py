"""What watches, carries or answers requests is killed or frozen in every phase of a change; versions that misbehave."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lastgood.interfaces.demo.load import Answer, Load, Probe
from tests.support import processes
from tests.support.killing import STRATEGIES, Rounds
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.services import CODE, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
SHOUT = """\
async def shout():
    while WORD == b"noisy":
        print("x" * 100_000, flush=True)
        await asyncio.sleep(0.002)
async def main():
    asyncio.get_running_loop().create_task(shout())
"""
NOISY = CODE.replace("async def main():\n", SHOUT)
ROOM_BYTES = 200 * 1024 * 1024


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def at_rest(shop: ServiceShop) -> None:
    eventually(lambda: shop.answers() and shop.status()["deployment"] is None, bool, within_s=60)


def serve_percent(shop: ServiceShop) -> float:
    gateway = shop.status()["gateway"]
    return float(gateway["percent"]) if gateway["candidate"] is not None else 0.0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_controller_killed_at_random_by_every_strategy(shop: ServiceShop, strategy: str) -> None:
    """Three rounds here; ``tools/kill.py --rounds 100`` plays as many as one likes."""
    rounds = Rounds(shop, strategy, seed=7)
    rounds.begin()
    for number in range(1, 4):
        rounds.play(number)


PHASES = ("starting", "in the middle", "baking", "going back")


def until(shop: ServiceShop, phase: str) -> None:
    """Deploy the word two by batches and wait for the phase; going back begins in the middle."""
    text = shop.words("two", instances=3, bake="20s").replace("blue_green: { keep_old: 2s }", "rolling: { batch: 1 }")
    shop.commit(text, "Say two")
    shop.begin_command("deploy", "--no-wait").communicate(timeout=30)
    if phase == "starting":
        eventually(lambda: len(shop.instances()), lambda count: count == 2)
    elif phase == "baking":
        eventually(lambda: shop.get("/visit").body if serve_percent(shop) == 100 else "", lambda body: body == "two")
    else:
        eventually(lambda: serve_percent(shop), lambda percent: percent >= 30, within_s=40)
    if phase == "going back":
        shop.begin_command("rollback", "r1", "--no-wait").communicate(timeout=30)


def failed_since(load: Load, moment_s: float) -> list[Answer]:
    return [answer for answer in load.failed() if answer.sent_s >= moment_s]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("who", ["supervisor", "proxy", "instance"])
def test_killed_in_each_phase(shop: ServiceShop, who: str, phase: str) -> None:
    """The change goes on to its end. Only those requests fail that the killed process had in its hands or was sent
    before its end was known, and with the only proxy gone those that come before it is back. The instance is one of
    several: what a single instance carries is lost until it is started again, unless it is shielded."""
    shop.open_with("one", instances=3)
    old = set(shop.pids().values())
    load = Load(shop.ports.gateway, tuple(Probe(f"visitor-{n}", "/visit") for n in range(4)), 25.0)
    load.start()
    try:
        until(shop, phase)
        killed_s = time.monotonic()
        if who == "supervisor":
            processes.kill(processes.pid(shop.root, SUPERVISOR))
        elif who == "proxy":
            processes.kill(processes.pid(shop.root, "proxy-1.json"))
        else:
            mine = sorted(shop.pids().values())
            processes.kill(*([pid for pid in mine if pid in old] or mine)[-1:])
        if phase == "baking":
            eventually(lambda: len(shop.pids()), lambda count: count == 3, within_s=30)
            shop.ok("rollback", "r1", timeout_s=90)
        want = "two" if phase in ("starting", "in the middle") else "one"
        eventually(
            lambda: serve_percent(shop) in (0.0, 100.0) and shop.get("/visit").body, lambda b: b == want, within_s=60
        )
        time.sleep(1.0)
        settled_s = time.monotonic()
        time.sleep(1.0)
    finally:
        load.stop()
    failed = load.failed()
    assert set(bodies(load)) <= {"one", "two", "", "no healthy upstream"} | {a.body for a in failed}
    if who == "supervisor":
        assert failed == []
    elif who == "instance":
        assert len(failed) <= 8, "what it had in its hands, and what came before the kernel's word was heard"
        assert all(killed_s - 0.5 <= answer.sent_s <= killed_s + 1.0 for answer in failed)
    else:
        assert failed, "the only proxy was gone"
    assert failed_since(load, settled_s) == []
    assert len(load.answers) > 100


def test_all_of_the_old_version_dies_during_the_bake(shop: ServiceShop) -> None:
    """It was to be gone back to. It is started again, and no request moves there before it is well."""
    shop.open_with("one", instances=2)
    old = list(shop.pids().values())
    with shop.visited() as load:
        shop.release("two", keep="60s", wait="converged", bake="50s", instances=2)
        processes.kill(*old)
        shop.ok("rollback", timeout_s=90)
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}


def test_a_version_that_fills_its_log_does_not_fill_the_disk(shop: ServiceShop) -> None:
    """Fifty megabytes a second from each instance: the log stays within bounds, and the way back is as ever."""
    shop.begin()
    shop.commit(shop.words("one"), "Open", services__catalog__main_py=NOISY)
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "good")
    with shop.visited(per_second=50) as load:
        shop.release("noisy", keep="60s", wait="good")
        largest = written = 0
        until_s = time.monotonic() + 6.0
        while time.monotonic() < until_s:
            sizes = [path.stat().st_size for path in (shop.state / "logs/services").glob("*.log*")]
            largest, written = max(largest, sum(sizes)), written + max(sizes)
            time.sleep(0.1)
        shop.ok("rollback")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "noisy"}
    assert 1024 * 1024 < largest < ROOM_BYTES, largest
    assert len(shop.ok("logs", "catalog", "-n", "3").out) > 1000


def test_a_version_that_is_well_and_fails_everything_goes_back_by_itself(shop: ServiceShop) -> None:
    """Its health check says that all is well; what its requests got says otherwise."""
    shop.open_with("one")
    load = Load(shop.ports.gateway, tuple(Probe(f"visitor-{n}", "/visit") for n in range(4)), 50.0)
    load.start()
    try:
        shop.release("broken", keep="60s", wait="converged", bake="50s")
        eventually(lambda: shop.live if shop.status()["deployment"] is None else 0, lambda live: live == 1, within_s=30)
        well_s = time.monotonic()
        time.sleep(1.0)
    finally:
        load.stop()
    assert load.failed(), "it did get requests"
    assert failed_since(load, well_s) == []
    bad = shop.history()["releases"][0]
    assert (bad["verdict"], bad["basis"]) in (("bad", "measured"), ("bad", "veto")), bad
    assert "held" in shop.run("deploy", str(bad["revision"])).said


def test_a_frozen_controller_that_wakes_up_moves_no_instance(shop: ServiceShop) -> None:
    """Frozen in the middle of a rolling update; a rollback takes over and is done; then it wakes up."""
    shop.open_with("one", instances=3)
    text = shop.words("two", instances=3).replace("blue_green: { keep_old: 2s }", "rolling: { batch: 1 }")
    with shop.visited(per_second=100) as load:
        shop.commit(text, "Say two")
        shop.begin_command("deploy", "--no-wait").communicate(timeout=30)
        eventually(lambda: serve_percent(shop), lambda percent: percent >= 30, within_s=40)
        frozen = processes.pid(shop.root, CONTROLLER)
        os.kill(frozen, signal.SIGSTOP)
        try:
            shop.ok("rollback", "r1", timeout_s=90)
            assert shop.get("/visit").body == "one"
            after = shop.pids()
            assert len(after) == 3
        finally:
            os.kill(frozen, signal.SIGCONT)
        eventually(lambda: processes.pids(shop.root, CONTROLLER), lambda pids: pids not in ([], [frozen]), within_s=30)
        at_rest(shop)
        time.sleep(1.0)
        assert shop.pids() == after, "the instances are those that the rollback left"
    assert set(bodies(load)) == {"one", "two"}
    assert shop.get("/visit").body == "one"


def test_a_deployment_and_rollbacks_at_once(shop: ServiceShop) -> None:
    """Whoever comes second is refused or takes over; the end is one release, whole, and no request failed."""
    shop.open_with("one", instances=2)
    shop.release("two", keep="60s", instances=2, wait="good")
    with shop.visited(per_second=100) as load:
        for turn in range(3):
            shop.commit(shop.words(f"three{turn}", instances=2), f"Say three{turn}")
            racing = [
                shop.begin_command("deploy"),
                shop.begin_command("rollback", "r1", "--no-revert-commit"),
                shop.begin_command("rollback", "r2", "--no-revert-commit"),
            ]
            said = [command.communicate(timeout=90) for command in racing]
            assert not any("Traceback" in out + err for out, err in said), said
            assert {command.returncode for command in racing} <= {0, 4, 5, 6}, said
            at_rest(shop)
            eventually(lambda: list(shop.instances().values()), lambda found: found == [2], within_s=20)
            word = shop.get("/visit").body
            assert shop.get("/visit").headers["x-lastgood-release"] == f"r{shop.live}"
            assert {shop.get("/visit").body for _ in range(10)} == {word}
    assert load.answers
