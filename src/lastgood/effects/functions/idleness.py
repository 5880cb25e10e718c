"""Whether nobody talks to a process, asked so that the answer is still true afterwards. Standard library only."""

from __future__ import annotations

import os
import signal

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN, _TIME_WAIT = "0A", "06"


def accepted(port: int) -> int:
    """Connections at a port that its process has accepted: those still in the kernel's queue have no inode yet."""
    count = 0
    for path in _TABLES:
        try:
            with open(path, encoding="ascii") as table:
                next(table)
                for line in table:
                    words = line.split()
                    if int(words[1].rpartition(":")[2], 16) == port and words[3] not in (_LISTEN, _TIME_WAIT):
                        count += words[9] != "0"
        except (OSError, StopIteration):
            continue
    return count


def waiting(port: int) -> int:
    """Connections in the queue of the socket that listens at a port: nobody has accepted them yet."""
    for path in _TABLES:
        try:
            with open(path, encoding="ascii") as table:
                for words in map(str.split, table):
                    if words[3] == _LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                        return int(words[4].rpartition(":")[2], 16)
        except OSError:
            continue
    return 0


def stop_if_idle(pid: int, port: int, how: signal.Signals) -> bool:
    """End a child that has accepted nothing; whether it was. Connections that come meanwhile stay in the queue.

    It is frozen for the look, so that it cannot accept between the look and the signal. One that ends tidily on SIGTERM
    may accept between its awakening and the signal's handler: it has to answer what it accepted.
    """
    os.kill(pid, signal.SIGSTOP)
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise ChildProcessError(os.waitstatus_to_exitcode(status))
    idle = accepted(port) == 0
    if idle:
        os.kill(pid, how)
    os.kill(pid, signal.SIGCONT)
    return idle


def cpu_ticks(pid: int) -> int:
    """What a process has worked so far, in clock ticks; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return int(words[11]) + int(words[12])


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
