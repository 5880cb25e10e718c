"""What moves a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lastgood.release.observed import Fact
from lastgood.release.step import Step


class Driver(Protocol):
    """Moves one kind of part. The engine knows nothing else of gateways, services, functions or databases."""

    async def observe(self) -> Sequence[Fact]:
        """What is there now. Raises ``Unavailable`` when that cannot be said."""
        ...

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Carry a step out; the same key again is harmless. What it returns is journalled (no secrets).

        Raises ``LastgoodError`` when it did not work. A cancelled call stops as soon as it can.
        """
        ...
