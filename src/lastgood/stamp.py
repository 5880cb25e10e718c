"""A moment, as the journal keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment: wall clock for people, boot-time clock (runs on in suspend) of one boot for timers."""

    wall_s: float
    boot_id: str
    boot_s: float


_IMPLAUSIBLE_S = 30 * 86_400.0


def elapsed_s(start: Stamp, now: Stamp) -> float | None:
    """Seconds between two moments, None when no clock can be trusted.

    Within a boot the boot-time clock counts, which nobody sets. Across a reboot only the wall clock is left: a negative
    or absurd difference is implausible, and the caller decides what that means (a dead-man switch: expired).
    """
    if start.boot_id == now.boot_id:
        return max(0.0, now.boot_s - start.boot_s)
    passed = now.wall_s - start.wall_s
    return passed if 0 <= passed <= _IMPLAUSIBLE_S else None
