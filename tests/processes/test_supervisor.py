"""Real processes under a real supervisor: who dies, who lives on, who comes back."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lastgood.effects.processes.client import SupervisedProcesses, ensure_supervisor
from lastgood.effects.processes.identity import stat_of
from lastgood.effects.processes.run_directory import open_run_directory
from lastgood.errors import Failed, Fenced, Refused, Unavailable
from lastgood.process import ProcessState
from tests.processes.conftest import COMMAND, PATIENCE_S, Site

pytestmark = pytest.mark.timeout(90)
STUBBORN = "trap '' TERM; sh -c \"trap '' TERM; while :; do sleep 1; done\" & echo ready; while :; do sleep 1; done"


async def state_of(client: SupervisedProcesses, key: str) -> ProcessState:
    return next(state for state in await client.list() if state.key == key)


async def until(client: SupervisedProcesses, key: str, **wanted: object) -> ProcessState:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for state in await client.list():
                if state.key == key and all(getattr(state, name) == value for name, value in wanted.items()):
                    return state
            await asyncio.sleep(0.01)


# --- the supervisor dies ---------------------------------------------------------------------------------------------


async def test_children_outlive_a_killed_supervisor_and_the_next_one_adopts_them(site: Site) -> None:
    client = site.supervise()
    before = [await client.start(site.spec(key)) for key in ("a", "b")]
    site.kill_supervisor()
    assert site.ours() == {state.pid for state in before}
    client = site.supervise()
    after = await client.list()
    assert [(s.key, s.pid, s.started_s) for s in after] == [(s.key, s.pid, s.started_s) for s in before]
    assert all(state.adopted and state.restarts == 0 for state in after)
    assert site.ours() == {state.pid for state in before}


async def test_an_adopted_process_is_restarted_and_stopped_like_any_other(site: Site) -> None:
    first = await site.supervise().start(site.spec("a"))
    site.kill_supervisor()
    client = site.supervise()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        while (state := await state_of(client, "a")).pid in (None, first.pid):
            await asyncio.sleep(0.01)
    assert (state.adopted, state.last_exit, state.restarts) == (False, None, 1)
    site.kill_supervisor()
    client = site.supervise()
    assert await client.stop("a")
    assert site.ours() == set()


async def test_the_same_start_after_adoption_starts_nothing(site: Site) -> None:
    first = await site.supervise().start(site.spec("a"))
    site.kill_supervisor()
    assert (await site.supervise().start(site.spec("a"))).pid == first.pid
    assert site.ours() == {first.pid}


async def test_a_child_that_died_unwatched_is_started_again_without_what_it_left(site: Site) -> None:
    first = await site.supervise().start(site.spec("a", "sh", "-c", "sleep 1000 & wait"))
    site.until(lambda: len(site.ours("a")) == 2)
    left = site.ours("a") - {first.pid}
    site.kill_supervisor()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    client = site.supervise()
    state = await until(client, "a", phase="running")
    assert state.pid != first.pid
    site.until(lambda: len(site.ours("a")) == 2 and not left & site.ours("a"))


async def test_a_supervisor_killed_between_the_start_and_the_record_of_the_pid_starts_no_second_one(site: Site) -> None:
    first = await site.supervise().start(site.spec("a"))
    site.kill_supervisor()
    path = site.root / "processes" / "a.json"
    record = json.loads(path.read_text())
    assert record["identity"][0] == first.pid
    path.write_text(json.dumps({**record, "identity": None}))
    state = await state_of(site.supervise(), "a")
    assert (state.pid, state.adopted, state.phase) == (first.pid, True, "running")
    assert site.ours() == {first.pid}


@pytest.mark.parametrize("content", ["", '{"version": 1, "sp', "[]", "\0" * 100, '{"version": 9}'])
async def test_a_torn_record_loses_no_process(site: Site, content: str) -> None:
    """It is an orphan until somebody says again what it is; then it is the same process still."""
    first = await site.supervise().start(site.spec("a"))
    site.kill_supervisor()
    (site.root / "processes" / "a.json").write_text(content)
    client = site.supervise()
    state = await state_of(client, "a")
    assert (state.phase, state.pid) == ("orphan", first.pid)
    again = await client.start(site.spec("a"))
    assert (again.phase, again.pid) == ("running", first.pid)
    site.kill_supervisor()
    assert (await state_of(site.supervise(), "a")).phase == "running"


async def test_a_copy_of_the_directory_takes_nothing_over(site: Site, tmp_path: Path) -> None:
    """What its records tell of belongs to the one that it was copied from: neither adopted, nor started, nor ended."""
    original = site.supervise()
    first = await original.start(site.spec("a"))
    root = tmp_path / "copy"
    shutil.copytree(site.root, root, ignore=shutil.ignore_patterns("*.sock"))
    copy = Site(root, open_run_directory(str(root)))
    try:
        client = copy.supervise()
        assert not await client.list()
        assert (await client.start(copy.spec("a"))).pid != first.pid
    finally:
        copy.close()
    state = await state_of(original, "a")
    assert (state.pid, state.phase, state.restarts) == (first.pid, "running", 0)


async def test_an_orphan_is_replaced_by_another_spec_and_can_be_stopped(site: Site) -> None:
    client = site.supervise()
    for key in ("a", "b"):
        await client.start(site.spec(key))
    site.kill_supervisor()
    for key in ("a", "b"):
        (site.root / "processes" / f"{key}.json").unlink()
    client = site.supervise()
    other = await client.start(site.spec("a", "sleep", "2000"))
    assert site.ours("a") == {other.pid}
    assert await client.stop("b")
    assert site.ours("b") == set()


@pytest.mark.parametrize("change", [{"start": -1}, {"marker": "x/a/00000000/1"}, {"boot": "other"}])
async def test_a_pid_that_is_somebody_elses_is_left_alone(site: Site, change: dict[str, object]) -> None:
    """A record that names a living process which is not ours: not adopted, not ended; ours is started."""
    await site.supervise().start(site.spec("a"))
    site.kill_supervisor()
    for pid in site.ours("a"):
        os.kill(pid, signal.SIGKILL)
    path = site.root / "processes" / "a.json"
    record = json.loads(path.read_text())
    env = {"PATH": os.environ["PATH"], "LASTGOOD_MARKER": "somebody/else/0/0"}
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True, env=env)
    try:
        seen = stat_of(stranger.pid)
        assert seen is not None
        _, _, boot, marker = record["identity"]
        start = seen.start_ticks + int(str(change.get("start", 0)))
        record["identity"] = [stranger.pid, start, change.get("boot", boot), change.get("marker", marker)]
        path.write_text(json.dumps(record))
        state = await until(site.supervise(), "a", phase="running")
        assert state.pid != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(PATIENCE_S)


async def test_sigterm_ends_the_supervisor_and_nothing_else(site: Site) -> None:
    first = await site.supervise().start(site.spec("a"))
    site.supervisors[-1].terminate()
    assert site.supervisors[-1].wait(PATIENCE_S) == 0
    assert site.ours() == {first.pid}
    assert not os.path.exists(site.run.socket_path)
    assert "1 processes go on" in site.said()


async def test_shutdown_keeps_or_stops(site: Site) -> None:
    client = site.supervise()
    first = await client.start(site.spec("a"))
    await client.shutdown(keep=True)
    assert site.supervisors[-1].wait(PATIENCE_S) == 0
    assert site.ours() == {first.pid}
    client = site.supervise()
    await client.start(site.spec("b", "sh", "-c", STUBBORN, grace_s=0.2))
    await client.shutdown(keep=False)
    assert site.supervisors[-1].wait(PATIENCE_S) == 0
    assert site.ours() == set()
    assert os.listdir(site.root / "processes") == []


async def test_a_stop_under_way_is_finished_by_the_next_supervisor(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=0.5))
    site.until(lambda: "ready" in site.log("a"))
    stop = asyncio.create_task(client.stop("a"))
    await until(client, "a", phase="stopping")
    site.kill_supervisor()
    with pytest.raises(Unavailable):
        await stop
    assert site.ours("a")
    client = site.supervise()
    site.until(lambda: not site.ours("a"))
    async with asyncio.timeout(PATIENCE_S):
        while await client.list():
            await asyncio.sleep(0.01)


async def test_a_replacement_under_way_is_finished_by_the_next_supervisor(site: Site) -> None:
    client = site.supervise()
    first = await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=0.5))
    site.until(lambda: "ready" in site.log("a"))
    replacement = asyncio.create_task(client.start(site.spec("a", "sleep", "3000")))
    await until(client, "a", phase="stopping")
    site.kill_supervisor()
    with pytest.raises(Unavailable):
        await replacement
    state = await until(site.supervise(), "a", phase="running")
    assert state.pid != first.pid
    assert site.ours("a") == {state.pid}
    assert state.pid is not None
    assert Path(f"/proc/{state.pid}/cmdline").read_bytes() == b"sleep\x003000\0"


# --- there is one supervisor -----------------------------------------------------------------------------------------


async def test_a_second_supervisor_is_refused(site: Site) -> None:
    client = site.supervise()
    second = subprocess.run([*COMMAND, str(site.root)], capture_output=True, timeout=PATIENCE_S)
    assert second.returncode == 5
    assert b"another supervisor runs on" in second.stderr
    assert await client.ping() == site.supervisors[0].pid


async def test_it_is_brought_back_detached_and_only_once(site: Site) -> None:
    clients = await asyncio.gather(*(ensure_supervisor(str(site.root)) for _ in range(3)))
    pids = {await client.ping() for client in clients}
    assert len(pids) == 1
    pid = pids.pop()
    seen = stat_of(pid)
    assert seen is not None
    assert seen.session != os.getsid(0)
    first = await clients[0].start(site.spec("a"))
    os.kill(pid, signal.SIGKILL)
    client = await ensure_supervisor(str(site.root))
    assert await client.ping() != pid
    assert [(s.pid, s.adopted) for s in await client.list()] == [(first.pid, True)]
    await client.shutdown(keep=False)


async def test_nothing_of_our_environment_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither secrets, nor our own marker: stopping us would then stop the supervisor that has to bring us back."""
    monkeypatch.setenv("LASTGOOD_MARKER", "somebody/else/0/0")
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    client = await ensure_supervisor(str(site.root))
    environment = Path(f"/proc/{await client.ping()}/environ").read_bytes()
    assert b"LASTGOOD_MARKER" not in environment
    assert b"hunter2" not in environment
    await client.shutdown(keep=False)


