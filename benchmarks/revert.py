"""Revert after the bake: the old routes are no longer loaded, they are pushed again. And what forward costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import SHAPES, Running, commits, running
from benchmarks.stamps import stamps
from benchmarks.table import Size, Table

BAKE = "100ms"
TARGETS_MS = {1: 5.0, 100: 25.0, 1_000: 150.0}
COLUMNS = (
    "routes, hosts changed",
    "reverts",
    "push to acknowledged p50 / largest ms",
    "target p50",
    "verb to last arrival p50 / largest ms",
    "commit to effective (deploy) p50 / largest ms",
    "preflight p50 / largest ms (target 10 for one)",
    "slowest request meanwhile p50 / largest ms",
    "failed of sent",
    "old after new",
)


@dataclass
class Reverts:
    """The samples of one row, in ms."""

    push: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    compile: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    preflight: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    stale: int = 0
    failed: int = 0
    sent: int = 0


def run(size: Size) -> Table:
    """One row for each size of commit."""
    rows: list[tuple[int, Reverts]] = []
    with traffic() as load, running(SHAPES[size.largest], load.ports, bake=BAKE) as it:
        rows += [(hosts, revert(it, load, hosts=hosts, times=size.changes)) for hosts in commits(it.shape)]
    return Table(
        "revert",
        "Revert after the bake",
        COLUMNS,
        [_cells(size.largest, hosts, seen) for hosts, seen in rows],
        [
            "Push to acknowledged is the controller's own figure, from the first byte to the last acknowledgement of "
            "what carries traffic. Verb to last arrival is seen from outside and holds everything: HTTP, plan, "
            "journal, compiling, push. Commit to effective runs from `POST /v1/deploy` to the first arrival at the new "
            "upstream: reading Git, checking, preflight, loading, shifting. Old after new: answers of the state that "
            "was left, after one of the new state on the same connection; 0 means a commit is atomic per connection.",
            _breakdown(rows),
        ],
        {f"{hosts} hosts": vars(seen) for hosts, seen in rows},
    )


def revert(it: Running, load: Traffic, *, hosts: int, times: int) -> Reverts:
    """Deploy a commit that moves so many hosts, let it bake to its end, roll it back; again and again."""
    seen = Reverts()
    load.begin(it.project.port, it.shape.targets(hosts))
    began_ns = now_ns()
    revision = it.project.move(range(hosts), it.shape.per_host, "b", f"Move {hosts} hosts")
    forth: dict[int, int] = {}
    back: dict[int, int] = {}
    for _ in range(times):
        deployed = it.api.deploy(revision)
        it.api.wait(deployed.deployment, "ended")
        window = load.window(deployed.sent_ns, now_ns(), "a")
        assert window.first_other_ns is not None
        seen.forward.append((window.first_other_ns - deployed.sent_ns) / 1e6)
        seen.stale += window.stale
        forth[deployed.deployment] = deployed.sent_ns
        time.sleep(0.1)
        asked = it.api.rollback("r1", accept_loosening=True)
        it.api.wait(asked.deployment, "ended")
        time.sleep(0.3)  # an acknowledgement comes from the main thread: a worker may apply a large push later
        window = load.window(asked.sent_ns, now_ns(), "b")
        if window.first_other_ns is None:
            raise RuntimeError(f"d{asked.deployment} moved no request: {window}")
        last_ns = window.last_left_ns if window.last_left_ns is not None else asked.sent_ns
        seen.last.append((last_ns - asked.sent_ns) / 1e6)
        seen.slowest.append(window.latency_largest_ms)
        seen.stale += window.stale
        back[asked.deployment] = asked.sent_ns
    load.halt()
    time.sleep(0.1)
    window = load.window(began_ns, now_ns(), "b")
    seen.sent, seen.failed = window.sent, window.failed
    it.project.move(range(hosts), it.shape.per_host, "a", f"Move {hosts} hosts back")
    _note_stamps(it, seen, forth, back)
    return seen


def _note_stamps(it: Running, seen: Reverts, forth: dict[int, int], back: dict[int, int]) -> None:
    found = stamps(it.places, {**forth, **back})
    for number in back:
        one = found[number]
        seen.push.append(one.push_ms["push"])
        seen.compile.append(one.ended_ms["push"] - one.began_ms["push"] - one.push_ms["push"])
    for number in forth:
        one = found[number]
        seen.preflight.append(one.ended_ms["preflight"] - one.began_ms["preflight"])
        seen.load.append(one.push_ms["load"])


def _cells(routes: int, hosts: int, seen: Reverts) -> list[str]:
    push, last, forward, preflight = map(Spread.of, (seen.push, seen.last, seen.forward, seen.preflight))
    slowest = Spread.of(seen.slowest)
    return [
        f"{routes:,}, {hosts:,}",
        str(push.count),
        f"**{shown(push.p50)}** / {shown(push.largest)}",
        shown(TARGETS_MS[hosts]),
        f"{shown(last.p50)} / {shown(last.largest)}",
        f"{shown(forward.p50)} / {shown(forward.largest)}",
        f"{shown(preflight.p50)} / {shown(preflight.largest)}",
        f"{shown(slowest.p50)} / {shown(slowest.largest)}",
        f"{seen.failed} of {seen.sent:,}",
        str(seen.stale),
    ]


def _breakdown(rows: list[tuple[int, Reverts]]) -> str:
    parts = [
        f"{hosts:,} hosts: the step took {shown(Spread.of(seen.compile).p50)} ms beyond its push (compiling), "
        f"loading the second generation {shown(Spread.of(seen.load).p50)} ms from push to acknowledgement"
        for hosts, seen in rows
    ]
    return "p50. " + "; ".join(parts) + "."
