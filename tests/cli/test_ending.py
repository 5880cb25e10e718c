"""How a command line ends: help, misunderstandings, defects."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from lastgood.interfaces.cli.app import make_app
from lastgood.interfaces.cli.ending import ending
from lastgood.interfaces.cli.reference import commands, exit_codes
from lastgood.interfaces.cli.session import Surroundings
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(make_app()).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found += [(name, one) for one in below] if below else [(name,)]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_has_help_that_explains_each_option(
    project: Project, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert project.run(*command, "--help").code == 0
    told = capsys.readouterr().out
    assert "Usage: lastgood " + " ".join(command) in told
    explained = [line for line in told.splitlines() if re.match(r"  -", line)]
    assert {"--json", "--state", "--help"} <= set(re.findall(r"--[a-z-]+", " ".join(explained)))
    found: Any = typer.main.get_command(make_app())
    for name in command:
        found = found.commands[name]
    assert found.help
    assert all(param.help for param in found.params if param.param_type_name == "option")


def test_every_command_the_design_asks_for_is_there() -> None:
    names = {" ".join(command) for command in every_command()}
    assert names >= {
        "init", "up", "stop", "down", "status", "check", "deploy", "rollback", "history", "diff", "report", "confirm",
        "promote", "pause", "resume", "abort", "retry", "mark", "tag", "logs", "schema", "doctor", "demo",
        "plan deploy", "plan rollback",
        "secret set", "secret list", "secret revoke",
    }  # fmt: skip


def test_nothing_at_all_is_help(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run().code == 0
    assert "Usage: lastgood" in capsys.readouterr().out


def test_the_version(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run("--version").code == 0
    assert re.fullmatch(r"lastgood \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "wrong", [("nope",), ("deploy", "--nope"), ("report",), ("plan",), ("mark", "r1"), ("history", "--limit", "x")]
)
def test_what_is_not_understood_is_exit_code_2(project: Project, wrong: tuple[str, ...]) -> None:
    ran = project.run(*wrong)
    assert (ran.code, ran.out) == (2, "")
    assert re.match(r"error: .+\n  next: lastgood.* --help\n", ran.err)
    assert project.run(*wrong, "--json").json["error"]["code"] == "usage"


def test_a_defect_is_one_line_and_its_traceback_is_in_the_log(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/status": {"live": {}}}  # an answer this version cannot read
    (project.places.secrets).mkdir(mode=0o700)
    secret = project.places.secrets / "key"
    secret.write_text("'proxies'" * 3)
    secret.chmod(0o600)
    ran = project.run("status")
    assert ran.code == 70
    assert ran.err.startswith(f"error: {project.places.logs}/cli.log: a defect of lastgood: KeyError\n")
    assert "Traceback" not in ran.err
    log = project.places.logs / "cli.log"
    assert "KeyError" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert project.run("status", "--json").json["error"]["code"] == "defect"


def test_the_traceback_of_a_defect_has_no_secrets(project: Project, controller: RecordedController) -> None:
    controller.says = {"GET /v1/diff": {"changes": [{"effect": None, "canary-4711": ""}]}}
    project.run("secret", "set", "key", given="text")
    project.run("diff", "a", "b")
    told = (project.places.logs / "cli.log").read_text()
    assert "[redacted]" in told  # the missing key is called text, as the secret
    assert "KeyError: 'text'" not in told


def test_outside_of_a_project_a_defect_is_told_all_the_same(project: Project) -> None:
    ran = project.run("init", "a\0b", folder=Path("/tmp"))
    assert (ran.code, ran.err.splitlines()[0]) == (70, "error: a defect of lastgood: ValueError")


def test_the_program_itself(project: Project) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "lastgood", "status", "--json"], cwd="/", capture_output=True, text=True, timeout=20
    )
    assert (ran.returncode, json.loads(ran.stdout)["error"]["code"], ran.stderr) == (7, "unavailable", "")


@pytest.mark.parametrize(("page", "made"), [("commands.md", commands), ("exit-codes.md", exit_codes)])
def test_the_reference_is_what_the_code_says(page: str, made: Callable[[], str]) -> None:
    name = f"from lastgood.interfaces.cli.reference import {made.__name__}; print({made.__name__}(), end='')"
    assert (REFERENCE / page).read_text() == made(), f'python -c "{name}" > docs/reference/{page}'


INTERRUPTED = """
import sys
from lastgood.__main__ import main
class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "lastgood.interfaces.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
main()
"""


def test_ctrl_c_before_anything_is_imported_ends_quietly() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("command", "told"), [("deploy", True), ("rollback", True), ("status", False)])
def test_ctrl_c_before_an_answer_says_that_what_began_goes_on(command: str, told: bool, tmp_path: Path) -> None:
    err = io.StringIO()
    with ending([command], Surroundings(io.StringIO(), io.StringIO(), err, {}, tmp_path, False)) as end:
        raise KeyboardInterrupt
    assert end.code == 130
    assert ("it goes on: lastgood status" in err.getvalue()) is told