async def test_a_stale_socket_is_replaced_and_is_ours_alone(site: Site) -> None:
    Path(site.run.socket_path).write_text("left behind")
    client = site.supervise()
    assert await client.ping()
    mode = os.stat(site.run.socket_path).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_nobody_there_is_said_so(site: Site) -> None:
    client = SupervisedProcesses(site.run)
    with pytest.raises(Unavailable, match="cannot be asked") as caught:
        await client.list()
    assert caught.value.next is not None
    assert "lastgood up" in caught.value.next


async def test_a_supervisor_that_hangs_is_not_waited_for(site: Site) -> None:
    site.supervise()
    site.supervisors[-1].send_signal(signal.SIGSTOP)
    client = SupervisedProcesses(site.run, timeout_s=0.3)
    with pytest.raises(Unavailable, match=r"within 0\.3 s"):
        await client.start(site.spec("a"))
    site.supervisors[-1].send_signal(signal.SIGCONT)
    patient = SupervisedProcesses(site.run)
    state = await patient.start(site.spec("a"))
    assert site.ours("a") == {state.pid}


async def test_a_controller_that_was_replaced_is_fenced(site: Site) -> None:
    site.supervise()
    old, new = SupervisedProcesses(site.run, epoch=3), SupervisedProcesses(site.run, epoch=4)
    await old.start(site.spec("a"))
    await new.start(site.spec("b"))
    with pytest.raises(Fenced):
        await old.stop("b")
    site.kill_supervisor()
    site.supervise()
    with pytest.raises(Fenced):
        await old.start(site.spec("c"))
    assert [state.key for state in await old.list()] == ["a", "b"]


