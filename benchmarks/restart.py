"""The controller is killed: how long until it serves again, what it weighs, and what the traffic saw of it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import SHAPES, Running, running
from benchmarks.table import Size, Table
from lastgood.interfaces import lifecycle

LIMIT_S = 60.0
COLUMNS = (
    "routes",
    "kills",
    "kill -9 to answering, proxies acknowledged p50 / largest s",
    "controller MiB, before / after the restart",
    "Envoy MiB",
    "preflight Envoy MiB",
    "failed of sent",
    "connections closed",
)


@dataclass
class Kills:
    """The samples of one row."""

    back_s: list[float] = field(default_factory=list)
    before_mib: float = 0.0
    after_mib: float = 0.0
    envoy_mib: float = 0.0
    preflight_mib: float = 0.0
    failed: int = 0
    sent: int = 0
    dropped: int = 0


def run(size: Size) -> Table:
    """At one route and at the most."""
    rows: list[tuple[int, Kills]] = []
    with traffic() as load:
        for routes in sorted({1, size.largest}):
            with running(SHAPES[routes], load.ports) as it:
                rows.append((routes, _kill(it, load, min(size.repeats, 5))))
    return Table(
        "restart",
        "The controller is killed",
        COLUMNS,
        [_cells(routes, seen) for routes, seen in rows],
        ["Resident memory, with a release that bakes (two generations loaded). Traffic: 500 requests a second."],
        {str(routes): vars(seen) for routes, seen in rows},
    )


def _kill(it: Running, load: Traffic, times: int) -> Kills:
    seen = Kills()
    load.begin(it.project.port, it.shape.targets(1))
    began_ns = now_ns()
    it.project.move([0], it.shape.per_host, "b", "Move one")
    asked = it.api.deploy_and_wait("main", until="bake")
    it.api.wait(asked.deployment, "converged.ended")
    it.api.close()
    weights = _weights(it)
    seen.before_mib = weights["controller"]
    seen.envoy_mib, seen.preflight_mib = weights["proxy"], weights["preflight"]
    for _ in range(times):
        pid = int(it.api.once("/v1/status")["controller"]["pid"])
        acknowledged = it.api.once("/v1/status")["proxies"][0]["acknowledged"]
        time.sleep(0.5)
        killed_ns = now_ns()
        os.kill(pid, signal.SIGKILL)
        seen.back_s.append((_back_ns(it, pid, acknowledged) - killed_ns) / 1e9)
    seen.after_mib = _weights(it)["controller"]
    load.halt()
    time.sleep(0.1)
    window = load.window(began_ns, now_ns(), "a")
    seen.failed, seen.sent, seen.dropped = window.failed, window.sent, window.dropped
    return seen


def _back_ns(it: Running, pid: int, acknowledged: str) -> int:
    """The moment another controller answers and every proxy has the state that was served."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        if lifecycle.is_up(it.places):
            status = it.api.once("/v1/status")
            same = all(proxy["acknowledged"] == acknowledged for proxy in status["proxies"])
            if status["controller"]["pid"] != pid and same:
                return now_ns()
        time.sleep(0.01)
    raise RuntimeError("the controller did not come back")


def _weights(it: Running) -> dict[str, float]:
    """Resident MiB of the processes whose command line names this project's state."""
    found = {"controller": 0.0, "proxy": 0.0, "preflight": 0.0}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_bytes().decode().split("\0")
            resident = int(process.joinpath("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        except (OSError, IndexError):
            continue
        mine = any(str(it.places.state) in word for word in words)
        if mine and "lastgood.interfaces.daemon" in words:
            found["controller"] = resident
        elif mine and words[0].endswith("envoy"):
            found["preflight" if any("preflight" in word for word in words) else "proxy"] = resident
    return found


def _cells(routes: int, seen: Kills) -> list[str]:
    back = Spread.of(seen.back_s)
    return [
        f"{routes:,}",
        str(back.count),
        f"**{shown(back.p50)}** / {shown(back.largest)}",
        f"{seen.before_mib:.0f} / {seen.after_mib:.0f}",
        f"{seen.envoy_mib:.0f}",
        f"{seen.preflight_mib:.0f}",
        f"{seen.failed} of {seen.sent:,}",
        str(seen.dropped),
    ]
