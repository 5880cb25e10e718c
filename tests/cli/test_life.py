"""init, logs, secret, down, demo and the doctor, on real files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lastgood.bootstrap import Options
from lastgood.effects.secrets import SecretStore
from lastgood.errors import Unavailable
from lastgood.interfaces.cli import logs
from lastgood.interfaces.cli.render_doctor import checks
from lastgood.interfaces.cli.starting import project_name
from lastgood.interfaces.doctor import Check, examine
from lastgood.settings import prepare
from tests.cli import recorded
from tests.cli.conftest import Project
from tests.cli.controller import RecordedController


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_init_makes_a_repository_with_one_commit_and_says_what_is_next(project: Project) -> None:
    ran = project.run("init", "My Shop!")
    assert ran.code == 0
    made = project.root / "My Shop!"
    assert "project: my-shop\n" in (made / "lastgood.yaml").read_text()
    assert git(made, "log", "--format=%s") == "Begin with Lastgood"
    assert git(made, "status", "--short") == ""
    assert ran.out.splitlines()[-2:] == [f"  cd {made} && lastgood up --detach", "  lastgood deploy"]
    assert project.run("check", folder=made).code == 0


def test_init_touches_nobodys_history(project: Project) -> None:
    folder = project.root / "theirs"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a").write_text("a")
    git(folder, "add", "a")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "Theirs")
    ran = project.run("init", folder=folder)
    assert (ran.code, "not committed: git add lastgood.yaml" in ran.out) == (0, True)
    assert git(folder, "log", "--format=%s") == "Theirs"
    below = folder / "below"
    below.mkdir()
    refused = project.run("init", folder=below)
    assert (refused.code, f"next: lastgood init {folder}" in refused.err) == (4, True)
    assert not (below / "lastgood.yaml").exists()


def test_init_keeps_what_is_staged_out_of_its_commit(project: Project) -> None:
    folder = project.root / "unborn"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a").write_text("a")
    git(folder, "add", "a")
    assert project.run("init", folder=folder).code == 0
    assert git(folder, "ls-tree", "--name-only", "HEAD") == "lastgood.yaml"
    assert git(folder, "diff", "--cached", "--name-only") == "a"


def test_init_never_writes_over_a_file(project: Project) -> None:
    ran = project.run("init")
    assert (ran.code, (project.root / "lastgood.yaml").read_text()) == (4, "project: shop\n")
    assert project.run("init", "x", "--project", "No Name").code == 2


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop!", "my-shop"), ("...", "project"), ("_a_", "a"), ("x" * 99, "x" * 63)]
)
def test_a_folder_names_its_project(folder: str, name: str) -> None:
    assert project_name(Path("/home") / folder) == name


def test_a_secret_comes_from_a_pipe_and_is_never_shown(project: Project) -> None:
    ran = project.run("secret", "set", "acme_key", given="canary-4711\n")
    assert (ran.code, ran.out) == (0, "acme_key is stored; no controller is running\n")
    store = SecretStore(project.places.secrets)
    assert store.resolve("secret:acme_key") == "canary-4711"
    told = project.run("secret", "list")
    assert told.out.startswith("acme_key  set  20")
    assert "canary" not in told.out + project.run("secret", "list", "--json").out
    assert project.run("secret", "revoke", "acme_key").out == "acme_key is revoked; no controller is running\n"
    assert project.run("secret", "list").out.startswith("acme_key  revoked")
    assert project.run("secret", "set", "acme_key", "canary-4711").code == 2  # not on the command line


def test_no_secret_gets_into_a_commit_though_nobody_initialised_the_project(project: Project) -> None:
    """As in a clone, whose `.git/info/exclude` is not that of its origin."""
    git(project.root, "init", "-q", "-b", "main")
    project.run("secret", "set", "acme_key", given="canary-4711\n")
    git(project.root, "add", "--all")
    assert ".lastgood" not in git(project.root, "ls-files")
    assert found_by(project)["git"].level == "ok"
    (project.places.state / ".gitignore").unlink()
    ran = project.run("doctor")
    assert ran.code == 1
    assert "holds secrets, and Git does not ignore it" in ran.out
    git(project.root, "add", "--force", ".lastgood/secrets")
    assert "holds secrets, and files in it are committed, or about to be" in project.run("doctor").out


def test_a_changed_secret_goes_into_effect_at_once(project: Project, controller: RecordedController) -> None:
    controller.says = {"POST /v1/refresh": {}}
    assert project.run("secret", "set", "key", given="v1").out == "key is stored, and what is served is up to date\n"
    controller.says = {"POST /v1/refresh": (403, recorded.refusal("secret:key was revoked", "set it"))}
    ran = project.run("secret", "revoke", "key")
    assert ran.code == 4
    assert "key is revoked here, but what is served could not be brought up to date: secret:key was revoked" in ran.err


def on_a_terminal(folder: Path, answer: str, *arguments: str) -> tuple[int, str]:
    """Run with a terminal on all three streams."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "lastgood", *arguments])
    told = b""
    answered = False
    while True:
        try:
            found = os.read(terminal, 4096)
        except OSError:
            break
        told += found
        if not found:
            break
        if not answered and (b"[y/N]" in told or b"not shown" in told):
            os.write(terminal, answer.encode() + b"\n")
            answered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told.decode()