# --- children die ----------------------------------------------------------------------------------------------------


async def test_a_killed_child_comes_back_and_takes_what_it_started_with_it(site: Site) -> None:
    client = site.supervise()
    first = await client.start(site.spec("a", "sh", "-c", "sleep 1000 & setsid sleep 1000 & wait"))
    site.until(lambda: len(site.ours("a")) == 3)
    before = site.ours("a")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    started = time.monotonic()
    site.until(lambda: len(site.ours("a")) == 3 and not before & site.ours("a"))
    assert time.monotonic() - started < 3
    state = await until(client, "a", phase="running")
    assert (state.restarts, state.last_exit) == (1, -9)


async def test_a_crash_loop_slows_down(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a", "sh", "-c", "date +%s.%N; exit 7"))
    await until(client, "a", restarts=4)
    state = await until(client, "a", phase="backoff")
    assert (state.last_exit, state.pid) == (7, None)
    times = [float(line) for line in site.log("a").split()]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for gap, delay in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=False):
        assert delay <= gap < delay + 0.35, gaps
    started = time.monotonic()
    assert await client.stop("a")
    assert time.monotonic() - started < 0.5


async def test_sigkill_of_all_after_the_grace(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=0.4))
    site.until(lambda: "ready" in site.log("a") and len(site.ours("a")) >= 3)
    started = time.monotonic()
    assert await client.stop("a")
    took = time.monotonic() - started
    assert 0.4 <= took < 2.5
    assert site.ours("a") == set()


