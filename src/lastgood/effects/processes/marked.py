"""Processes by the marker in their environment: what builds and hooks started, wherever it went since."""

from __future__ import annotations

import os
import signal
import time

from lastgood.effects.processes.identity import marker_of, running

GONE_S = 5.0
"""How long the end of killed processes is waited for."""


def end_all(marker: str) -> None:
    """End every process that was started with a marker, wherever it went. Blocks."""
    give_up_s = time.monotonic() + GONE_S
    while time.monotonic() < give_up_s:
        found = [stat.pid for stat in running() if marker_of(stat.pid) == marker]
        if not found:
            return
        for pid in found:
            _kill(pid, marker)
        time.sleep(0.02)


def _kill(pid: int, marker: str) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if marker_of(pid) == marker:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        pass  # it ended meanwhile
    finally:
        os.close(descriptor)