def test_a_secret_is_asked_for_without_echo(project: Project) -> None:
    code, told = on_a_terminal(project.root, "canary-4711", "secret", "set", "key")
    assert code == 0
    assert "value of key (it is not shown):" in told
    assert "canary" not in told
    assert SecretStore(project.places.secrets).resolve("secret:key") == "canary-4711"


def test_down_asks_a_person_and_refuses_a_program(project: Project) -> None:
    prepare(project.places)
    ran = project.run("down", given="y\n")
    assert (ran.code, "next: lastgood down --yes" in ran.err) == (4, True)
    code, told = on_a_terminal(project.root, "n", "down")
    assert code == 4
    assert "Every request is refused from then on. [y/N]" in told
    assert "nothing was stopped" in told


def test_stop_without_a_controller(project: Project) -> None:
    assert project.run("stop").code == 7


# --- logs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(project: Project) -> Path:
    prepare(project.places)
    path = project.places.logs / "controller.log"
    path.write_text("one\ntwo \x1b[31mred\nthree canary-4711 x\n")
    return path


def test_the_last_lines_without_secrets_and_control_characters(project: Project, log: Path) -> None:
    project.run("secret", "set", "key", given="canary-4711")
    assert project.run("logs", "-n", "2").out == "two \\x1b[31mred\nthree [redacted] x\n"
    assert project.run("logs", "--json", "-n", "1").json == {"log": str(log), "lines": ["three [redacted] x"]}
    assert project.run("logs", "-n", "0").out == ""


def test_a_log_that_is_not_there_names_those_that_are(project: Project, log: Path) -> None:
    ran = project.run("logs", "../../etc/passwd")
    assert (ran.code, "next: logs there are: controller" in ran.err) == (2, True)


def test_a_service_has_a_log_for_each_version(project: Project, log: Path) -> None:
    folder = log.parent / "services"
    folder.mkdir()
    (log.parent / "builds").mkdir()
    (log.parent / "builds/catalog-cccccccc.log").write_text("$ npm ci\n")
    (folder / "catalog@aaaaaaaa.log").write_text("old\n")
    assert project.run("logs", "catalog").out == "old\n"
    (folder / "catalog@bbbbbbbb.log").write_text("new\n")
    os.utime(folder / "catalog@aaaaaaaa.log", (1, 1))
    assert project.run("logs", "catalog").out == "aaaaaaaa | old\nbbbbbbbb | new\n"
    assert project.run("logs", "service:catalog", "-n", "1").out == "aaaaaaaa | old\nbbbbbbbb | new\n"
    assert project.run("logs", "build:catalog").out == "$ npm ci\n"
    (folder / "controller@aaaaaaaa.log").write_text("a service of that name\n")
    assert "three" in project.run("logs", "controller").out
    assert project.run("logs", "service:controller").out == "a service of that name\n"


def test_following_a_service_shows_a_version_that_is_new(log: Path) -> None:
    folder, seen = log.parent, list[str]()

    def follow() -> None:
        for path, line in logs.added(lambda: sorted(folder.glob("s@*.log")), {}):
            seen.append(f"{path.name}: {line}")
            if line == "second":
                return

    thread = threading.Thread(target=follow, daemon=True)
    (folder / "s@aaaaaaaa.log").write_text("first\n")
    thread.start()
    time.sleep(0.1)
    (folder / "s@bbbbbbbb.log").write_text("second\n")
    thread.join(10)
    assert seen == ["s@aaaaaaaa.log: first", "s@bbbbbbbb.log: second"]