async def test_what_stays_when_its_leader_left_is_killed_after_the_grace(site: Site) -> None:
    client = site.supervise()
    script = "sh -c \"trap '' TERM; echo ready; while :; do sleep 1; done\" & exec sleep 1000"
    await client.start(site.spec("a", "sh", "-c", script, grace_s=0.4))
    site.until(lambda: "ready" in site.log("a"))
    started = time.monotonic()
    assert await client.stop("a")
    assert time.monotonic() - started >= 0.4
    assert site.ours("a") == set()


@pytest.mark.parametrize("watched", [True, False])
async def test_one_that_is_not_restarted_leaves_nothing_behind_either(site: Site, watched: bool) -> None:
    client = site.supervise()
    first = await client.start(site.spec("a", "sh", "-c", "sleep 1000 & wait", restart="never"))
    site.until(lambda: len(site.ours("a")) == 2)
    if not watched:
        site.kill_supervisor()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    if not watched:
        client = site.supervise()
    await until(client, "a", phase="exited")
    site.until(lambda: not site.ours("a"))


async def test_a_shorter_grace_shortens_a_stop_under_way(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=60.0))
    site.until(lambda: "ready" in site.log("a"))
    patient = asyncio.create_task(client.stop("a"))
    await until(client, "a", phase="stopping")
    started = time.monotonic()
    assert await client.stop("a", grace_s=0)
    assert await patient
    assert time.monotonic() - started < 2


async def test_those_who_leave_in_time_are_not_killed(site: Site) -> None:
    client = site.supervise()
    script = "trap 'echo leaving; sleep 0.3; echo left; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    await client.start(site.spec("a", "sh", "-c", script, grace_s=10.0))
    site.until(lambda: "ready" in site.log("a"))
    assert await client.stop("a")
    assert site.log("a").splitlines()[-1] == "left"


async def test_stop_wins_over_a_replacement_that_waits(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=1.0))
    site.until(lambda: "ready" in site.log("a"))
    replacement = asyncio.create_task(client.start(site.spec("a", "sleep", "3000")))
    await until(client, "a", phase="stopping")
    assert await client.stop("a", grace_s=0.1)
    with pytest.raises(Refused, match="came meanwhile"):
        await replacement
    assert site.ours("a") == set()


