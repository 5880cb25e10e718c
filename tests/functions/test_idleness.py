"""Whether a process is idle is asked of the kernel, while it is frozen, so that the answer stays true."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lastgood.effects.functions.idleness import accepted, stop_if_idle, waiting
from tests.functions.running import Running

CHILD = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
held = [listener.accept() for _ in range(int(sys.argv[2]))]
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def child(listener: socket.socket, takes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(listener.fileno()), str(takes)],
        pass_fds=(listener.fileno(),),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_who_has_accepted_something_goes_on_and_who_has_not_is_ended(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)), child(listener, 1) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"holds\n"
        assert (accepted(port), waiting(port)) == (1, 0)
        assert not stop_if_idle(busy.pid, port, signal.SIGKILL)
        time.sleep(0.1)
        assert busy.poll() is None
        busy.kill()


def test_what_waits_in_the_queue_is_not_accepted_and_stays_there(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with child(listener, 0) as idle, socket.create_connection(("127.0.0.1", port)):
        assert idle.stdout is not None
        assert idle.stdout.readline() == b"holds\n"
        Running.until(lambda: waiting(port) == 1)
        assert accepted(port) == 0
        assert stop_if_idle(idle.pid, port, signal.SIGKILL)
        assert idle.wait(5) == -signal.SIGKILL
        assert waiting(port) == 1
        listener.accept()[0].close()
