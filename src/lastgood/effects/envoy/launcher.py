"""Starting a process, as far as this room needs it; the supervisor does it in production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Handle(Protocol):
    """A process that was started."""

    def running(self) -> bool:
        """False once it has ended."""
        ...

    async def stop(self) -> None:
        """End it and wait for that; harmless when it has ended."""
        ...


class Launcher(Protocol):
    """Starts processes."""

    async def launch(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Handle:
        """Start a process whose output is appended to ``log``. Raises ``Unavailable``."""
        ...