def test_following_survives_the_rotation(log: Path) -> None:
    seen: list[str] = []
    _, end = logs.last_lines(log, 1)

    def follow() -> None:
        for _, line in logs.added(lambda: [log], {log: end}):
            seen.append(line)
            if line == "last":
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    with log.open("a") as file:
        file.write("four\nfi")
        file.flush()
        time.sleep(0.3)
        file.write("ve\n")
        file.flush()
        time.sleep(0.3)
    os.truncate(log, 0)
    time.sleep(0.3)
    with log.open("a") as file:
        file.write("last\n")
    thread.join(5)
    assert seen == ["four", "five", "last"]


# --- doctor ------------------------------------------------------------------------------------------------------


def found_by(project: Project) -> dict[str, Check]:
    return {check.name: check for check in examine(project.places)}


def test_the_doctor_of_a_new_project(project: Project) -> None:
    git(project.root, "init", "-q", "-b", "main")
    found = found_by(project)
    assert (found["state"].level, found["state"].next) == ("warn", "lastgood up")
    assert found["git"].level == "ok"
    assert found["envoy"].level == "ok"
    assert "1.40.0" in found["envoy"].what
    assert not project.places.state.exists()


def test_the_doctor_sees_what_is_open_to_others(project: Project) -> None:
    prepare(project.places)
    project.places.logs.chmod(0o755)
    ran = project.run("doctor")
    assert ran.code == 1
    assert f"fail  state       others can read {project.places.logs}\n" in ran.out
    assert f"next: chmod 700 {project.places.logs}" in ran.out


def test_the_doctor_sees_a_damaged_journal(project: Project) -> None:
    prepare(project.places)
    project.places.journal.write_bytes(b"this is no database" * 100)
    project.places.journal.chmod(0o600)
    found = found_by(project)
    assert (found["journal"].level, "damaged" in found["journal"].what) == ("fail", True)
    assert found["controller"].level == "warn"
    assert found["proxies"].level == "warn"


def test_the_doctor_asks_the_controller(project: Project, controller: RecordedController) -> None:
    halted = recorded.deployment(halted={"why": "both sick", "choices": ["lastgood retry"]})
    proxies = [
        recorded.proxy("proxy-1"),
        recorded.proxy("proxy-2", connected=False),
        recorded.proxy("proxy-3", refusal="no"),
    ]
    controller.says = {"GET /v1/status": recorded.status(unjournaled=2, proxies=proxies, deployment=halted)}
    found = examine(project.places)
    told = [check.what for check in found if check.level == "fail"]
    assert "2 events wait for room on the disk" in told
    assert "d31 halted: both sick" in told
    assert "away: what it serves is unknown" in told
    assert "it refused: no" in told


def test_the_doctors_page() -> None:
    found = [Check("state", "ok", "/x"), Check("disk", "warn", "9 MiB", "make room"), Check("git", "fail", "gone")]
    assert checks(found) == [
        "ok    state  /x",
        "warn  disk   9 MiB",
        "      next: make room",
        "fail  git    gone",
        "1 failure, 1 warning",
    ]
    assert checks(found[:1])[-1] == "all is well"


def test_how_it_is_started_needs_no_room_when_it_is_written_already(project: Project) -> None:
    prepare(project.places)
    options = Options(proxies=2, follow="main")
    options.save(project.places.options)
    (project.places.options.with_suffix(".new")).mkdir()  # nothing can be written there
    options.save(project.places.options)
    with pytest.raises(Unavailable, match="how it is started cannot be written"):
        Options(proxies=3).save(project.places.options)
    assert Options.load(project.places.options) == options


def test_who_stops_everything_is_told_how_it_ran(project: Project) -> None:
    prepare(project.places)
    assert "as it was again: lastgood up --detach\n" in project.run("down", "--yes").out
    Options(proxies=2, follow="main").save(project.places.options)
    assert "as it was again: lastgood up --detach --proxies 2 --follow main\n" in project.run("down", "--yes").out
    elsewhere = project.places.state
    said = project.run("down", "--yes", "--state", str(elsewhere)).out
    assert f"as it was again: lastgood up --detach --proxies 2 --follow main --state {elsewhere}\n" in said
