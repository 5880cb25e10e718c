"""Who holds the journal's lease, as text: pid and start time, so that a pid used again is not taken for its holder."""

from __future__ import annotations

import os

from lastgood.effects.processes.identity import stat_of


def holder() -> str:
    """This process."""
    seen = stat_of(os.getpid())
    return f"{os.getpid()}:{seen.start_ticks if seen else 0}"


def holder_lives(text: str) -> bool:
    """Whether the process that wrote :func:`holder` is still there."""
    pid, _, started = text.partition(":")
    seen = stat_of(int(pid)) if pid.isdigit() else None
    return seen is not None and not seen.is_dead and str(seen.start_ticks) == started
