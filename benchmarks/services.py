"""Services: back while the old version is warm, and back when it has to be started first; under load."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.stamps import stamps
from benchmarks.stub import HOST, Shop, last_arrival, shop
from benchmarks.table import Size, Table

INSTANCES = 4
COLUMNS = (
    "the old version",
    "rollbacks",
    "verb to last arrival at the version that is left p50 / p95 ms (warm: target p50 3)",
    "the request reaches the loop p50 ms",
    "plan, journal, and (not warm) start and see it healthy p50 ms",
    "push to acknowledgement p50 ms",
    "failed of sent",
)
SETTINGS = {True: ("blue_green: { keep_old: 1h }", "1h"), False: ("blue_green: { keep_old: 100ms }", "100ms")}
"""Strategy and bake for a way back to what is warm, and to what is not there."""


@dataclass
class Backs:
    """The samples of one row, in ms."""

    last: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    to_request: list[float] = field(default_factory=list)
    to_effect: list[float] = field(default_factory=list)
    failed: int = 0
    sent: int = 0


def run(size: Size) -> Table:
    """One row warm, one cold."""
    times = max(2, size.changes)
    with traffic() as load, shop(INSTANCES) as it:
        load.begin(it.project.port, [(HOST, "/")])
        rows = [("warm", _measure(it, load, times, warm=True)), ("not there", _measure(it, load, times, warm=False))]
        load.halt()
    cells = [_cells(name, backs) for name, backs in rows]
    title = f"A service with {INSTANCES} instances goes back"
    raw = {name: vars(backs) for name, backs in rows}
    return Table("services", title, COLUMNS, cells, [_note()], raw)


def _measure(it: Shop, load: Traffic, times: int, *, warm: bool) -> Backs:
    backs, began_ns = Backs(), now_ns()
    legs: dict[int, tuple[float, str]] = {}
    for _ in range(times):
        blue = it.ports()
        strategy, bake = SETTINGS[warm]
        ahead = it.api.deploy(it.commit("b", strategy, bake=bake))
        if warm:
            it.api.wait(ahead.deployment, "bake")
            it.api.wait(ahead.deployment, "converged.ended")
            time.sleep(0.1)
        else:
            it.api.wait(ahead.deployment, "ended")
            blue = set()
        green = it.ports() - blue
        back = it.api.rollback("r1")
        step = "shift" if warm else "push"
        it.api.wait(back.deployment, f"{step}.ended")
        arrived_ns = max(last_arrival(port) for port in green)
        backs.last.append((arrived_ns - back.sent_ns) / 1e6)
        it.api.wait(back.deployment, "ended")
        results = {made["id"]: made.get("result") or {} for made in it.api.report(back.deployment)["steps"]}
        backs.start.append(float(results.get("start:s0", {}).get("ready_ms", 0.0)))
        backs.push.append(float(results[step]["took_ms"]))
        legs[back.deployment] = (back.sent_ns / 1e6, step)
    for number, made in stamps(it.places, legs).items():
        sent_ms, step = legs[number]
        backs.to_request.append(made.requested_ms - sent_ms)
        backs.to_effect.append(made.began_ms[step] - made.requested_ms)
    seen = load.window(began_ns, now_ns(), "b")
    backs.sent, backs.failed = seen.sent, seen.failed
    return backs


def _cells(name: str, backs: Backs) -> list[str]:
    last = Spread.of(backs.last)
    return [
        name,
        str(last.count),
        f"**{shown(last.p50)}** / {shown(last.p95)}",
        shown(Spread.of(backs.to_request).p50),
        f"{shown(Spread.of(backs.to_effect).p50)} ({shown(Spread.of(backs.start).p50)})",
        shown(Spread.of(backs.push).p50),
        f"{backs.failed} of {backs.sent:,}",
    ]


def _note() -> str:
    return (
        "Arrivals are noted by the instances themselves, on the boot-time clock. Not there: the old version had been "
        "stopped: its instances are started from their bundle and seen healthy before any request moves, nothing "
        "is built or fetched. In brackets: the start until all are healthy, most of it Python's own. (The stub does "
        "without asyncio, whose import was most of 0.7 s in earlier figures.)"
    )
