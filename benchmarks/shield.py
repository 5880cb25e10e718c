"""A canary that fails every request, shielded: what clients see of it, and what the second try costs them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, Window, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.stub import HOST, Shop, shop
from benchmarks.table import Size, Table

SHARE = 20.0
WATCHED_S = 4.0
COLUMNS = (
    "",
    "times",
    "failed of sent (GET)",
    "latency p50 ms",
    "p90 ms",
    "p99 ms",
    "largest ms",
)
STRATEGY = "canary: {{ steps: [20%], hold: 1h, shield: {shield}, keep_old: 1h }}"


@dataclass
class Seen:
    """The samples of one row: a figure for each time."""

    sent: int = 0
    failed: int = 0
    p50_ms: list[float] = field(default_factory=list)
    p90_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    largest_ms: list[float] = field(default_factory=list)

    def note(self, window: Window) -> None:
        """One time."""
        self.sent += window.sent
        self.failed += window.failed
        self.p50_ms.append(window.latency_p50_ms)
        self.p90_ms.append(window.latency_p90_ms)
        self.p99_ms.append(window.latency_p99_ms)
        self.largest_ms.append(window.latency_largest_ms)


def run(size: Size) -> Table:
    """The stable version alone; beside a canary that answers well; beside one that fails everything, shielded."""
    times = max(2, size.repeats)
    rows = {
        "the stable version alone": Seen(),
        "a canary of 20 % that is well": Seen(),
        "the same, shielded": Seen(),
        "a canary of 20 % that fails everything, shielded": Seen(),
    }
    with traffic() as load, shop(4) as it:
        load.begin(it.project.port, [(HOST, "/")])
        time.sleep(0.5)
        for _ in range(times):
            began_ns = now_ns()
            time.sleep(WATCHED_S)
            rows["the stable version alone"].note(load.window(began_ns, now_ns(), "b"))
            for name, word, shield in (
                ("a canary of 20 % that is well", "b", False),
                ("the same, shielded", "b", True),
                ("a canary of 20 % that fails everything, shielded", "x", True),
            ):
                rows[name].note(_beside(it, load, word, shield=shield))
        load.halt()
    cells = [_cells(name, seen) for name, seen in rows.items()]
    note = (
        "500 requests a second, all GET; four instances and, of the canary, one. Each time is "
        f"{WATCHED_S:g} s long, or as long as it takes until the canary is taken back by itself; the figures are the "
        "medians over the times, the largest is that of all. Failures on the canary are counted against it all the "
        "same: that is what takes it back."
    )
    raw = {name: vars(seen) for name, seen in rows.items()}
    return Table("shield", "A canary that fails, behind its shield", COLUMNS, cells, [note], raw)


def _beside(it: Shop, load: Traffic, word: str, *, shield: bool) -> Window:
    ahead = it.api.deploy(it.commit(word, STRATEGY.format(shield=str(shield).lower())))
    share = f"shift:{SHARE:g}"
    it.api.wait(ahead.deployment, _shift(it, ahead.deployment, share))
    began_ns, until_s = now_ns(), time.monotonic() + WATCHED_S
    while time.monotonic() < until_s and it.api.ask("GET", "/v1/status").answer["gateway"]["percent"] == SHARE:
        time.sleep(0.05)
    seen = load.window(began_ns, now_ns(), "b")
    if it.api.ask("GET", "/v1/status").answer["deployment"] is not None:
        with contextlib.suppress(RuntimeError):  # refused where it is on its way back by itself
            it.api.rollback("r1")
    while it.api.ask("GET", "/v1/status").answer["deployment"] is not None:
        time.sleep(0.05)
    return seen


def _shift(it: Shop, deployment: int, share: str) -> str:
    """The step that gives the canary its share, and its end."""
    steps = it.api.report(deployment)["steps"]
    found = [step["id"] for step in steps if step["verb"] == "serve" and step["id"].startswith("shift")]
    return f"{next((each for each in found if each == share), found[0])}.ended"


def _cells(name: str, seen: Seen) -> list[str]:
    return [
        name,
        str(len(seen.p50_ms)),
        f"**{seen.failed}** of {seen.sent:,}",
        shown(Spread.of(seen.p50_ms).p50),
        shown(Spread.of(seen.p90_ms).p50),
        shown(Spread.of(seen.p99_ms).p50),
        shown(Spread.of(seen.largest_ms).largest),
    ]
