"""Which process is ours: pid, start time, boot and a marker in its environment; signals reach no other.

A pid alone lies: it is reused, and a dead orphan stays visible as a zombie until PID 1 reaps it. So a pidfd is opened
first and what it stands for is verified after (pidfd_open(2), proc(5)); only then is it signalled.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

MARKER = "LASTGOOD_MARKER"
"""The environment variable that every process we start, and all it starts, carries."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_DEAD = ("Z", "X", "x")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever: ``start_ticks`` are clock ticks since the boot ``boot_id``."""

    pid: int
    start_ticks: int
    boot_id: str
    marker: str


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``/proc/PID/stat`` says."""

    pid: int
    state: str
    process_group: int
    session: int
    start_ticks: int

    @property
    def is_dead(self) -> bool:
        """Ended, though perhaps not reaped yet."""
        return self.state in _DEAD


@cache
def boot_id() -> str:
    """This boot of this kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def stat_of(pid: int) -> Stat | None:
    """None: there is no such process, not even as a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything, brackets and blanks included: count from the last one.
            fields = file.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Stat(pid, fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def marker_of(pid: int) -> str | None:
    """The marker a process was started with; None when it has none, or it cannot be read.

    A program that writes over its environment to change its title, or one started through ``env -i``, has none.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError:
        return None
    prefix = f"{MARKER}=".encode()
    found = [line for line in content.split(b"\0") if line.startswith(prefix)]
    return found[0][len(prefix) :].decode("utf-8", "replace") if found else None


def identify(pid: int, marker: str) -> Identity | None:
    """The identity of a process that we have just started, or found by its marker."""
    stat = stat_of(pid)
    return Identity(pid, stat.start_ticks, boot_id(), marker) if stat else None


def adopt(identity: Identity) -> int | None:
    """A pidfd of exactly this process, alive; None when it is gone or another one has its number.

    A missing marker is believed only of the leader of its own session, which is how we start processes; a different
    one never is.
    """
    if identity.boot_id != boot_id() or identity.pid <= 0:
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if _is(identity) and not has_ended(pidfd):
        return pidfd
    os.close(pidfd)
    return None


def _is(identity: Identity) -> bool:
    stat = stat_of(identity.pid)
    if stat is None or stat.start_ticks != identity.start_ticks or stat.is_dead:
        return False
    marker = marker_of(identity.pid)
    return stat.session == stat.pid if marker is None else marker == identity.marker


def has_ended(pidfd: int) -> bool:
    """Whether the process has ended; a zombie has."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process runs; a zombie does not."""
    pidfd = adopt(identity)
    if pidfd is None:
        return False
    os.close(pidfd)
    return True


def running() -> Iterator[Stat]:
    """Every process that runs; some may have ended by the time they are looked at."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = stat_of(int(name))
            if stat is not None and not stat.is_dead:
                yield stat


def signal_process(identity: Identity, number: signal.Signals) -> bool:
    """Signal exactly this process; False when it is gone."""
    pidfd = adopt(identity)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def signal_if_same(seen: Stat, number: signal.Signals) -> None:
    """Signal a process that was seen; nothing happens when it is gone, or another one has its number."""
    try:
        pidfd = os.pidfd_open(seen.pid)
    except OSError:
        return
    try:
        now = stat_of(seen.pid)
        if now is not None and now.start_ticks == seen.start_ticks:
            signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile, or it became another user's: not ours to end
    finally:
        os.close(pidfd)