# --- starting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"argv": ("/does/not/exist",)}, "No such file or directory"),
        ({"argv": ("no-such-program",), "env": {"PATH": "/nowhere"}}, "searched in PATH: /nowhere"),
        ({"argv": ("/etc/passwd",)}, "Permission denied"),
        ({"argv": ("/tmp",)}, "Permission denied"),
        ({"cwd": "/does/not/exist"}, "its directory /does/not/exist is not there"),
        ({"log_path": "/proc/1/x/y.log"}, "cannot write its log"),
        ({"argv": ("sleep", "\ud800")}, "not valid text"),
    ],
)
async def test_what_cannot_be_started_is_said_why(site: Site, change: dict[str, object], why: str) -> None:
    client = site.supervise()
    spec = replace(site.spec("a", secret_env={"TOKEN": "hunter2hunter2"}), **change)  # type: ignore[arg-type]
    with pytest.raises(Failed, match=why) as caught:
        await client.start(spec)
    assert "hunter2" not in str(caught.value)
    assert await client.list() == ()
    assert os.listdir(site.root / "processes") == []


async def test_a_successor_that_cannot_be_started_brings_the_old_one_back(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a"))
    with pytest.raises(Failed, match="the one before was started again"):
        await client.start(site.spec("a", "/does/not/exist"))
    state = await state_of(client, "a")
    assert state.phase == "running"
    assert site.ours("a") == {state.pid}
    site.kill_supervisor()
    assert (await site.supervise().start(site.spec("a"))).pid == state.pid


async def test_the_environment_is_what_the_spec_says_and_the_log_is_private(site: Site) -> None:
    client = site.supervise()
    spec = site.spec("a", "sh", "-c", "env; umask; echo $0 >&2; exec sleep 1000", env={"A": "1"}, secret_env={"B": "2"})
    await client.start(spec)
    site.until(lambda: "sh\n" in site.log("a"))
    lines = site.log("a").splitlines()
    names = {line.split("=")[0] for line in lines if "=" in line}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"A", "B", "LASTGOOD_MARKER"}
    assert "0022" in lines
    assert stat.S_IMODE(os.stat(site.root / "a.log").st_mode) == 0o600


async def test_secrets_reach_the_process_and_no_file(site: Site) -> None:
    """Also none after a restart by the same supervisor; the next one does not know them and says so."""
    client = site.supervise()
    spec = site.spec("a", "sh", "-c", 'echo "len ${#TOKEN}"; exec sleep 1000', secret_env={"TOKEN": "hunter2hunter2"})
    first = await client.start(spec)
    assert first.pid is not None
    site.until(lambda: site.log("a").count("len 14") == 1)
    os.kill(first.pid, signal.SIGKILL)
    site.until(lambda: site.log("a").count("len 14") == 2)
    for path in site.root.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path
    site.kill_supervisor()
    for pid in site.ours("a"):
        os.kill(pid, signal.SIGKILL)
    client = site.supervise()
    await until(client, "a", phase="needs_env")
    state = await client.start(spec)
    assert state.phase == "running"
    site.until(lambda: site.log("a").count("len 14") == 3)


async def test_an_adopted_process_with_secrets_waits_for_them_when_it_dies(site: Site) -> None:
    spec = site.spec("a", secret_env={"TOKEN": "hunter2hunter2"})
    first = await site.supervise().start(spec)
    site.kill_supervisor()
    client = site.supervise()
    assert (await state_of(client, "a")).phase == "running"
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await until(client, "a", phase="needs_env")
    assert (await client.start(spec)).phase == "running"


# --- the disk --------------------------------------------------------------------------------------------------------


