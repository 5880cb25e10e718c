"""The commands that only look, and the texts around every command."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest

from lastgood.interfaces.cli.app import run
from lastgood.interfaces.cli.session import Surroundings
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController


def test_status_history_diff_and_report(project: Project, controller: RecordedController) -> None:
    found = {
        "GET /v1/status": recorded.status(),
        "GET /v1/history": {"releases": [recorded.live()], "deployments": []},
        "GET /v1/diff": {"changes": [recorded.change("policy office: removed", "loosens")]},
        "GET /v1/deployments/d31": recorded.report(recorded.deployment()),
        "POST /v1/check": recorded.deploy_answer(),
        "POST /v1/plan/deploy": {**recorded.deploy_answer(), "held_by": None, "live": 12, "basis": "a8f1"},
    }
    controller.says = dict(found)
    commands = (
        ("status",), ("history", "--limit", "7"), ("diff", "r12", "main"), ("report", "d31"),
        ("check", "HEAD~1"), ("plan", "deploy", "HEAD~2"),
    )  # fmt: skip
    begins = (
        'live: r13 "Raise', "releases\n  r13", "  LOOSENS  policy office: removed\n", "d31: deploy r12 -> r13",
        '7a53198103c3 "Raise the limit" (main): 2 routes, no problem\n', '7a53198103c3 "Raise the limit" (main), comp',
    )  # fmt: skip
    for command, begin, said in zip(commands, begins, found.values(), strict=True):
        ran = project.run(*command)
        assert (ran.code, ran.err, ran.out[: len(begin)]) == (0, "", begin)
        assert project.run(*command, "--json").json == said
    assert controller.bodies("GET /v1/history")[0] == {"limit": "7"}
    assert controller.bodies("GET /v1/diff")[0] == {"old": "r12", "new": "main"}
    assert controller.bodies("POST /v1/check")[0] == {"revision": "HEAD~1"}
    assert controller.bodies("POST /v1/plan/deploy")[0] == {"revision": "HEAD~2"}
    unknown = {"release": 13, "verdict": "baking", "basis": "timed", "evidence": "", "measured": None}
    controller.says["GET /v1/verdict/r13"] = unknown
    assert project.run("report", "d31", "--markdown").out.startswith("# d31: deploy r12 -> r13\n")


def test_a_deployment_with_a_slash_is_one_name(project: Project, controller: RecordedController) -> None:
    project.run("report", "../status")
    assert controller.asked[-1][0] == "GET /v1/deployments/..%2Fstatus"


def test_control_characters_of_a_subject_are_shown_and_not_obeyed(
    project: Project, controller: RecordedController
) -> None:
    controller.says = {"GET /v1/status": recorded.status(live=recorded.live(subject="\x1b]0;pwned\x07\r\x1b[2J"))}
    told = project.run("status").out
    assert "\x1b" not in told
    assert r"\x1b]0;pwned\x07\r\x1b[2J" in told


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_only_on_a_terminal_that_wants_them(
    project: Project, controller: RecordedController, environment: dict[str, str], coloured: bool
) -> None:
    controller.says = {"GET /v1/status": recorded.status(unjournaled=1)}
    screen = Screen()
    assert run(["status"], Surroundings(io.StringIO(), screen, screen, environment, project.root, True)) == 0
    assert ("\x1b[1;31mUNJOURNALED\x1b[0m" in screen.getvalue()) is coloured
    assert "\x1b" not in project.run("status").out


def test_a_project_is_found_from_below_and_by_its_state(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": recorded.status()}
    below = project.root / "a" / "b"
    below.mkdir(parents=True)
    assert project.run("status", folder=below).code == 0
    elsewhere = Path("/")
    state = str(project.places.state)
    assert project.run("status", "--state", state, folder=elsewhere).code == 0
    assert project.run("--state", state, "status", folder=elsewhere).code == 0
    project.environment["LASTGOOD_STATE"] = state
    assert project.run("status", folder=elsewhere).code == 0


def test_outside_of_a_project(project: Project) -> None:
    ran = project.run("status", folder=Path("/"))
    assert (ran.code, ran.out) == (7, "")
    assert ran.err.startswith("error: /: this is not a Lastgood project")
    assert "next: lastgood init" in ran.err
    told = project.run("status", "--json", folder=Path("/"))
    assert (told.json["error"]["exit_code"], told.err) == (7, "")


def test_a_busy_controller_is_a_message_and_no_hang(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": (200, None)}
    ran = project.run("status")
    assert (ran.code, "hung up" in ran.err) == (7, True)


def test_the_schema_is_one(project: Project) -> None:
    made = json.loads(project.run("schema").out)
    jsonschema.Draft202012Validator.check_schema(made)
    assert "project" in made["required"]
    assert "required" not in json.loads(project.run("schema", "--plug").out)
