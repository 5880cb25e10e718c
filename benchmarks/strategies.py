"""Every strategy forward and back, again and again, under load: what counts is how many requests fail."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.stub import HOST, Shop, shop
from benchmarks.table import Size, Table

INSTANCES = 10
PER_SECOND = 1_000.0
FEW, FEW_PER_SECOND = 3, 300.0
"""At the small size."""
COLUMNS = (
    "strategy",
    "times forward and back",
    "failed of sent",
    "answers of the new version",
    "forward p50 / largest s",
    "back p50 / largest s",
    "latency meanwhile p50 / p99 / largest ms",
)


@dataclass
class Moves:
    """The samples of one row."""

    forward_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    sent: int = 0
    failed: int = 0
    moved: int = 0
    dropped: int = 0
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    largest_ms: list[float] = field(default_factory=list)


def run(size: Size) -> Table:
    """One row for each strategy."""
    times = max(2, size.changes)
    instances, per_second = (FEW, FEW_PER_SECOND) if size.name == "smoke" else (INSTANCES, PER_SECOND)
    rows = {}
    for name, strategy in strategies(instances).items():
        with traffic() as load, shop(instances, interval="300ms") as it:
            rows[name] = measure(it, load, strategy, times, per_second)
    return table(rows)


def strategies(instances: int) -> dict[str, str]:
    """Each as it stands in a service's file; rolling takes half of the instances at a time."""
    half = instances // 2
    return {
        "blue-green": "blue_green: { keep_old: 1h }",
        "rolling, half at a time": f"rolling: {{ batch: {half} }}",
        "rolling, none beyond its number": f"rolling: {{ batch: {half}, max_surge: 0, max_unavailable: {half} }}",
        "canary, 10 % and 50 %": "canary: { steps: [10%, 50%], hold: 200ms, keep_old: 1h }",
    }


def table(rows: dict[str, Moves]) -> Table:
    """The table of what was measured."""
    cells = [_cells(name, moves) for name, moves in rows.items()]
    note = (
        f"{INSTANCES} instances, {PER_SECOND:,.0f} requests a second on 16 keep-alive connections, from before the "
        "first change until after the last. Failed: every answer but 200, and every connection that broke before its "
        "answer. Forward ends with the last shift, back when nothing of the version that was left runs any more. The "
        "latency is that of all requests, the p99 the median of the p99 of each time there and back; two cores run the "
        "load, Envoy, the controller and ten to twenty instances, of which some are always just starting."
    )
    raw = {name: vars(moves) for name, moves in rows.items()}
    return Table("strategies", "Every strategy forward and back, under load", COLUMNS, cells, [note], raw)


def measure(it: Shop, load: Traffic, strategy: str, times: int, per_second: float) -> Moves:
    """There and back so many times. The share of the new version is seen on the wire."""
    moves = Moves()
    load.begin(it.project.port, [(HOST, "/")], per_second=per_second)
    time.sleep(0.3)
    began_ns = now_ns()
    for _ in range(times):
        turn_ns = now_ns()
        ahead = it.api.deploy(it.commit("b", strategy))
        it.api.wait(ahead.deployment, "bake")
        it.api.wait(ahead.deployment, "converged.ended")
        moves.forward_s.append((now_ns() - turn_ns) / 1e9)
        back_ns = now_ns()
        back = it.api.rollback("r1")
        it.api.wait(back.deployment, "ended")
        moves.back_s.append((now_ns() - back_ns) / 1e9)
        seen = load.window(turn_ns, now_ns(), "b")
        moves.p50_ms.append(seen.latency_p50_ms)
        moves.p99_ms.append(seen.latency_p99_ms)
        moves.largest_ms.append(seen.latency_largest_ms)
        if "b" not in seen.sides:
            raise RuntimeError("no request met the new version")
        moves.moved += seen.sides.get("b", 0)
    time.sleep(0.3)
    load.halt()
    time.sleep(0.2)
    whole = load.window(began_ns, now_ns(), "b")
    moves.sent, moves.failed, moves.dropped = whole.sent, whole.failed, whole.dropped
    return moves


def _cells(name: str, moves: Moves) -> list[str]:
    forward, back = Spread.of(moves.forward_s), Spread.of(moves.back_s)
    return [
        name,
        str(forward.count),
        f"**{moves.failed:,}** of {moves.sent:,}",
        f"{moves.moved:,}",
        f"{shown(forward.p50)} / {shown(forward.largest)}",
        f"{shown(back.p50)} / {shown(back.largest)}",
        f"{shown(Spread.of(moves.p50_ms).p50)} / {shown(Spread.of(moves.p99_ms).p50)} / "
        f"{shown(Spread.of(moves.largest_ms).largest)}",
    ]
