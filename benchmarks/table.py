"""What a benchmark hands back: one table, with what it was measured against and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """``cells`` are texts for people, ``raw`` the samples behind them, by what they are called."""

    name: str
    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table, its notes, and the command that repeats it."""
        lines = [f"### {self.title}", "", _row(self.columns), _row(["---"] * len(self.columns))]
        lines += [_row(cells) for cells in self.cells]
        lines += ["", f"`python -m benchmarks {self.name}`"]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each figure is measured. ``SMOKE`` shows that the benchmark runs, its figures say nothing."""

    name: str
    shifts: int
    changes: int
    probes: int
    files: int
    repeats: int
    routes: tuple[int, ...]
    largest: int


FULL = Size("full", 200, 20, 200, 3_000, 7, (1, 1_000, 10_000), 10_000)
SMOKE = Size("smoke", 2, 2, 3, 12, 2, (1,), 1)
