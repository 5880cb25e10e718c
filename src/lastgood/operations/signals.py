"""What wakes the loop: somebody asks, or an effect has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.operations.world import Request
from lastgood.ports import Stamp
from lastgood.release.step import Step


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, the moment it came, and where its answer goes."""

    request: Request
    answer: asyncio.Future[Mapping[str, Any]]
    at: Stamp

    def give(self, answer: Mapping[str, Any]) -> None:
        """Answer, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(frozen=True, slots=True)
class Done:
    """An effect of a plan ended; ``error`` is None where it worked."""

    plan: str
    deployment: int
    step: Step
    result: Mapping[str, Any]
    error: str | None
    attempt: int
