"""Functions that run by the clock: when one is asked, and how that went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """When a version of a function is asked. ``said`` is the schedule as its author wrote it, which the code gets."""

    name: str
    digest: str
    schedule: str
    said: str
    path: str = "/"
    timeout_s: float = 30.0

    @property
    def key(self) -> str:
        """What stays itself from version to version."""
        return f"{self.name} {self.said} {self.path}"


@dataclass(frozen=True, slots=True)
class Fired:
    """How it went."""

    ok: bool
    detail: str
    took_ms: float
