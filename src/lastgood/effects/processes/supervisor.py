"""The supervisor: ``python -m lastgood.effects.processes.supervisor [--detach] RUN_DIR``.

A program of its own, standard library only, small enough to be left running for ever. It keeps processes running and
is not needed for them to run: they outlive it, and the next one adopts them. SIGTERM ends it and nothing else.
Exit codes: 0 ended as asked, 5 another one runs here, 7 the directory cannot be used, 2 wrong arguments.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable

from lastgood.effects.processes.adoption import own_pid_line, take_over
from lastgood.effects.processes.keeper import Keeper, boot_time_s
from lastgood.effects.processes.listener import Listener
from lastgood.effects.processes.requests import Requests
from lastgood.effects.processes.run_directory import RunDirectory, open_run_directory

USAGE = "usage: python -m lastgood.effects.processes.supervisor [--detach] RUN_DIR"


def say(line: str) -> None:
    """A line for the log; a full disk must not end us."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        os.write(2, f"{stamp} {line}\n".encode("utf-8", "replace"))
    except OSError:
        pass


def hold_lock(run: RunDirectory) -> int | None:
    """The descriptor that holds the lock until we end; None: another supervisor holds it."""
    fd = os.open(run.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, own_pid_line(), 0)
    except OSError:
        pass  # for people only
    return fd


def supervise(run: RunDirectory) -> None:
    """Serve until SIGTERM or ``shutdown``; the lock is held by the caller."""
    selector = selectors.DefaultSelector()
    state = {"leaving": False}

    def leave() -> None:
        state["leaving"] = True

    wakes = _wake_on_signals(selector, leave)
    keeper = Keeper(
        run,
        watch=lambda fd, callback: selector.register(fd, selectors.EVENT_READ, callback) and None,
        unwatch=lambda fd: selector.unregister(fd) and None,
        say=say,
    )
    take_over(keeper)
    listener = Listener(run.socket_path, selector, Requests(keeper, leave).handle)
    say(f"supervisor {os.getpid()} at {run.socket_path}")
    while not state["leaving"]:
        due_s = keeper.next_due()
        wait_s = None if due_s is None else max(0.0, due_s - boot_time_s())
        for key, _ in selector.select(wait_s):
            # An event may be stale: an earlier one of this round may have closed its descriptor.
            if selector.get_map().get(key.fd) is key:
                key.data()
        keeper.tick()
    listener.close()
    signal.set_wakeup_fd(-1)
    wakes.close()
    try:
        os.unlink(run.socket_path)
    except OSError:
        pass
    say(f"supervisor {os.getpid()} ends; {len(keeper.entries)} processes go on")


def _wake_on_signals(selector: selectors.BaseSelector, leave: Callable[[], None]) -> socket.socket:
    """The socket to keep open meanwhile."""
    ours, kernels = socket.socketpair()
    for end in (ours, kernels):
        end.setblocking(False)
    signal.set_wakeup_fd(kernels.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    selector.register(ours, selectors.EVENT_READ, lambda: ours.recv(4096))
    return kernels


def _detach() -> None:
    """Leave the one who started us: PID 1 reaps us, no terminal reaches us."""
    if os.fork():
        os._exit(0)
    os.setsid()


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    os.umask(0o077)
    detach = arguments[:1] == ["--detach"]
    paths = arguments[1:] if detach else arguments
    if len(paths) != 1 or paths[0].startswith("-"):
        say(USAGE)
        return 2
    try:
        run = open_run_directory(paths[0])
        if detach:
            _detach()
        lock = hold_lock(run)
        if lock is None:
            say(f"another supervisor runs on {run.root}")
            return 5
        os.chdir("/")
        supervise(run)
    except OSError as error:
        say(f"cannot supervise in {paths[0]}: {error.strerror or error}: {error.filename or ''}")
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
