"""What the supervisor knows of one process while it lives; the numbers of restarting."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lastgood.effects.processes.identity import Identity
from lastgood.effects.processes.records import Record, fingerprint, same
from lastgood.process import Phase, ProcessSpec, ProcessState

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
LIVED_S = 10.0
"""Who lived so long is restarted after the first delay again."""
WINDOW_S = 60.0
"""Over which restarts are counted."""
HANGS_WINDOW_S = 600.0
"""Over which the restarts of what did not answer are counted: it takes a while to be sure of each."""
FIRST_HANG_DELAY_S = 5.0
LONGEST_HANG_DELAY_S = 60.0

Reply = Callable[[dict[str, Any]], None]


@dataclass
class Stopping:
    """A stop under way: SIGKILL from ``kill_at_s`` on; ``look_at_s`` is when to see who is left. ``again``: it is
    restarted when it is over.
    """

    kill_at_s: float
    look_at_s: float
    look_every_s: float = 0.02
    again: bool = False
    replies: list[Reply] = field(default_factory=list)
    successor: ProcessSpec | None = None
    successor_replies: list[Reply] = field(default_factory=list)

    def succeed(self, spec: ProcessSpec, reply: Reply) -> None:
        """What is started when it is over; whoever wanted something else there is told."""
        if self.successor is not None and not same(self.successor, spec):
            self.supersede()
        self.successor = spec
        self.successor_replies.append(reply)

    def supersede(self) -> None:
        """Nothing is started when it is over."""
        for reply in self.successor_replies:
            reply(refusal("superseded", "another request for the same process came meanwhile"))
        self.successor, self.successor_replies = None, []

    def answer(self, answer: dict[str, Any]) -> None:
        """Tell everybody who waits, once."""
        replies = self.replies + self.successor_replies
        self.replies, self.successor_replies = [], []
        for reply in replies:
            reply(answer)


def refusal(code: str, message: str) -> dict[str, Any]:
    """What is answered to a request that came to nothing."""
    return {"ok": False, "error": code, "message": message}


@dataclass
class Entry:
    """One key. ``identity`` is that of the last process, dead ones included: what it left behind is found by it."""

    spec: ProcessSpec
    phase: Phase
    secrets_known: bool = True
    marker: str = ""
    identity: Identity | None = None
    pidfd: int | None = None
    child: subprocess.Popen[bytes] | None = None
    started_s: float | None = None
    adopted: bool = False
    delay_s: float = FIRST_DELAY_S
    due_s: float | None = None
    give_up_cleaning_s: float | None = None
    restarted_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    hung_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    last_exit: int | None = None
    error: str | None = None
    saved: bool = True
    stopping: Stopping | None = None

    def schedule(self, now_s: float) -> None:
        """Restart after a delay that doubles while it keeps dying young."""
        if self.started_s is not None and now_s - self.started_s >= LIVED_S:
            self.delay_s = FIRST_DELAY_S
        self.phase = "backoff"
        self.due_s = now_s + self.delay_s
        self.give_up_cleaning_s = self.due_s + 5.0
        self.delay_s = min(LONGEST_DELAY_S, self.delay_s * 2)

    def schedule_hung(self, now_s: float) -> None:
        """Restart what had to be ended: the first time at once, then after a pause that doubles while it goes on."""
        self.hung_s.append(now_s)
        _forget_before(self.hung_s, now_s - HANGS_WINDOW_S)
        times = len(self.hung_s)
        pause_s = FIRST_HANG_DELAY_S * 2.0 ** min(times - 2, 10) if times > 1 else FIRST_DELAY_S
        if self.spec.secret_env and not self.secrets_known:
            self.phase = "needs_env"
            return
        self.phase = "backoff"
        self.due_s = now_s + min(LONGEST_HANG_DELAY_S, pause_s)
        self.give_up_cleaning_s = self.due_s + 5.0

    def record(self) -> Record:
        """For the disk. During a replacement it holds the spec that is to come, beside the process that has to go."""
        wanted = self.stopping is None or self.stopping.successor is not None or self.stopping.again
        spec = self.spec
        if self.stopping is not None and self.stopping.successor is not None:
            spec = self.stopping.successor
        return Record(spec, wanted, self.marker, self.identity, ended=self.phase == "exited")

    def state(self, now_s: float) -> ProcessState:
        """For the answer to ``list``."""
        _forget_before(self.restarted_s, now_s - WINDOW_S)
        _forget_before(self.hung_s, now_s - HANGS_WINDOW_S)
        return ProcessState(
            key=self.spec.key,
            group=self.spec.group,
            phase=self.phase,
            pid=self.identity.pid if self.identity and self.pidfd is not None else None,
            started_s=self.started_s if self.pidfd is not None else None,
            adopted=self.adopted,
            restarts=len(self.restarted_s),
            last_exit=self.last_exit,
            error=self.error,
            saved=self.saved,
            log_path=self.spec.log_path,
            grace_s=self.spec.grace_s,
            hangs=len(self.hung_s),
        )


def _forget_before(moments_s: deque[float], limit_s: float) -> None:
    while moments_s and moments_s[0] < limit_s:
        moments_s.popleft()


def marker_for(run_id: str, spec: ProcessSpec, nonce: str) -> str:
    """``RUN/KEY/FINGERPRINT/NONCE``: enough to recognise a process whose record is lost."""
    return f"{run_id}/{spec.key}/{fingerprint(spec)}/{nonce}"


def key_of_marker(run_id: str, marker: str) -> str | None:
    """The key when the marker is one of this run directory."""
    parts = marker.split("/")
    return parts[1] if len(parts) == 4 and parts[0] == run_id else None


def runs_spec(marker: str, spec: ProcessSpec) -> bool:
    """Whether the process with this marker was started from this spec."""
    return marker.split("/")[2:3] == [fingerprint(spec)]
