"""Keeps the listening socket of one version, and a process behind it only while somebody asks.

A program of its own, standard library only: ``python -m lastgood.effects.functions.activator``, with ``PORT`` and what
to run in ``LASTGOOD_ACTIVATOR`` (JSON of ``Order``). The process gets the socket itself: no proxy lies between, and
requests that come while there is none wait in the kernel's queue. It runs under the supervisor like an instance of a
service. Exit codes: 0 ended as asked, 3 the first start failed, 4 the port is taken.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lastgood.effects.functions.asking import Asked, listen_for_questions
from lastgood.effects.functions.idleness import accepted, cpu_ticks, memory_bytes, stop_if_idle, waiting
from lastgood.effects.functions.refusing import Refusals

ORDER = "LASTGOOD_ACTIVATOR"
BACKLOG = 4096
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LIVED_S = 10.0
"""Who lived so long did not fail at its start."""
STOP_S = 30.0


@dataclass(frozen=True)
class Order:
    """What to run. In ``argv`` ``{fd}`` is the socket and ``{ready}`` where it says that it is ready.

    ``tidy``: it ends itself on SIGTERM without losing what it accepted, and says when it is busy. ``first``: start it
    at once, and end when that fails. ``idle_s`` 0: it stays. ``leave_s``: asleep for so long, the activator
    itself ends; 0: never. ``stuck_s``: with connections that nobody accepts for so long, the process is replaced.
    ``linger_s``: asked to leave, it stays for so long after it was last busy, for what goes on behind its answers.
    """

    name: str
    version: str
    argv: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    idle_s: float = 600.0
    start_s: float = 30.0
    memory_mb: int = 512
    tidy: bool = True
    first: bool = True
    leave_s: float = 0.0
    stuck_s: float = 0.0
    linger_s: float = 0.0


class Activator:
    """One version's socket and process. States: cold, starting, warm, leaving, failed, lingering, ending."""

    def __init__(self, order: Order, port: int, listener: socket.socket) -> None:
        self._order, self._port, self._listener = order, port, listener
        self._selector = selectors.DefaultSelector()
        self._refusals = Refusals(self._selector)
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = self._ready = -1
        self.state = "cold"
        self.error = ""
        self.starts = 0
        self._proven = False
        self._pause_s = FIRST_PAUSE_S
        self._due_s = self._busy_s = self._started_s = self._slept_s = 0.0
        self._ticks = 0
        self._waiting_s: float | None = None

    # --- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until SIGTERM, or until the first start has failed; returns the exit code."""
        self._wake_on_signals()
        asked = listen_for_questions(self._port)
        self._selector.register(asked, selectors.EVENT_READ, lambda: Asked(asked).answer(self._answer))
        self._arm()
        if self._order.first:
            self._start()
        while True:
            for key, _ in self._selector.select(self._patience_s()):
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._tick(time.monotonic())
            if self.state == "ended":
                return 0
            if self._is_forgotten():
                return 0
            if self.state == "failed" and self._order.first and not self._proven:
                return 3

    def _is_forgotten(self) -> bool:
        return self.state == "cold" and 0 < self._order.leave_s <= time.monotonic() - self._slept_s

    def _wake_on_signals(self) -> None:
        ours, kernels = socket.socketpair()
        for end in (ours, kernels):
            end.setblocking(False)
        self._wakes = kernels
        signal.set_wakeup_fd(kernels.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

        def woken() -> None:
            if any(number in (signal.SIGTERM, signal.SIGINT) for number in ours.recv(64)):
                self._end()

        self._selector.register(ours, selectors.EVENT_READ, woken)

    def _patience_s(self) -> float | None:
        if self.state == "warm":
            return 1.0 if self._order.idle_s == 0 else min(1.0, max(0.05, self._order.idle_s / 4))
        if self.state == "cold" and self._order.leave_s and not self._refusals.busy:
            return max(0.02, self._slept_s + self._order.leave_s - time.monotonic())
        if self.state in ("starting", "failed", "leaving", "lingering", "ending") or self._refusals.busy:
            return max(0.02, min(0.5, self._due_s - time.monotonic()))
        return None

    def _tick(self, now_s: float) -> None:
        self._refusals.expire(now_s)
        if self.state == "starting" and now_s >= self._due_s:
            self.error = f"it was not ready within {self._order.start_s:g} s"
            self._kill()
        elif self.state == "failed" and now_s >= self._due_s:
            self._arm()
        elif self.state == "warm":
            self._look(now_s)
        elif self.state == "lingering" and now_s >= self._due_s:
            self._terminate()
        elif self.state in ("leaving", "ending") and now_s >= self._due_s:
            self._kill()

    # --- the socket ------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        self.state = "cold"
        self._slept_s = time.monotonic()
        self._watch(self._listener, self._start)

    def _watch(self, what: socket.socket, then: Callable[[], None]) -> None:
        if what.fileno() in self._selector.get_map():
            self._selector.unregister(what)
        self._selector.register(what, selectors.EVENT_READ, then)

    def _unwatch(self) -> None:
        if self._listener.fileno() in self._selector.get_map():
            self._selector.unregister(self._listener)

    # --- the process -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """The first of a burst gets here; for the others there is nothing to see any more."""
        self._unwatch()
        order, fd = self._order, self._listener.fileno()
        ready, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        argv = [word.replace("{fd}", str(fd)).replace("{ready}", str(theirs)) for word in order.argv]
        settings = json.dumps({**order.settings, "fd": fd, "ready_fd": theirs})
        env = {key: text for key, text in os.environ.items() if key not in (ORDER, "PORT")}
        self.starts += 1
        self._started_s = time.monotonic()
        try:
            self._child = subprocess.Popen(
                argv, env={**env, "LASTGOOD_WORKER": settings}, pass_fds=(fd, theirs), process_group=0
            )
        except OSError as error:
            os.close(ready)
            os.close(theirs)
            self._fail(f"cannot run {argv[0]}: {error.strerror}")
            return
        os.close(theirs)
        if order.tidy:
            self._limit(self._child.pid)
        self._ready, self._pidfd = ready, os.pidfd_open(self._child.pid)
        self._waiting_s = None
        self.state, self.error, self._due_s = "starting", "", self._started_s + order.start_s
        self._selector.register(ready, selectors.EVENT_READ, self._heard)
        self._selector.register(self._pidfd, selectors.EVENT_READ, self._gone)

    def _limit(self, pid: int) -> None:
        """Python gets a MemoryError, and with it an answer; a runtime that reserves address space is only watched."""
        size = self._order.memory_mb * 1024 * 1024
        try:
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))
        except (OSError, ValueError):
            pass  # it is gone, which is noticed

    def _heard(self) -> None:
        try:
            said = os.read(self._ready, 4096)
        except BlockingIOError:
            return
        if not said:
            self._selector.unregister(self._ready)
            return
        self._busy_s = time.monotonic()
        if self.state == "starting":
            took_ms = (self._busy_s - self._started_s) * 1000
            self.state, self._proven, self.error = "warm", True, ""
            _say(f"{self._order.name}: ready after {took_ms:.0f} ms")

    def _look(self, now_s: float) -> None:
        """Is it idle, is it too large?"""
        assert self._child is not None
        pid = self._child.pid
        if memory_bytes(pid) > self._order.memory_mb * 1024 * 1024:
            _say(f"{self._order.name}: it takes more than {self._order.memory_mb} MB and is ended")
            self._kill()
            return
        if self._is_stuck(now_s):
            _say(f"{self._order.name}: it has accepted nothing for {self._order.stuck_s:g} s and is ended")
            self._kill()
            return
        if not self._order.tidy and (ticks := cpu_ticks(pid)) != self._ticks:
            self._ticks, self._busy_s = ticks, now_s
        if accepted(self._port):
            self._busy_s = now_s
        if self._order.idle_s and now_s - self._busy_s >= self._order.idle_s:
            how = signal.SIGTERM if self._order.tidy else signal.SIGKILL
            try:
                if stop_if_idle(pid, self._port, how):
                    self.state, self._due_s = "leaving", now_s + STOP_S
            except (ChildProcessError, ProcessLookupError):
                self._gone()

    def _is_stuck(self, now_s: float) -> bool:
        if self._order.stuck_s == 0 or waiting(self._port) == 0:
            self._waiting_s = None
            return False
        self._waiting_s = now_s if self._waiting_s is None else self._waiting_s
        return now_s - self._waiting_s >= self._order.stuck_s

    def _kill(self) -> None:
        if self._child is not None:
            try:
                os.killpg(self._child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _gone(self) -> None:
        """The process has ended: as asked, by itself, or it never began."""
        assert self._child is not None
        code, before = self._child.wait(), self.state
        self._kill()  # what it left behind holds our socket
        self._child = None
        for fd in (self._ready, self._pidfd):
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            os.close(fd)
        lived_s = time.monotonic() - self._started_s
        if before in ("lingering", "ending"):
            self.state = "ended"
        elif before == "leaving":
            self._pause_s = FIRST_PAUSE_S
            self._arm()
        elif before == "warm" and lived_s >= LIVED_S:
            _say(f"{self._order.name}: ended with {code}; the next request starts it again")
            self._pause_s = FIRST_PAUSE_S
            self._arm()
        elif before == "warm" and self._pause_s < 4 * FIRST_PAUSE_S:
            _say(f"{self._order.name}: ended with {code} after {lived_s:.1f} s")
            self._pause_s *= 2
            self._arm()
        else:
            self._fail(
                self.error or f"it ended with {code} {'' if before == 'warm' else 'before it was ready'}".strip()
            )

    def _fail(self, why: str) -> None:
        """Refuse requests for a while, rather than have them wait for what does not come, or start it in a loop."""
        self.state, self.error = "failed", why
        self._due_s = time.monotonic() + self._pause_s
        _say(f"{self._order.name} does not start: {why}; next try in {self._pause_s:g} s")
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        self._watch(self._listener, lambda: self._refusals.refuse(self._listener, self._pause_s))

    def _end(self) -> None:
        """Asked to leave: the process first answers what it accepted, and may finish what goes on behind that."""
        if self.state in ("lingering", "ending", "ended"):
            return
        self._unwatch()
        if self._child is None:
            self.state = "ended"
            return
        self.state, self._due_s = "lingering", self._busy_s + self._order.linger_s

    def _terminate(self) -> None:
        assert self._child is not None
        self.state, self._due_s = "ending", time.monotonic() + STOP_S
        try:
            os.kill(self._child.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def _answer(self, question: str) -> dict[str, Any]:
        if question == "warm" and self.state == "cold":
            self._start()
        pid = self._child.pid if self._child else None
        return {
            "state": self.state,
            "pid": pid,
            "starts": self.starts,
            "error": self.error,
            "proven": self._proven,
            "activator": os.getpid(),
        }


def _say(line: str) -> None:
    try:
        os.write(2, f"{line}\n".encode("utf-8", "replace"))
    except OSError:
        pass


def main() -> int:
    """Returns the exit code."""
    order, port = Order(**json.loads(os.environ[ORDER])), int(os.environ["PORT"])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        _say(f"{order.name}: port {port}: {error.strerror}")
        return 4
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return Activator(order, port, listener).run()


if __name__ == "__main__":
    sys.exit(main())
