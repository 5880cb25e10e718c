"""Asking something outside whether all is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lastgood.config.bake import Check


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it: ``well`` is None where nobody could say, which is neither good nor bad."""

    well: bool | None
    why: str = ""


class Checks(Protocol):
    """Asks the checks of a configuration."""

    async def ask(self, check: Check, release: str) -> Checked:
        """Once, about ``release`` (``r12``), within the check's timeout; never raises for what the other side does."""
        ...
