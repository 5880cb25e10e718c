"""The command line, from Enter: a whole process with everything it imports."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import SHAPES, Running, running
from benchmarks.table import Size, Table

COLUMNS = (
    "command",
    "routes",
    "runs",
    "target ms",
    "to the last request at the left side p50 / largest ms",
    "whole process p50 / largest ms",
)


@dataclass
class Runs:
    """The samples of one row, in ms; ``effective`` only where the command moves traffic."""

    whole: list[float] = field(default_factory=list)
    effective: list[float] = field(default_factory=list)


def run(size: Size) -> Table:
    """Python alone, ``--help``, ``status`` and ``rollback``."""
    rows: list[tuple[str, int, str, Runs]] = []
    with traffic() as load:
        for routes in sorted({1, size.largest}):
            with running(SHAPES[routes], load.ports) as it:
                if routes == 1:
                    rows.append(
                        ("`python -c pass` (control)", routes, "", _time(it, size, [sys.executable, "-c", "pass"]))
                    )
                    rows.append(("`lastgood --help`", routes, "300", _time(it, size, [*_lastgood(), "--help"])))
                rows.append(("`lastgood status`", routes, "300", _time(it, size, [*_lastgood(), "status"])))
                rows.append(("`lastgood rollback`", routes, "500", _roll_back(it, load, size)))
    return Table(
        "command",
        "From Enter",
        COLUMNS,
        [_cells(*row) for row in rows],
        [
            "The rollback is the whole of it: the commit that is rolled back bakes, traffic moves, the revert commit "
            "is written, and the proof is printed that the left release gets no more requests (its counters are "
            "watched for 200 ms)."
        ],
        {f"{name} at {routes}": vars(runs) for name, routes, _, runs in rows},
    )


def _lastgood() -> list[str]:
    beside = Path(sys.executable).parent / "lastgood"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "lastgood"]


def _time(it: Running, size: Size, command: list[str]) -> Runs:
    runs = Runs()
    for _ in range(size.repeats):
        began_ns = now_ns()
        _run(it, command)
        runs.whole.append((now_ns() - began_ns) / 1e6)
    return runs


def _roll_back(it: Running, load: Traffic, size: Size) -> Runs:
    runs = Runs()
    load.begin(it.project.port, it.shape.targets(1))
    for number in range(size.repeats):
        # Another content each time: the one before is quarantined.
        it.project.write_host(0, it.shape.per_host, "b").open("a").write(f"# {number}\n")
        it.project.commit(f"Move it, {number}")
        asked = it.api.deploy_and_wait("main", until="bake")
        it.api.wait(asked.deployment, "converged.ended")
        began_ns = now_ns()
        _run(it, [*_lastgood(), "rollback", "r1", "-m", "measured"])
        runs.whole.append((now_ns() - began_ns) / 1e6)
        window = load.window(began_ns, now_ns(), "b")
        if window.first_other_ns is None:
            raise RuntimeError("the traffic did not move")
        runs.effective.append(((window.last_left_ns or began_ns) - began_ns) / 1e6)
    load.halt()
    time.sleep(0.1)
    return runs


def _run(it: Running, command: list[str]) -> None:
    done = subprocess.run(command, cwd=it.project.root, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode} {done.stdout} {done.stderr}")


def _cells(name: str, routes: int, target: str, runs: Runs) -> list[str]:
    whole, effective = Spread.of(runs.whole), Spread.of(runs.effective)
    moved = f"**{shown(effective.p50)}** / {shown(effective.largest)}" if runs.effective else ""
    return [name, f"{routes:,}", str(whole.count), target, moved, f"{shown(whole.p50)} / {shown(whole.largest)}"]