async def test_a_flood_of_output_is_kept_within_bounds(site: Site) -> None:
    client = site.supervise()
    # 60 MiB in bursts: bounded, so that the test does not become the flood it tests
    script = (
        "for i in 1 2 3 4 5; do head -c 12582912 /dev/zero | tr '\\0' x; sleep 0.7; done; echo done; exec sleep 1000"
    )
    await client.start(site.spec("a", "sh", "-c", script))
    site.until(lambda: site.said().count("rotated") >= 4)
    site.until(lambda: site.log("a").endswith("done\n"))
    sizes = {path.name: path.stat().st_size for path in site.root.glob("a.log*")}
    assert set(sizes) == {"a.log", "a.log.1", "a.log.2"}
    assert sizes["a.log.1"] == sizes["a.log.2"] == 10 * 1024 * 1024
    assert sizes["a.log"] <= 2 * 12582912


async def test_a_full_disk_ends_nothing_and_is_made_good(site: Site) -> None:
    client = site.supervise()
    first = await client.start(site.spec("a"))
    pid = site.supervisors[-1].pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    second = await client.start(site.spec("b"))
    assert (second.phase, second.saved) == ("running", False)
    assert await client.stop("a")
    assert site.ours() == {second.pid}
    assert first.pid not in site.ours()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    await until(client, "b", saved=True)
    site.kill_supervisor()
    state = await state_of(site.supervise(), "b")
    assert (state.pid, state.adopted) == (second.pid, True)


async def test_a_newer_process_whose_record_was_never_written_is_not_replaced_by_an_older_spec(site: Site) -> None:
    client = site.supervise()
    await client.start(site.spec("a"))
    old = (site.root / "processes" / "a.json").read_text()
    second = await client.start(site.spec("a", "sleep", "2000"))
    site.kill_supervisor()
    (site.root / "processes" / "a.json").write_text(old)
    client = site.supervise()
    state = await state_of(client, "a")
    assert (state.pid, state.phase) == (second.pid, "orphan")
    assert (await client.start(site.spec("a", "sleep", "2000"))).pid == second.pid


async def test_an_idle_supervisor_is_small(site: Site) -> None:
    await site.supervise().start(site.spec("a"))
    status = Path(f"/proc/{site.supervisors[-1].pid}/status").read_text()
    rss_kb = int(status.split("VmRSS:")[1].split()[0])
    assert rss_kb <= 16 * 1024


# --- what lives and does not answer ----------------------------------------------------------------------------------


async def test_a_frozen_process_is_killed_with_all_it_started_and_comes_back(site: Site) -> None:
    """SIGSTOP: SIGTERM reaches nobody. The pause before the second restart is longer than that before the first."""
    client = site.supervise()
    first = await client.start(site.spec("a", "sh", "-c", STUBBORN, grace_s=0.5))
    await asyncio.to_thread(site.until, lambda: "ready" in site.log("a") and len(site.ours("a")) > 1)
    assert first.pid is not None
    old = site.ours("a")
    os.kill(first.pid, signal.SIGSTOP)
    assert await client.restart("a", first.pid) is True
    ending = await state_of(client, "a")
    assert (ending.phase, ending.pid) == ("backoff", first.pid), "listed, and not as one that runs"
    assert await client.restart("a", first.pid) is False, "it is under way"
    back = await until(client, "a", phase="running", hangs=1)
    assert back.pid not in (None, first.pid)
    assert not old & site.ours("a")
    assert back.last_exit == -signal.SIGKILL
    assert back.pid is not None
    os.kill(back.pid, signal.SIGSTOP)
    assert await client.restart("a", back.pid) is True
    waiting = await until(client, "a", hangs=2, pid=None)
    assert waiting.phase == "backoff"


async def test_a_supervisor_killed_during_a_restart_loses_nobody(site: Site) -> None:
    """Nobody asked for its end: the next supervisor keeps it, and it can be restarted once more."""
    client = site.supervise()
    first = await client.start(site.spec("a", grace_s=60.0))
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    assert await client.restart("a", first.pid) is True
    site.kill_supervisor()
    client = site.supervise()
    adopted = await state_of(client, "a")
    assert (adopted.phase, adopted.pid) == ("running", first.pid)
    assert await client.restart("a", first.pid) is True
    os.kill(first.pid, signal.SIGCONT)
    back = await until(client, "a", phase="running", hangs=1)
    assert back.pid != first.pid
