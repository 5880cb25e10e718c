"""Only exactly our process is adopted or signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lastgood.effects.processes.census import Census
from lastgood.effects.processes.identity import (
    MARKER,
    Identity,
    adopt,
    identify,
    is_alive,
    marker_of,
    signal_process,
    stat_of,
)

TOKEN = f"test/run/{os.getpid()}/abc"  # another worker that runs these tests has others


@contextmanager
def process(*argv: str, marker: str | None = TOKEN) -> Iterator[tuple[subprocess.Popen[bytes], Identity]]:
    env = {"PATH": os.environ["PATH"], **({MARKER: marker} if marker else {})}
    child = subprocess.Popen(argv or ("sleep", "1000"), env=env, start_new_session=True, stdout=subprocess.PIPE)
    identity = identify(child.pid, TOKEN)
    assert identity is not None
    try:
        yield child, identity
    finally:
        Census().signal(identity, signal.SIGKILL)
        child.kill()
        child.wait(10)


def test_our_process_is_adopted() -> None:
    with process() as (child, identity):
        assert marker_of(child.pid) == TOKEN
        pidfd = adopt(identity)
        assert pidfd is not None
        os.close(pidfd)
        assert is_alive(identity)


def test_another_process_with_its_number_is_refused() -> None:
    with process() as (child, identity):
        for wrong in (
            replace(identity, start_ticks=identity.start_ticks - 1),
            replace(identity, marker="test/run/1/xyz"),
            replace(identity, boot_id="00000000-0000-0000-0000-000000000000"),
        ):
            assert adopt(wrong) is None
            assert not signal_process(wrong, signal.SIGKILL)
            if wrong.marker == TOKEN:
                assert Census().signal(replace(wrong, marker="other"), signal.SIGKILL) == 0
        time.sleep(0.05)
        assert child.poll() is None


def test_no_process_is_no_process() -> None:
    assert not is_alive(Identity(-1, 0, "", TOKEN))
    with process() as (child, identity):
        pass
    assert stat_of(child.pid) is None
    assert not is_alive(identity)
    assert not signal_process(identity, signal.SIGTERM)


def test_a_zombie_is_not_alive() -> None:
    with process("true") as (child, identity):
        deadline = time.monotonic() + 10
        while not (stat := stat_of(child.pid)) or stat.state != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not is_alive(identity)
        assert Census().members(identity) == ()


def test_a_process_that_lost_its_environment_is_known_by_its_session() -> None:
    """As a program does that writes its title over its environment (PostgreSQL, nginx, setproctitle)."""
    with process("env", "-i", "sleep", "1000") as (child, identity):
        deadline = time.monotonic() + 10
        while marker_of(child.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert is_alive(identity)
        assert [stat.pid for stat in Census().members(identity)] == [child.pid]


def test_a_process_without_marker_that_leads_no_session_is_refused() -> None:
    child = subprocess.Popen(["sleep", "1000"], env={"PATH": os.environ["PATH"]})
    try:
        identity = identify(child.pid, TOKEN)
        assert identity is not None
        assert not is_alive(identity)
    finally:
        child.kill()
        child.wait(10)


def test_what_it_started_belongs_to_it_even_in_a_session_of_its_own() -> None:
    script = "sleep 1000 & setsid sleep 1000 & env -i sleep 1000 & echo ready; wait"
    with process("sh", "-c", script) as (child, identity):
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 10
        while len(Census().members(identity)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with process(marker=f"{TOKEN}-other") as (stranger, _):
            while Census().signal(identity, signal.SIGKILL):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert stranger.poll() is None
        assert child.wait(10) == -9
