"""The client against a real HTTP server on a Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lastgood import errors
from lastgood.errors import ConfigError, LastgoodError, Problem, Refused, Unavailable, UsageError
from lastgood.interfaces.cli.client import Controller, NoAnswer, NotRunning, find_controller
from lastgood.interfaces.cli.failure import as_json, from_json
from lastgood.interfaces.http.app import describe
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController


def every_kind() -> list[LastgoodError]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LastgoodError)]
    plain = [kind("what", where="where", next="next") for kind in kinds if kind is not ConfigError]
    return [*plain, ConfigError((Problem("lastgood.yaml", 3, "unknown key", "did you mean to?"),))]


@pytest.mark.parametrize("error", every_kind(), ids=lambda error: type(error).__name__)
def test_errors_come_through_as_what_they_were(error: LastgoodError) -> None:
    again = from_json(describe(error))
    assert type(again) is type(error)
    assert (again.what, again.where, again.next) == (error.what, error.where, error.next)
    assert (again.code, again.exit_code) == (error.code, error.exit_code)
    assert as_json(error) == {"error": describe(error)}


def test_an_error_of_an_unknown_code_keeps_its_exit_code() -> None:
    error = from_json({"code": "journal-full", "exit_code": 9, "what": "the disk is full"})
    assert (type(error), error.code, error.exit_code) == (LastgoodError, "journal-full", 9)


def test_answers_and_refusals(controller: RecordedController) -> None:
    controller.says = {
        "GET /v1/history": {"releases": []},
        "POST /v1/rollback": (403, recorded.refusal("it would loosen security")),
    }
    client = Controller(controller.path)
    assert client.get("/v1/history", limit=3) == {"releases": []}
    assert controller.asked[-1] == ("GET /v1/history", {"limit": "3"})
    with pytest.raises(Refused, match="it would loosen security"):
        client.post("/v1/rollback", {"target": "r1"})


def test_what_the_server_does_not_understand_is_a_usage_error(controller: RecordedController) -> None:
    wrong = [{"loc": ["body", "percent"], "msg": "Input should be greater than 0"}]
    controller.says = {"POST /v1/deploy": (422, {"detail": wrong})}
    with pytest.raises(UsageError, match="percent: Input should be greater than 0"):
        Controller(controller.path).post("/v1/deploy", {})


@pytest.mark.parametrize("said", [(500, b"Internal Server Error"), (200, b"<html>"), (200, [1])])
def test_an_answer_without_sense_is_told(controller: RecordedController, said: object) -> None:
    controller.says = {"GET /v1/status": said}
    with pytest.raises(LastgoodError) as caught:
        Controller(controller.path).get("/v1/status")
    assert caught.value.next == "lastgood logs controller"


def test_nobody_there(project: Project) -> None:
    with pytest.raises(NotRunning):
        find_controller(project.places)
    with pytest.raises(NotRunning):
        Controller(project.root / "none.sock").get("/v1/status")
    assert not project.places.state.exists()  # looking leaves nothing behind


def test_a_socket_whose_owner_died(project: Project) -> None:
    path = project.root / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning):
        Controller(path).get("/v1/status")


def test_a_frozen_controller_is_waited_for_no_longer_than_said(controller: RecordedController) -> None:
    controller.delay_s = 5
    with pytest.raises(NoAnswer, match=r"did not answer within 0.2 s; it may have done what it was asked"):
        Controller(controller.path).get("/v1/status", timeout_s=0.2)


def test_a_controller_that_hangs_up(controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": (200, None)}
    with pytest.raises(NoAnswer, match="hung up"):
        Controller(controller.path).get("/v1/status")


def test_events_are_streamed(controller: RecordedController) -> None:
    controller.events, controller.stream_ends = recorded.back(), True
    assert list(Controller(controller.path).events(32, after=105)) == recorded.back()[6:]


def test_a_state_directory_of_somebody_else(project: Project) -> None:
    (project.places.state / "run").mkdir(parents=True)
    (project.places.state / "run").chmod(0o755)
    with pytest.raises(Unavailable, match="open to others") as caught:
        find_controller(project.places)
    assert not isinstance(caught.value, NotRunning)
    assert Path(caught.value.where or "") == project.places.state
