"""What the doctor found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lastgood.interfaces.cli.text import columns, counted


class Finding(Protocol):
    """One thing that was examined: ``level`` is ok, warn or fail."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def level(self) -> str: ...  # noqa: D102
    @property
    def what(self) -> str: ...  # noqa: D102
    @property
    def next(self) -> str | None: ...  # noqa: D102


def checks(found: Sequence[Finding]) -> list[str]:
    """A line each; where something is to be done, a line that says what."""
    lines: list[str] = []
    for row, check in zip(columns([[one.level, one.name, one.what] for one in found]), found, strict=True):
        lines.append(row)
        if check.next:
            lines.append(f"      next: {check.next}")
    failed = sum(check.level == "fail" for check in found)
    warned = sum(check.level == "warn" for check in found)
    lines.append(f"{counted(failed, 'failure')}, {counted(warned, 'warning')}" if failed or warned else "all is well")
    return lines
