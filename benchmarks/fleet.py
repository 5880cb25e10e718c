"""Fifty services: all of them back by one command, and what it costs to look after them when nothing happens."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.stamps import stamps
from benchmarks.stub import HOST, Shop, last_arrival, shop
from benchmarks.table import Size, Table

SERVICES, INSTANCES = 50, 4
IDLE_S = 30.0
LIMIT_S = 240.0
COLUMNS = (
    "services x instances",
    "times back",
    "verb to push acknowledged p50 / largest ms (target p99 1,000)",
    "of it: reaches the loop + plan and journal + push p50 ms",
    "to the last arrival at a version that is left p50 / largest ms",
    "failed of sent",
    "idle: controller % of a core, MiB",
    "idle: supervisor % of a core, MiB",
    "idle: Envoy % of a core, MiB",
)


@dataclass
class Fleet:
    """The samples."""

    total: list[float] = field(default_factory=list)
    to_request: list[float] = field(default_factory=list)
    to_effect: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    failed: int = 0
    sent: int = 0
    idle: dict[str, tuple[float, float]] = field(default_factory=dict)


def run(size: Size) -> Table:
    """One row."""
    few = size.name == "smoke"
    services, instances, times = (3, 1, 2) if few else (SERVICES, INSTANCES, max(2, size.changes // 2))
    with traffic() as load, shop(instances, services=services, interval="1s") as it:
        seen = measure(it, load, times, 1.0 if few else IDLE_S)
    cells = [_cells(f"{services} x {instances}", seen)]
    note = (
        "All services change in one release (blue-green, all warm: twice as many instances run until it is over) and "
        "go back by one `rollback`. 200 requests a second over all services meanwhile. Idle is before that, without "
        f"any requests, over {IDLE_S:g} s: each instance is asked for its health every second, the default. Memory is "
        "the proportional set size."
    )
    return Table("fleet", "Fifty services", COLUMNS, cells, [note], {"fleet": vars(seen)})


def measure(it: Shop, load: Traffic, times: int, idle_s: float) -> Fleet:
    """Idle first, then back and back again."""
    seen = Fleet()
    time.sleep(min(5.0, idle_s))
    before, began_s = costs(it), time.monotonic()
    time.sleep(idle_s)
    took_s = time.monotonic() - began_s
    for who, (cpu_s, mib) in costs(it).items():
        seen.idle[who] = (100 * (cpu_s - before[who][0]) / took_s, mib)
    paths = ["/", *(f"/s{n}/" for n in range(1, it.services))]
    load.begin(it.project.port, [(HOST, path) for path in paths], per_second=200.0)
    time.sleep(0.3)
    began_ns, sent_ms = now_ns(), {}
    for _ in range(times):
        blue = [it.ports(f"s{n}") for n in range(it.services)]
        ahead = it.api.deploy(it.commit("b", "blue_green: { keep_old: 1h }"))
        it.api.wait(ahead.deployment, "bake", LIMIT_S)
        it.api.wait(ahead.deployment, "converged.ended", LIMIT_S)
        green = [port for n in range(it.services) for port in it.ports(f"s{n}") - blue[n]]
        time.sleep(1.0)
        back = it.api.rollback("r1")
        sent_ms[back.deployment] = back.sent_ns / 1e6
        it.api.wait(back.deployment, "shift.ended")
        time.sleep(0.05)
        seen.last.append((max(map(last_arrival, green)) - back.sent_ns) / 1e6)
        it.api.wait(back.deployment, "ended", LIMIT_S)
    load.halt()
    time.sleep(0.2)
    window = load.window(began_ns, now_ns(), "b")
    seen.sent, seen.failed = window.sent, window.failed
    for number, made in stamps(it.places, sent_ms).items():
        seen.to_request.append(made.requested_ms - sent_ms[number])
        seen.to_effect.append(made.began_ms["shift"] - made.requested_ms)
        seen.push.append(made.push_ms["shift"])
        seen.total.append(made.began_ms["shift"] - sent_ms[number] + made.push_ms["shift"])
    return seen


def costs(it: Shop) -> dict[str, tuple[float, float]]:
    """CPU seconds so far and MiB of the controller, the supervisor and the proxy that carries requests."""
    found: dict[str, tuple[float, float]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_bytes().decode().split("\0")
            if not any(str(it.places.state) in word for word in words):
                continue
            spent = process.joinpath("stat").read_text().rpartition(")")[2].split()
            shares = process.joinpath("smaps_rollup").read_text()
        except OSError:
            continue
        cpu_s = (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
        mib = sum(int(line.split()[1]) for line in shares.splitlines() if line.startswith("Pss:")) / 1024
        if "lastgood.interfaces.daemon" in words:
            found["controller"] = (cpu_s, mib)
        elif "lastgood.effects.processes.supervisor" in words:
            found["supervisor"] = (cpu_s, mib)
        elif words[0].endswith("envoy") and not any("preflight" in word for word in words):
            found["Envoy"] = (cpu_s, mib)
    return found


def _cells(name: str, seen: Fleet) -> list[str]:
    total, last = Spread.of(seen.total), Spread.of(seen.last)
    legs = " + ".join(shown(Spread.of(leg).p50) for leg in (seen.to_request, seen.to_effect, seen.push))
    return [
        name,
        str(total.count),
        f"**{shown(total.p50)}** / {shown(total.largest)}",
        legs,
        f"{shown(last.p50)} / {shown(last.largest)}",
        f"{seen.failed} of {seen.sent:,}",
        *(f"{seen.idle[who][0]:.1f} %, {seen.idle[who][1]:.0f}" for who in ("controller", "supervisor", "Envoy")),
    ]
