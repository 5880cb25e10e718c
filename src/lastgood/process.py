"""A process to keep running, and what became of it: the values the supervisor and everybody else share.

Standard library only: the supervisor imports this, and it has to stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Group = Literal["controller", "proxy", "instance"]
Restart = Literal["always", "never"]
Phase = Literal["running", "backoff", "exited", "needs_env", "stopping", "orphan"]
"""``needs_env``: it has to be started, but its secrets were lost with the supervisor that knew them; start it again
with the same spec. ``orphan``: it runs and is ours, but its spec was lost; it is neither restarted nor stopped unasked.
"""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run.

    ``key`` is its name for ever (``[A-Za-z0-9._:@-]``, at most 160). The environment is ``env`` and ``secret_env`` and
    nothing else; ``env`` is written to disk, of ``secret_env`` the names only. ``grace_s`` lies between SIGTERM and
    SIGKILL. ``log_path`` (absolute) gets stdout and stderr and is rotated.
    """

    key: str
    argv: tuple[str, ...]
    log_path: str
    group: Group = "instance"
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    restart: Restart = "always"
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What became of a process, as of the answer: it may be gone a moment later.

    ``started_s`` is boot-time clock. ``restarts`` counts those of the last minute. ``last_exit`` is an exit code,
    negative for a signal, None when it never ended or when the code is unknown, as it is of adopted processes.
    ``hangs`` counts the restarts of the last ten minutes that were asked for because it did not answer any more.
    ``saved`` False: the disk did not take its record, which is tried again.
    """

    key: str
    group: Group
    phase: Phase
    pid: int | None = None
    started_s: float | None = None
    adopted: bool = False
    restarts: int = 0
    last_exit: int | None = None
    error: str | None = None
    saved: bool = True
    log_path: str = ""
    grace_s: float = 10.0
    hangs: int = 0
