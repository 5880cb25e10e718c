"""Shift back while a release bakes: from the verb to the last request that arrives where the bad release sent it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, Window, traffic
from benchmarks.machine import synced_write_ms
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import SHAPES, Running, commits, running
from benchmarks.stamps import stamps
from benchmarks.table import Size, Table

TARGET_MS = 3.0
COLUMNS = (
    "routes, hosts changed",
    "shifts",
    "verb to last arrival p50 / p95 / p99 ms (target p50 3)",
    "first arrival elsewhere p50 / p99 ms",
    "control: an API call that does nothing p50 / p99 ms",
    "control: 4 KiB written and synced p50 / p99 ms",
    "failed of sent",
    "old after new",
)


@dataclass
class Shifts:
    """The samples of one row, in ms."""

    last: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    to_request: list[float] = field(default_factory=list)
    to_effect: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    stale: int = 0
    failed: int = 0
    sent: int = 0
    dropped: int = 0

    def note(self, sent_ns: int, window: Window) -> None:
        """What the load saw of one shift; a negative time: no request happened to arrive after the verb."""
        if window.first_other_ns is None:
            raise RuntimeError("the traffic did not move")
        last_ns = window.last_left_ns if window.last_left_ns is not None else sent_ns
        self.last.append((last_ns - sent_ns) / 1e6)
        self.first.append((window.first_other_ns - sent_ns) / 1e6)
        self.stale += window.stale

    def note_all(self, window: Window) -> None:
        """The whole run: nothing may fail, before, while or after it shifts."""
        self.sent, self.failed, self.dropped = window.sent, window.failed, window.dropped


def run(size: Size) -> Table:
    """One row for each number of routes, and for commits over many hosts."""
    rows: list[tuple[str, Shifts]] = []
    with traffic() as load:
        for routes in sorted({1, size.largest}):
            with running(SHAPES[routes], load.ports) as it:
                rows.append((f"{routes:,}, 1", shift(it, load, hosts=1, times=size.shifts)))
                rows += [
                    (f"{routes:,}, {hosts:,}", shift(it, load, hosts=hosts, times=size.changes))
                    for hosts in commits(it.shape)[1:]
                ]
    return Table(
        "shift",
        "Shift back while the release bakes",
        COLUMNS,
        [_cells(name, shifts) for name, shifts in rows],
        [_breakdown(rows)],
        {name: vars(shifts) for name, shifts in rows},
    )


def shift(it: Running, load: Traffic, *, hosts: int, times: int) -> Shifts:
    """Deploy a commit that moves the first route of so many hosts, roll it back; again and again."""
    shifts = Shifts()
    load.begin(it.project.port, it.shape.targets(hosts))
    began_ns = now_ns()
    revision = it.project.move(range(hosts), it.shape.per_host, "b", f"Move {hosts} hosts")
    sent: dict[int, int] = {}
    for _ in range(times):
        deployed = it.api.deploy(revision)
        it.api.wait(deployed.deployment, "bake")
        it.api.wait(deployed.deployment, "converged.ended")
        time.sleep(0.02)
        shifts.control.append(it.api.nothing())
        shifts.disk.append(synced_write_ms(it.places.state / "bench-control"))
        back = it.api.rollback("r1")
        it.api.wait(back.deployment, "ended")
        sent[back.deployment] = back.sent_ns
        shifts.note(back.sent_ns, load.window(back.sent_ns, now_ns(), "b"))
    load.halt()
    time.sleep(0.1)
    shifts.note_all(load.window(began_ns, now_ns(), "b"))
    it.project.move(range(hosts), it.shape.per_host, "a", f"Move {hosts} hosts back")
    _note_stamps(it, sent, shifts)
    return shifts


def _note_stamps(it: Running, sent: dict[int, int], shifts: Shifts) -> None:
    for number, seen in stamps(it.places, sent).items():
        shifts.to_request.append(seen.requested_ms - sent[number] / 1e6)
        shifts.to_effect.append(seen.began_ms["shift"] - seen.requested_ms)
        shifts.push.append(seen.push_ms["shift"])


def _cells(name: str, shifts: Shifts) -> list[str]:
    last, first, control = Spread.of(shifts.last), Spread.of(shifts.first), Spread.of(shifts.control)
    disk = Spread.of(shifts.disk)
    return [
        name,
        str(last.count),
        f"**{shown(last.p50)}** / {shown(last.p95)} / {shown(last.p99)}",
        f"{shown(first.p50)} / {shown(first.p99)}",
        f"{shown(control.p50)} / {shown(control.p99)}",
        f"{shown(disk.p50)} / {shown(disk.p99)}",
        f"{shifts.failed} of {shifts.sent:,}",
        str(shifts.stale),
    ]


def _breakdown(rows: list[tuple[str, Shifts]]) -> str:
    parts = []
    for name, shifts in rows:
        legs = (shifts.to_request, shifts.to_effect, shifts.push)
        p50s = " + ".join(shown(Spread.of(leg).p50) for leg in legs)
        parts.append(f"{name}: {p50s}")
    return (
        "Where the time goes (p50 ms): the request reaches the loop + plan and journal + push to acknowledgement. "
        + "; ".join(parts)
        + "."
    )
