"""Waiting for a deployment: silence, controllers that go away, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from lastgood.errors import Unavailable
from lastgood.interfaces.cli.client import Controller
from lastgood.interfaces.cli.watching import Watch, is_reached, missed
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController
from tests.cli.recorded import deployment, report, step


def watch(controller: RecordedController, notes: list[str], **more: Any) -> Watch:
    client = Controller(controller.path)
    return Watch(client, 31, "ended", notes.extend, notes.append, quiet_s=0.05, away_s=0.5, **more)


def test_when_a_goal_is_reached() -> None:
    baking, moving = deployment(), deployment()
    moving["steps"][3]["phase"] = "started"
    assert [is_reached(found, "converged") for found in (baking, moving)] == [True, False]
    assert not is_reached(deployment(steps=[step("shift", "serve", "", "ended")]), "converged")
    asked = deployment(steps=[*baking["steps"], step("watch-bake:catalog", "watch", "", "started")])
    assert is_reached(asked, "converged"), "a hook that is asked while it bakes moves nothing"
    assert [is_reached(deployment(verdict=name), "good") for name in ("baking", "good")] == [False, True]
    assert not is_reached(deployment(verdict="good", steps=moving["steps"]), "good")
    assert not is_reached(baking, "ended")
    for over in ({"ended": {"live": 12, "outcome": "went back", "why": ""}}, {"halted": {"why": "", "choices": []}}):
        assert is_reached(deployment(**over), "good")


def test_an_end_is_missed_unless_it_was_wanted() -> None:
    back = deployment(ended={"live": 12, "outcome": "went back", "why": "no"})
    assert missed(deployment()) is None
    assert missed(back) is not None
    assert missed(back, wanted=("went back",)) is None


def test_who_waits_for_good_is_told_of_what_stays_undecided() -> None:
    assert is_reached(deployment(verdict="undecided"), "good"), "by itself it comes no further"
    done = {"live": 13, "outcome": "done", "why": ""}
    error = missed(deployment(verdict="undecided", ended=done), goal="good")
    assert error is not None
    assert "r13 is undecided" in error.what
    assert missed(deployment(verdict="good", ended=done), goal="good") is None
    assert missed(deployment(verdict="undecided", ended=done)) is None


def test_an_end_that_no_event_tells_is_found_in_the_silence(controller: RecordedController) -> None:
    looks: list[int] = []

    def status(_: object) -> object:
        looks.append(1)
        return recorded.status(deployment=deployment() if len(looks) < 4 else None)

    controller.says = {"GET /v1/status": status, "GET /v1/deployments/d31": report(deployment())}
    assert watch(controller, []).run()["deployment"] == 31


def test_a_controller_that_does_not_answer_is_complained_about_once(controller: RecordedController) -> None:
    looks: list[int] = []

    def status(_: object) -> object:
        looks.append(1)
        return (200, None) if len(looks) < 4 else recorded.status()

    controller.says = {"GET /v1/status": status, "GET /v1/deployments/d31": report(deployment())}
    notes: list[str] = []
    watch(controller, notes).run()
    assert len([note for note in notes if "still waiting, Ctrl-C detaches" in note]) == 1


def test_a_controller_that_restarts_is_found_again_and_no_event_told_twice(controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": recorded.status(deployment=deployment())}
    controller.events, controller.stream_ends = recorded.forward()[:4], True
    successor = RecordedController(controller.path)
    successor.says = {"GET /v1/status": recorded.status(), "GET /v1/deployments/d31": report(deployment())}
    successor.says["GET /v1/status"] = lambda _: recorded.status(
        deployment=deployment() if len(successor.bodies("GET /v1/events")) == 0 else None
    )
    successor.events = recorded.forward()
    notes: list[str] = []

    def replace() -> None:
        controller.stop()
        time.sleep(0.15)
        successor.start()

    thread = threading.Timer(0.15, replace)
    thread.start()
    try:
        watch(controller, notes).run()
    finally:
        thread.join()
        successor.stop()
    assert notes.count("  ok    try it on a proxy without traffic (52 ms)") == 1


def test_a_controller_that_stays_away_is_told(controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": recorded.status(deployment=deployment())}
    controller.stream_ends = True
    timer = threading.Timer(0.1, controller.stop)
    timer.start()
    with pytest.raises(Unavailable, match="went away while d31 was under way") as caught:
        watch(controller, []).run()
    timer.join()
    assert "lastgood rollback works without it" in (caught.value.next or "")


def test_events_before_a_moment_teach_and_are_not_told(controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": recorded.status(deployment=deployment())}
    controller.events = recorded.forward()
    last_at = controller.events[-1]["at"]
    notes: list[str] = []
    controller.says["GET /v1/deployments/d31"] = report(deployment())
    found = Watch(Controller(controller.path), 31, "ended", notes.extend, notes.append, last_at, quiet_s=0.05)
    timer = threading.Timer(0.3, lambda: controller.says.update({"GET /v1/status": recorded.status()}))
    timer.start()
    found.run()
    timer.join()
    assert notes == ["  ok    see that r12 gets no requests (208 ms)"]


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_ctrl_c_detaches_and_says_how_to_abort(project: Project, controller: RecordedController, command: str) -> None:
    number = {"deploy": 31, "rollback": 32}[command]
    under_way = deployment(deployment=number)
    controller.says = {
        "POST /v1/deploy": recorded.deploy_answer(),
        "POST /v1/rollback": recorded.rollback_answer(),
        "GET /v1/status": recorded.status(deployment=under_way),
    }
    wait = ["--wait", "ended"] if command == "deploy" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "lastgood", command, *wait],
        cwd=project.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline_s = time.monotonic() + 10
    while not controller.bodies("GET /v1/events") and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert f"detached: d{number} goes on by itself" in err
    assert "lastgood abort takes it back" in err
    assert "Traceback" not in err
    assert not controller.bodies("POST /v1/abort")


def test_a_reader_that_stops_reading_is_no_failure(project: Project, controller: RecordedController) -> None:
    releases = [recorded.live(release=n, subject="x" * 200) for n in range(2000)]
    controller.says = {"GET /v1/history": {"releases": releases, "deployments": []}}
    process = subprocess.Popen(
        [sys.executable, "-m", "lastgood", "history"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_status_watch_prints_what_changed_and_ends_with_ctrl_c(
    project: Project, controller: RecordedController
) -> None:
    looks: list[int] = []

    def status(_: object) -> object:
        looks.append(1)
        return recorded.status(unjournaled=len(looks) // 3)

    controller.says = {"GET /v1/status": status}
    process = subprocess.Popen(
        [sys.executable, "-m", "lastgood", "status", "--watch", "--json"],
        cwd=project.root, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["unjournaled"] for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert (process.wait(10), seen) == (0, [0, 1])
