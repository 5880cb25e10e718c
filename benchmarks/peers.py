"""Beside others: what a change of one route costs, under the same load, on the same machine, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.peer import PEERS, Missing, Peer
from benchmarks.project import SHAPES, running
from benchmarks.shift import shift
from benchmarks.table import Size, Table

OURS = "Lastgood, rollback while it bakes"
LIMIT_S = 60.0
COLUMNS = (
    "",
    "routes",
    "changes",
    "asked to last arrival p50 / largest ms",
    "first arrival elsewhere p50 / largest ms",
    "times ours",
    "connections closed",
    "failed of sent",
)


@dataclass
class Changes:
    """The samples of one row."""

    last: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    dropped: int = 0
    failed: int = 0
    sent: int = 0


def run(size: Size) -> Table:
    """Ours and every peer at each number of routes."""
    rows: list[tuple[str, int, Changes]] = []
    missing: set[str] = set()
    with traffic() as load:
        for routes in size.routes:
            times = size.changes // (2 if routes <= 1_000 else 4)
            rows.append((OURS, routes, _ours(load, routes, times)))
            for kind in PEERS:
                try:
                    rows.append((kind.name, routes, measure(kind(SHAPES[routes], load.ports), load, times)))
                except Missing as error:
                    missing.add(str(error))
    ours = {routes: Spread.of(changes.last).p50 for name, routes, changes in rows if name == OURS}
    return Table(
        "peers",
        "One route changes, beside others",
        COLUMNS,
        [_cells(name, routes, changes, ours[routes]) for name, routes, changes in rows],
        [
            "Each is changed the quickest way its makers offer, with one worker, 16 keep-alive connections and 500 "
            "requests a second; the moment it is asked is the signal, the request or the renaming of a file that was "
            "written before. An arrival is known to 2 ms, the pause between requests: 0.00 means that most often no "
            "request came to the left side any more. Traefik's own throttle of two seconds is set to 1 ms. Ours holds "
            "reading the request, planning and the journal.",
            *sorted(missing),
        ],
        {f"{name} at {routes}": vars(changes) for name, routes, changes in rows},
    )


def _ours(load: Traffic, routes: int, times: int) -> Changes:
    with running(SHAPES[routes], load.ports) as it:
        seen = shift(it, load, hosts=1, times=times)
    return Changes(seen.last, seen.first, seen.dropped, seen.failed, seen.sent)


def measure(peer: Peer, load: Traffic, times: int) -> Changes:
    """Change a peer there and back under load."""
    changes = Changes()
    try:
        peer.start()
        load.begin(peer.port, peer.shape.targets(1))
        time.sleep(0.3)
        began_ns = now_ns()
        side = "a"
        for _ in range(times):
            left, side = side, "b" if side == "a" else "a"
            last_ms, first_ms = _change(peer, load, left, side)
            changes.last.append(last_ms)
            changes.first.append(first_ms)
        load.halt()
        time.sleep(0.1)
        window = load.window(began_ns, now_ns(), "a")
        changes.sent, changes.failed, changes.dropped = window.sent, window.failed, window.dropped
    finally:
        load.halt()
        peer.stop()
    return changes


def _change(peer: Peer, load: Traffic, left: str, side: str) -> tuple[float, float]:
    asked_ns = peer.change(side)
    deadline_s = time.monotonic() + LIMIT_S
    while load.window(asked_ns, now_ns(), left).first_other_ns is None:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{peer.name} did not change within {LIMIT_S:g} s")
        time.sleep(0.02)
    time.sleep(0.4)
    window = load.window(asked_ns, now_ns(), left)
    assert window.first_other_ns is not None
    return ((window.last_left_ns or asked_ns) - asked_ns) / 1e6, (window.first_other_ns - asked_ns) / 1e6


def _cells(name: str, routes: int, changes: Changes, ours_ms: float) -> list[str]:
    last, first = Spread.of(changes.last), Spread.of(changes.first)
    times = last.p50 / ours_ms
    return [
        name,
        f"{routes:,}",
        str(last.count),
        f"**{shown(last.p50)}** / {shown(last.largest)}",
        f"{shown(first.p50)} / {shown(first.largest)}",
        "1" if name == OURS else "**less**" if times < 1 else shown(times),
        str(changes.dropped),
        f"{changes.failed} of {changes.sent:,}",
    ]
