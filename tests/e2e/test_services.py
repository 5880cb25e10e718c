"""Versions of a service behind a real gateway: forward, back, and every way in which a version can be no good."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastgood import bootstrap
from lastgood.release import events as ev
from lastgood.settings import Places
from tests.support import processes
from tests.support.processes import CONTROLLER, SUPERVISOR, eventually
from tests.support.services import CODE, ServiceShop, bodies

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


@pytest.fixture
def shop() -> Iterator[ServiceShop]:
    made = ServiceShop()
    yield made
    made.close()


def began_with_its_request(shop: ServiceShop, number: int, step: str) -> bool:
    """Whether a step was written as started together with the request."""
    journal = bootstrap.open_journal(Places(shop.root, shop.state), read_only=True)
    try:
        events = [event for event in journal.read() if event.deployment == number]
    finally:
        journal.close()
    asked = next(event.at for event in events if isinstance(event.body, ev.Requested))
    return any(isinstance(e.body, ev.StepStarted) and e.body.step == step and e.at == asked for e in events)


def test_forward_and_back_lose_no_request(shop: ServiceShop) -> None:
    """And the second way back is the shift alone, for the old version is still warm."""
    shop.open_with("one")
    before = set(shop.pids().values())
    with shop.visited() as load:
        shop.release("two", keep="60s", wait="converged")
        eventually(lambda: shop.get("/visit").body, lambda body: body == "two")
        assert before < set(shop.pids().values()), "the old version is not touched, it waits beside the new one"
        shop.ok("rollback", "-m", "two is no good")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    assert shop.live == 1
    steps = [step["id"] for step in shop.ask("report", "d3")["steps"]]
    assert not any(step.startswith("start") for step in steps), "nothing had to be started"
    assert began_with_its_request(shop, 3, "shift"), "one commit lies between the verb and its effect"
    eventually(lambda: set(shop.pids().values()), lambda pids: pids == before)


def test_back_to_a_version_that_is_no_longer_there(shop: ServiceShop) -> None:
    """It is started and seen to be well before any request goes to it; Git and its code are gone by then."""
    shop.open_with("one")
    shop.release("two", keep="300ms")
    assert len(shop.instances()) == 1
    shop.git("checkout", "--quiet", "--orphan", "empty")
    shop.git("rm", "-rf", "--quiet", ".")
    with shop.visited() as load:
        shop.ok("rollback", "r1", "--no-revert-commit", timeout_s=60)
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    result = {step["id"]: step.get("result") for step in shop.ask("report", "d3")["steps"]}
    assert result["start:catalog"]["instances"] == 2


def test_a_version_that_crashes_gets_no_request(shop: ServiceShop) -> None:
    shop.open_with("one")
    began_s = time.monotonic()
    with shop.visited() as load:
        shop.commit(shop.words("crashing"), "Say crashing")
        done = shop.run("deploy", "--wait", "ended")
    assert done.code == 6, done.said
    assert time.monotonic() - began_s < 60, "nobody waits for the deadline"
    assert "ends again and again" in done.said
    assert "no such table: prices" in done.said, "the end of its log"
    assert set(bodies(load)) == {"one"}
    assert len(shop.instances()) == 1, "what was started of it is gone"
    assert "held" in shop.run("deploy").said


def test_a_version_that_is_never_ready_gives_way_when_somebody_aborts(shop: ServiceShop) -> None:
    """Sick, or listening elsewhere: both look alike from outside."""
    shop.open_with("one")
    for word in ("sick", "elsewhere"):
        with shop.visited() as load:
            going = shop.begin_release(word)
            eventually(lambda: len(shop.instances()), lambda count: count == 2)
            time.sleep(0.5)
            shop.ok("abort", "-m", "it does not come up")
            going.communicate(timeout=30)
            eventually(lambda: len(shop.instances()), lambda count: count == 1, within_s=20)
        assert set(bodies(load)) == {"one"}
        assert shop.live == 1


@pytest.mark.slow
def test_a_version_that_is_not_ready_in_time_goes_back_and_says_why(shop: ServiceShop) -> None:
    """Nobody aborts: the deadline does it, and its error has the reason and the end of the log."""
    shop.open_with("one")
    for word, why in (
        ("sick", "GET /healthz was answered with 500"),
        ("elsewhere", "(connection refused)"),
    ):
        with shop.visited() as load:
            shop.commit(shop.words(word, more="    start_timeout: 3s\n"), f"Say {word}")
            done = shop.run("deploy", "--wait", "ended")
        assert done.code == 6, done.said
        assert "0 of 2 x catalog healthy within 3 s" in done.said
        assert why in done.said
        assert "listening" in done.said, "the end of its log"
        assert set(bodies(load)) == {"one"}
        assert shop.live == 1


def test_an_instance_that_dies_is_left_out_and_comes_back(shop: ServiceShop) -> None:
    shop.open_with("one", instances=3)
    victim, *others = shop.pids().items()
    began_s = time.monotonic()
    os.kill(victim[1], signal.SIGKILL)
    eventually(lambda: shop.pids().get(victim[0]), lambda pid: pid not in (None, victim[1]))
    with shop.visited(per_second=100) as load:
        time.sleep(1.0)
    assert set(bodies(load)) == {"one"}
    assert dict(others).items() <= shop.pids().items(), "the others were not touched"
    assert time.monotonic() - began_s < 20


@pytest.mark.parametrize("who", [CONTROLLER, SUPERVISOR])
def test_instances_live_on_when_what_watches_them_is_killed(shop: ServiceShop, who: str) -> None:
    shop.open_with("one")
    before = shop.pids()
    with shop.visited() as load:
        old = processes.pid(shop.root, who)
        processes.kill(old)
        eventually(lambda: processes.pids(shop.root, who), lambda found: bool(found) and old not in found)
        eventually(shop.answers, bool, within_s=20)
        shop.release("two", keep="60s", wait="converged")
        shop.ok("rollback")
        assert shop.get("/visit").body == "one"
    assert set(bodies(load)) == {"one", "two"}
    assert before.items() <= shop.pids().items()


def test_a_controller_killed_while_a_version_starts_goes_on(shop: ServiceShop) -> None:
    shop.open_with("one")
    with shop.visited() as load:
        for turn in range(3):
            going = shop.begin_release(f"word{turn}", keep="300ms")
            eventually(lambda: len(shop.instances()), lambda count: count == 2)
            time.sleep(0.15 * turn)
            processes.kill(processes.pid(shop.root, CONTROLLER))
            eventually(lambda: shop.get("/visit").body, lambda body: body == f"word{turn}", within_s=40)  # noqa: B023
            going.communicate(timeout=40)
            eventually(lambda: shop.answers() and shop.status()["deployment"] is None, bool, within_s=40)
    assert set(bodies(load)) == {"one", "word0", "word1", "word2"}
    eventually(lambda: len(shop.instances()), lambda count: count == 1)


def test_a_stubborn_version_is_ended_all_the_same(shop: ServiceShop) -> None:
    shop.open_with("stubborn")
    shop.release("two", keep="300ms")
    eventually(lambda: len(shop.instances()), lambda count: count == 1, within_s=20)
    assert shop.get("/visit").body == "two"


def test_a_slow_answer_of_the_old_version_is_finished(shop: ServiceShop) -> None:
    """It began before the shift, and is answered after the old version was told to leave."""
    shop.open_with("one")
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        answer = shop.get("/slow")
        answers.append((answer.status, answer.body))

    going = shop.begin_release("two", keep="300ms")
    eventually(lambda: len(shop.instances()), lambda count: count == 2)
    asking = threading.Thread(target=ask)
    asking.start()
    going.communicate(timeout=40)
    eventually(lambda: len(shop.instances()), lambda count: count == 1, within_s=20)
    asking.join(10)
    assert answers == [(200, "one")]


def test_secrets_reach_the_process_and_nothing_else(shop: ServiceShop) -> None:
    environment = "    environment: { MORE: 'secret:more' }\n"
    shop.begin()
    shop.commit(shop.words("one", more=environment), "Open", services__catalog__main_py=CODE)
    shop.ok("up", "--detach")
    refused = shop.run("deploy")
    assert refused.code == 3
    assert "secret:more" in refused.said
    shop.ok("secret", "set", "more", feed="-hunter2")
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/visit").body == "one-hunter2"
    for path in shop.state.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            assert b"hunter2" not in path.read_bytes(), path


def test_the_example_runs(shop: ServiceShop) -> None:
    """As its first lines say."""
    example = Path(__file__).parents[2] / "examples/services"
    shop.begin()
    shutil.copytree(example, shop.root, dirs_exist_ok=True)
    text = (shop.root / "lastgood.yaml").read_text().replace("port: 8080", f"port: {shop.ports.gateway}")
    text = text.replace("for: 1m", "for: 300ms")
    shop.commit(text, "Begin")
    shop.ok("up", "--detach")
    first = shop.ok("deploy", "--wait", "good")
    assert "starts service hello: 2 instances" in first.said
    assert shop.get("/").body == "hello\n"
    shop.commit(text.replace("WORD: hello", "WORD: goodbye"), "Another word")
    assert "restarts service hello: 2 instances of the new version" in shop.ok("deploy", "--wait", "good").said
    assert shop.get("/").body == "goodbye\n"
    shop.ok("rollback")
    assert shop.get("/").body == "hello\n"


def test_a_build_runs_once_and_its_failure_changes_nothing(shop: ServiceShop) -> None:
    shop.begin()
    counted = f"    build: [sh, -c, 'cp main.py built.py; echo built >> {shop.folder}/count']\n"
    text = shop.words("one", more=counted).replace("main.py, one", "built.py, one")
    shop.commit(text, "Open", services__catalog__main_py=CODE)
    shop.ok("up", "--detach")
    shop.ok("plan", "deploy")
    assert not (shop.folder / "count").exists(), "a plan builds nothing"
    shop.ok("deploy", "--wait", "ended")
    assert shop.get("/visit").body == "one"
    shop.commit(text.replace("one]", "two]"), "Say two")
    shop.ok("deploy", "--wait", "ended")
    shop.ok("rollback")
    assert (shop.folder / "count").read_text() == "built\n", "the same content and build are the same artifact"
    before = shop.standing()
    shop.commit(
        text.replace("cp main.py", "echo there is no gcc; false; cp main.py").replace("sh, -c", "sh, -ec"), "Bad"
    )
    refused = shop.run("deploy")
    assert refused.code == 4, refused.said
    assert "there is no gcc" in refused.said
    assert "there is no gcc" in shop.ok("logs", "build:catalog").said
    assert shop.standing() == before


def test_a_damaged_artifact_is_not_started(shop: ServiceShop) -> None:
    shop.open_with("one")
    shop.release("two", keep="300ms")
    for path in (shop.state / "artifacts").rglob("main.py"):
        path.chmod(0o644)
        path.write_text("print('evil')")
    planned = shop.ok("plan", "rollback", "r1")
    assert "BLOCKED  service catalog cannot be started: the artifact" in planned.said
    refused = shop.run("rollback", "r1", "--no-revert-commit", timeout_s=120)
    assert refused.code == 4, refused.said
    assert "the way back to r1 is blocked: service catalog cannot be started: the artifact" in refused.said
    assert "nothing was changed" in refused.said
    assert shop.status()["live"]["verdict"] == "good", "who was refused has judged nothing"
    done = shop.run("rollback", "r1", "--no-revert-commit", "--accept-blocked", timeout_s=120)
    assert done.code not in (0, 4)
    assert "damaged: main.py is not what it was" in done.said + str(shop.ask("report", "d3"))
    assert shop.get("/visit").body == "two", "requests stay where something answers"


def test_what_a_bad_release_answered_and_printed_is_kept_with_the_way_back(shop: ServiceShop) -> None:
    shop.open_with("one")
    shop.commit(shop.words("broken", bake="60s", keep="60s"), "Say broken")
    shop.ok("deploy")
    for _ in range(5):
        assert shop.get("/visit").status == 500
    shop.run("rollback", "--no-revert-commit", timeout_s=60)
    eventually(shop.status, lambda found: found["deployment"] is None, within_s=30)
    number = max(deployment["deployment"] for deployment in shop.history()["deployments"])
    left = shop.ask("report", f"d{number}")["left"]
    assert left["release"] == 2
    assert left["counted"]["failed"] >= 5
    assert left["counted"]["answers"] == left["counted"]["failed"]
    assert "catalog: listening" in left["printed"]
    said = shop.ok("report", f"d{number}").said
    assert "what r2 left behind" in said
    assert "failed (5xx), 0 refused (4xx)" in said
    assert "printed by catalog: listening" in said
    assert "catalog: listening" in shop.ok("report", f"d{number}", "--format", "html").said


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_without_a_controller_the_command_goes_back_itself(shop: ServiceShop, warm: bool) -> None:
    shop.open_with("one")
    shop.release("two", keep="60s" if warm else "300ms", wait="good" if warm else "ended")
    shop.ok("stop")
    with shop.visited(per_second=100) as load:
        shop.ok("rollback", "r1", "--no-revert-commit", timeout_s=120)
        assert shop.get("/visit").body == "one"
        time.sleep(0.3)
    assert set(bodies(load)) == {"one", "two"}
    shop.ok("up", "--detach")
    eventually(lambda: len(shop.instances()), lambda count: count == 1, within_s=20)
    assert shop.get("/visit").body == "one"
