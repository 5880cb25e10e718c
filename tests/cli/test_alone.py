"""The same commands without any controller: a real journal, no proxy that answers, nothing left behind."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastgood.bootstrap import api_socket, open_journal
from lastgood.effects.processes.holder import holder
from lastgood.effects.system_clock import SystemClock
from lastgood.errors import Conflict
from lastgood.interfaces.alone import with_verbs
from lastgood.interfaces.cli.asking import alone, nothing_goes_back
from lastgood.interfaces.cli.session import Session, Surroundings
from lastgood.interfaces.cli.starting import begin_project
from lastgood.operations.deploy import DeployAsk
from lastgood.operations.verbs import Verbs
from lastgood.settings import Places, prepare
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController


@pytest.fixture(scope="module")
def template() -> Iterator[Places]:
    """r1 and, live and baking, r2, whose timeout is shorter."""
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    places = Places(folder / "shop", folder / "shop" / ".lastgood")
    begin_project(places.root, None)
    prepare(places)
    deploy(places)
    path = places.root / "lastgood.yaml"
    path.write_text(path.read_text().replace("timeout: 15s", "timeout: 9s"))
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(["git", "-C", places.root, *who, "commit", "-qam", "Shorter"], check=True)
    deploy(places)
    yield places
    shutil.rmtree(folder)


@pytest.fixture
def deployed(project: Project, template: Places) -> Project:
    """A copy of it."""
    root = project.root / "shop"
    shutil.copytree(template.root, root)
    return Project(Places(root, root / ".lastgood"))


def deploy(places: Places) -> None:
    async def action(verbs: Verbs) -> dict[str, object]:
        return await verbs.deploy("HEAD", DeployAsk(by="test"))

    def is_baking(verbs: Verbs) -> bool:
        found = verbs.loop.state.deployment
        return found is not None and "bake" in found.progress

    with_verbs(places, action, until=is_baking)


def test_it_looks_marks_and_rolls_back_by_itself(deployed: Project) -> None:
    told = deployed.run("status")
    assert told.code == 0
    assert told.out.startswith('live: r2 "Shorter"')
    assert "controller: not running, this is what the journal says last" in told.out
    assert "could not be observed" not in told.out  # there is no service that could be
    refused = deployed.run("rollback")
    assert (refused.code, "no release is known good" in refused.err) == (4, True)
    assert "d1" in deployed.run("history").out
    assert deployed.run("plan", "rollback", "r1").out.startswith("r2 -> r1: asked for by number")
    assert deployed.run("plan", "deploy").code == 0
    marked = deployed.run("mark", "r1", "good")
    assert (marked.code, marked.out) == (0, "r1 is good\n")
    assert "no controller is running: doing it here" in marked.err

    ran = deployed.run("rollback", "-m", "slow")
    assert ran.code == 0
    told_lines = ran.out.splitlines()
    assert told_lines[0].startswith("d3: r2 -> r1, known good (marked")
    assert "  ok    write the revert commit on main" in ran.out
    assert told_lines[-2].startswith(
        "r1 is live: 0 of 1 proxy acknowledged; proxy-1 is away: what it serves is unknown"
    )
    assert told_lines[-1].startswith("revert commit ")
    assert deployed.run("status", "--json").json["live"]["release"] == 1
    assert deployed.run("confirm").code == 4
    assert deployed.run("abort").code == 4
    assert deployed.run("tag", "stable").out == "stable is r1\n"


def test_abort_takes_back_what_was_under_way(deployed: Project) -> None:
    ran = deployed.run("abort", "-m", "no")
    assert ran.code == 0
    assert "r1 is live" in ran.out
    assert deployed.run("promote").code == 7


def test_a_frozen_controller_is_taken_over_from(deployed: Project) -> None:
    frozen = RecordedController(api_socket(deployed.places))
    frozen.delay_s = 30
    frozen.start()
    try:
        ran = deployed.run("rollback", "previous")
    finally:
        frozen.stop()
    assert ran.code == 0
    assert "the controller does not answer: taking over from it" in ran.err
    assert "r1 is live" in ran.out


def test_a_controller_that_lives_is_not_taken_over_from(project: Project) -> None:
    prepare(project.places)
    journal = open_journal(project.places)
    journal.take_over(holder(), SystemClock().now(), is_alive=False)
    nothing = io.StringIO()
    session = Session(Surroundings(nothing, nothing, nothing, {}, Path(project.root), False))

    async def action(verbs: Verbs) -> dict[str, object]:
        raise AssertionError("must not act")

    try:
        with pytest.raises(Conflict, match="a controller is running"):
            alone(session, action, until=nothing_goes_back, patience_s=0.3)
    finally:
        journal.close()


def test_a_controller_that_comes_back_meanwhile_is_asked(deployed: Project) -> None:
    """It was killed and is being started again: it has its lease, and its socket is not there yet."""
    journal = open_journal(deployed.places)
    journal.take_over(holder(), SystemClock().now(), is_alive=False)
    started = RecordedController(api_socket(deployed.places))
    started.says["GET /v1/status"] = {}
    started.says["POST /v1/rollback"] = recorded.rollback_answer()
    coming = threading.Timer(0.5, started.start)
    coming.start()
    try:
        ran = deployed.run("rollback", "--no-wait")
    finally:
        coming.join()
        started.stop()
        journal.close()
    assert ran.code == 0, ran.err
    assert len(started.bodies("POST /v1/rollback")) == 1
