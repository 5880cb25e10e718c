"""Keep the processes running: start, restart with backoff, replace, stop with all they started.

Single-threaded and without waiting: whoever owns the loop calls ``tick`` when ``next_due`` says so, and the callbacks
given to ``watch`` when a pidfd becomes readable. Answers go to a ``Reply`` when there is one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lastgood.effects.processes.census import Census
from lastgood.effects.processes.entry import Entry, Reply, Stopping, marker_for, refusal, runs_spec
from lastgood.effects.processes.identity import (
    TICKS_PER_S,
    Identity,
    has_ended,
    identify,
)
from lastgood.effects.processes.launching import LaunchError, launch
from lastgood.effects.processes.log_rotation import rotate
from lastgood.effects.processes.records import remove_record, same, write_record
from lastgood.effects.processes.run_directory import RunDirectory
from lastgood.process import ProcessSpec

LOOK_AT_LOGS_S = 0.5
SAVE_AGAIN_S = 1.0
UNKILLABLE_S = 5.0


def boot_time_s() -> float:
    """Seconds since the boot, time asleep included: comparable with start times in /proc."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Keeper:
    """All processes of a run directory.

    ``watch(fd, callback)``, ``unwatch(fd)``: the loop; ``say``: a line of log; ``count`` looks at who runs.
    """

    def __init__(
        self,
        run: RunDirectory,
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        say: Callable[[str], None],
        count: Callable[[], Census] = Census,
    ) -> None:
        self.run = run
        self.entries: dict[str, Entry] = {}
        self.say = say
        self._watch = watch
        self._unwatch = unwatch
        self._count = count
        self._counted: Census | None = None
        self._next_logs_s = 0.0
        self._next_save_s = 0.0

    @property
    def census(self) -> Census:
        """Who runs, as seen once in each turn of the loop: after all that woke it, and after what was started in it."""
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    # --- what is asked ---------------------------------------------------------------------------------------------

    def start(self, spec: ProcessSpec, reply: Reply) -> None:
        """Idempotent by key: the same spec again changes nothing (but brings its secrets), another one replaces it."""
        entry = self.entries.get(spec.key)
        if entry is None:
            self._start_new(spec, reply)
        elif entry.stopping is not None:
            entry.stopping.succeed(spec, reply)
            self.save(entry)
        elif entry.phase == "orphan" and runs_spec(entry.marker, spec):
            entry.spec, entry.phase, entry.secrets_known = spec, "running", True
            self.save(entry)
            reply(self._ok(entry))
        elif entry.phase != "orphan" and same(entry.spec, spec):
            self._start_same(entry, spec, reply)
        else:
            self.begin_stop(entry, entry.spec.grace_s, successor=spec, successor_reply=reply)

    def stop(self, key: str, grace_s: float | None, reply: Reply) -> None:
        """Answers when it and all it started are gone. A shorter grace shortens a stop under way."""
        entry = self.entries.get(key)
        if entry is None:
            reply({"ok": True, "stopped": False})
            return
        self.begin_stop(entry, entry.spec.grace_s if grace_s is None else grace_s, reply=reply)

    def restart(self, key: str, pid: int, reply: Reply) -> None:
        """End what does not answer and start it again; only the very process that was meant. Answers at once."""
        entry = self.entries.get(key)
        meant = entry is not None and entry.identity is not None and entry.identity.pid == pid
        restarts = entry is not None and entry.phase == "running" and entry.spec.restart == "always"
        if entry is not None and meant and restarts:
            self.say(f"{key}: pid {pid} does not answer; it is ended and started again")
            self.begin_stop(entry, entry.spec.grace_s, again=True)
        reply({"ok": True, "restarted": meant and restarts})

    def states(self, key: str | None = None) -> list[dict[str, Any]]:
        """Every process there is, or the one of a key."""
        now_s = boot_time_s()
        found = self.entries.items() if key is None else [(key, self.entries[key])] if key in self.entries else []
        return [asdict(entry.state(now_s)) for _, entry in sorted(found)]

    # --- what the loop calls ---------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When (boot-time clock) ``tick`` has something to do; None: not before something happens."""
        if not self.entries:
            return None
        due = [self._next_logs_s]
        for entry in self.entries.values():
            if entry.stopping is not None:
                due.append(entry.stopping.look_at_s)
            elif entry.due_s is not None:
                due.append(entry.due_s)
            if not entry.saved:
                due.append(self._next_save_s)
        return min(due)

    def tick(self) -> None:
        """Do what is due; what was seen of other processes is forgotten then."""
        now_s = boot_time_s()
        for entry in list(self.entries.values()):
            if entry.stopping is not None:
                if now_s >= entry.stopping.look_at_s:
                    self._look_at_stopping(entry, entry.stopping)
            elif entry.due_s is not None and now_s >= entry.due_s:
                self._restart(entry)
            if not entry.saved and now_s >= self._next_save_s and entry.spec.key in self.entries:
                self.save(entry)
        if now_s >= self._next_save_s:
            self._next_save_s = now_s + SAVE_AGAIN_S
        if now_s >= self._next_logs_s:
            self._next_logs_s = now_s + LOOK_AT_LOGS_S
            for path in {entry.spec.log_path for entry in self.entries.values() if entry.spec.log_path}:
                if rotate(path):
                    self.say(f"rotated {path}")
            rotate(self.run.log_path, 1024 * 1024)
        self._counted = None

    # --- starting --------------------------------------------------------------------------------------------------

    def _start_new(self, spec: ProcessSpec, reply: Reply) -> None:
        entry = self.entries[spec.key] = Entry(spec, "backoff")
        try:
            self._launch(entry)
        except LaunchError as error:
            self._forget(entry)
            reply(refusal("cannot-start", str(error)))
        else:
            reply(self._ok(entry))

    def _start_same(self, entry: Entry, spec: ProcessSpec, reply: Reply) -> None:
        entry.spec, entry.secrets_known = spec, True
        if entry.phase == "needs_env":
            entry.phase, entry.due_s = "backoff", boot_time_s()
            self._restart(entry)
        reply(self._ok(entry))

    def _launch(self, entry: Entry) -> None:
        """Raises ``LaunchError``; nothing runs then."""
        entry.marker = marker_for(self.run.run_id, entry.spec, os.urandom(8).hex())
        entry.identity, entry.due_s, entry.adopted = None, None, False
        self.save(entry)
        child = launch(entry.spec, entry.marker)
        identity = identify(child.pid, entry.marker)
        try:
            pidfd = os.pidfd_open(child.pid)
        except OSError as error:
            child.kill()
            child.wait()
            raise LaunchError(f"cannot watch {entry.spec.argv[0]}: {error.strerror}") from None
        entry.child = child
        assert identity is not None, "a child that is not reaped has its number"
        self.hold(entry, identity, pidfd)
        self.save(entry)

    def hold(self, entry: Entry, identity: Identity, pidfd: int) -> None:
        """Take a running process, started or adopted, for this entry."""
        entry.identity, entry.marker, entry.pidfd = identity, identity.marker, pidfd
        entry.phase, entry.error = "running", None
        entry.started_s = identity.start_ticks / TICKS_PER_S
        self._watch(pidfd, lambda: self._ended(entry))
        self._counted = None

    def _restart(self, entry: Entry) -> None:
        now_s = boot_time_s()
        patient = entry.give_up_cleaning_s is not None and now_s < entry.give_up_cleaning_s
        if entry.identity is not None and self.census.signal(entry.identity, signal.SIGKILL) and patient:
            entry.due_s = now_s + 0.05  # what it left behind may hold its port: see it gone first
            return
        entry.restarted_s.append(now_s)
        try:
            self._launch(entry)
        except LaunchError as error:
            if entry.error != str(error):
                self.say(f"{entry.spec.key}: {error}")
            entry.error, entry.started_s = str(error), None
            entry.schedule(now_s)
            self.save(entry)

    # --- ending ----------------------------------------------------------------------------------------------------

    def _ended(self, entry: Entry) -> None:
        if entry.stopping is not None:
            self._drop_pidfd(entry)
            self._look_at_stopping(entry, entry.stopping)
            return
        if entry.identity is not None:
            self.census.signal(entry.identity, signal.SIGKILL)  # before it is reaped: until then the number is its own
        self._reap(entry)
        how = "code unknown" if entry.last_exit is None else f"code {entry.last_exit}"
        if entry.phase == "orphan":
            self.say(f"{entry.spec.key}: the orphan ended")
            self._forget(entry)
            return
        if entry.spec.restart == "never":
            entry.phase = "exited"
        elif entry.spec.secret_env and not entry.secrets_known:
            entry.phase = "needs_env"
        else:
            entry.schedule(boot_time_s())
        self.say(f"{entry.spec.key}: ended, {how}; now {entry.phase}")
        self.save(entry)

    def begin_stop(
        self,
        entry: Entry,
        grace_s: float,
        *,
        reply: Reply | None = None,
        again: bool = False,
        successor: ProcessSpec | None = None,
        successor_reply: Reply | None = None,
    ) -> None:
        """SIGTERM to it and all it started, SIGKILL after the grace; then forget or restart it, or start another."""
        now_s = boot_time_s()
        first = entry.stopping is None
        if entry.stopping is None:
            entry.stopping = Stopping(now_s + grace_s, now_s, again=again)
        stopping = entry.stopping
        stopping.again = stopping.again and again
        stopping.kill_at_s = min(stopping.kill_at_s, now_s + grace_s)
        stopping.look_at_s = min(stopping.look_at_s, stopping.kill_at_s)
        if successor is not None and successor_reply is not None:
            stopping.succeed(successor, successor_reply)
        if reply is not None:
            stopping.supersede()
            stopping.replies.append(reply)
        entry.phase, entry.due_s = "backoff" if stopping.again else "stopping", None
        self.save(entry)
        if first and entry.identity is not None and grace_s > 0:
            self.census.signal(entry.identity, signal.SIGTERM)
        self._look_at_stopping(entry, stopping)

    def _look_at_stopping(self, entry: Entry, stopping: Stopping) -> None:
        now_s = boot_time_s()
        if now_s < stopping.kill_at_s and entry.pidfd is not None and not has_ended(entry.pidfd):
            stopping.look_at_s = stopping.kill_at_s  # its end wakes us before
            return
        if entry.identity is None or not self.census.members(entry.identity):
            self._finish_stop(entry, stopping)
            return
        if now_s >= stopping.kill_at_s:
            self.census.signal(entry.identity, signal.SIGKILL)
        if now_s >= stopping.kill_at_s + UNKILLABLE_S:
            entry.error = "it does not end, not even by SIGKILL (waiting for a disk or a network mount?)"
            stopping.answer(refusal("unkillable", f"{entry.spec.key}: {entry.error}"))
        stopping.look_at_s = now_s + stopping.look_every_s
        stopping.look_every_s = min(0.5, stopping.look_every_s * 2)

    def _finish_stop(self, entry: Entry, stopping: Stopping) -> None:
        self._reap(entry)
        entry.stopping = None
        if stopping.again and stopping.successor is None:
            entry.schedule_hung(boot_time_s())
            self.save(entry)
            return
        if stopping.successor is None:
            self._forget(entry)
            self.say(f"{entry.spec.key}: stopped")
            stopping.answer({"ok": True, "stopped": True})
            return
        before, known = entry.spec, entry.secrets_known and bool(entry.spec.argv)
        entry.spec, entry.secrets_known, entry.last_exit, entry.error = stopping.successor, True, None, None
        entry.restarted_s.clear()
        try:
            self._launch(entry)
        except LaunchError as error:
            if known:
                entry.spec = before
                entry.due_s, entry.give_up_cleaning_s = boot_time_s(), None
                self._restart(entry)
                back = "; the one before was started again" if entry.pidfd is not None else ""
            else:
                self._forget(entry)
                back = "; the one before was stopped"
            stopping.answer(refusal("cannot-start", f"{error}{back}"))
        else:
            stopping.answer(self._ok(entry))

    # --- small things ----------------------------------------------------------------------------------------------

    def _ok(self, entry: Entry) -> dict[str, Any]:
        return {"ok": True, "state": asdict(entry.state(boot_time_s()))}

    def _drop_pidfd(self, entry: Entry) -> None:
        if entry.pidfd is not None:
            self._unwatch(entry.pidfd)
            os.close(entry.pidfd)
            entry.pidfd = None

    def _reap(self, entry: Entry) -> None:
        self._drop_pidfd(entry)
        entry.last_exit = entry.child.wait() if entry.child is not None else None
        entry.child = None

    def _forget(self, entry: Entry) -> None:
        self.entries.pop(entry.spec.key, None)
        try:
            remove_record(self.run.records_path, entry.spec.key)
        except OSError as error:
            self.say(f"{entry.spec.key}: cannot remove its record: {error.strerror}")

    def save(self, entry: Entry) -> None:
        """A disk that is full stops nothing: it is said, shown in ``list``, and tried again."""
        record = entry.record()
        if not record.spec.argv:
            return  # an orphan: nothing is known that would be worth writing
        try:
            write_record(self.run.records_path, record)
        except OSError as error:
            if entry.saved:
                self.say(f"{entry.spec.key}: cannot save its record: {error.strerror}")
            entry.saved = False
        else:
            entry.saved = True
