"""The processes of one shop, found by the folder their command lines name; nothing else is ever touched."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
CONTROLLER = "lastgood.interfaces.daemon"
SUPERVISOR = "lastgood.effects.processes.supervisor"


def command_lines(root: Path) -> dict[int, str]:
    """Every living process (zombies are none) that was started for a folder, by pid."""
    return {pid: line for pid, line in all_command_lines().items() if f"{root}/" in line}


def all_command_lines() -> dict[int, str]:
    """Every living process but this one, by pid."""
    found: dict[int, str] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if line:
            found[int(entry.name)] = line
    return found


def pids(root: Path, what: str) -> list[int]:
    """The processes of a folder whose command line contains these words."""
    return sorted(pid for pid, line in command_lines(root).items() if what in line)


def pid(root: Path, what: str) -> int:
    """The only one; waits a moment for it."""
    found = eventually(lambda: pids(root, what), lambda found: len(found) == 1)
    return found[0]


def kill(*victims: int) -> None:
    """``kill -9``, and wait until they are gone."""
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: [v for v in victims if is_alive(v)], lambda left: not left)


def is_alive(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(look: Callable[[], T], wanted: Callable[[T], bool], *, within_s: float = 10.0) -> T:
    """What is seen once it is as wanted; fails with the last sight of it."""
    deadline_s = time.monotonic() + within_s
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline_s, f"not so within {within_s:g} s; last seen: {seen!r}"
        time.sleep(0.02)


def eventually_none(root: Path, *, within_s: float = 5.0) -> dict[int, str]:
    """What is left of a folder's processes after a moment; it is ended."""
    deadline_s = time.monotonic() + within_s
    while (left := command_lines(root)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    for victim in left:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return left
