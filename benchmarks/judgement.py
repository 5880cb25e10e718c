"""The judge beside the usual rules, on the same seeded streams: how fast it finds what, and how often it is wrong.

200 requests a second, 5 % of them on the new release, which fails with the share at the top of the column; the old one
fails with 0.5 %. Nothing here depends on the machine: the same seeds give the same figures.
"""

from __future__ import annotations

import math
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rules import mann_whitney, threshold
from benchmarks.table import Size, Table
from lastgood.health.forecast import bound_s
from lastgood.health.judge import Judge
from lastgood.health.reading import EDGES_MS, WHOLE, Counts, ProxyReading, Reading
from lastgood.health.record import Case, Trial, write_line
from lastgood.health.terms import Objective, Terms
from lastgood.health.ticks import Tick
from lastgood.health.vigil import Vigil
from lastgood.testing.simulated_traffic import Side, after_bake, steady, ticks

ALPHA, BASE, PER_SECOND, SHARE = 1e-3, 0.005, 200.0, 0.05
CORE = Terms(stakes={"errors": 1.0}, start_every_s=None, row=10**9)
SHIPPED = Terms()
EFFECTS = ((0.01, 3600), (0.02, 1200), (0.05, 400), (0.2, 400), (1.0, 400))
Rule = Callable[[Iterable[Tick]], float]
"""A stream -> when it says "go back", in seconds; infinity: never."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is simulated: runs of each effect, healthy releases of some minutes, and some of half an hour."""

    runs: int
    healthy: int
    healthy_s: int
    half_hours: int
    long_s: int = 1800


AMOUNTS = {
    "full": Amount(200, 20_000, 300, 4_000),
    "some": Amount(40, 500, 300, 40),
    "smoke": Amount(2, 4, 30, 4, 120),
}
PEERS = 200
JUDGED = 200


def judge(terms: Terms) -> Rule:
    """This product's."""

    def rule(stream: Iterable[Tick]) -> float:
        made = Judge(terms)
        return next((tick.at_s for tick in stream if made.take(tick).outcome == "bad"), math.inf)

    return rule


RULES: dict[str, Rule] = {
    "success < 99 % in a minute, once": threshold(1),
    "... three times in a row": threshold(3),
    "... five times in a row": threshold(5),
    "Mann-Whitney every minute": mann_whitney,
    "the judge, errors only": judge(CORE),
    "the judge as shipped": judge(SHIPPED),
}

AFTER = Terms(stakes={}, start_every_s=300.0, objectives=(Objective("failures", 0.012),))
DAY_S = 28_800
"""How long a release is watched after its bake: eight days of an hour each, of ticks of ten seconds."""


def run(size: Size) -> Table:
    """The whole table."""
    return table(AMOUNTS["full" if size.name == "full" else "smoke"])


def table(amount: Amount) -> Table:
    """Measured and shown."""
    return shown(measured(amount), amount)


def measured(amount: Amount) -> dict[str, Any]:
    """By rule: how long each bad release lived, and ``[taken back, healthy ones]``."""
    raw: dict[str, Any] = {}
    for name, rule in RULES.items():
        found = {effect: delays(rule, effect, seconds, amount.runs) for effect, seconds in EFFECTS}
        raw[name] = {"delays": found}
        # The rules of peers need no 20,000 releases to be seen to be wrong.
        long = amount.half_hours if name == "the judge as shipped" else min(amount.half_hours, PEERS)
        if name != "the judge, errors only":
            raw[name]["half an hour"] = false_rollbacks(rule, (Side(), Side()), long, amount.long_s)
        if "judge" in name:
            raw[name]["wrong"] = false_rollbacks(rule, (Side(), Side()), amount.healthy, amount.healthy_s)
    wrong, found_after = after(max(amount.healthy // 20, 4), amount.runs)
    raw["after the bake"] = {"wrong": wrong, "delays": found_after}
    raw["cost"] = cost(JUDGED)
    return raw


def shown(raw: Mapping[str, Any], amount: Amount) -> Table:
    """One row a rule; the last columns are how many healthy releases it took back."""
    cells = []
    for name in RULES:
        row = raw[name]
        delayed = [told(row["delays"][effect]) for effect, _ in EFFECTS]
        cells.append([name, *delayed, counted(row.get("wrong")), counted(row.get("half an hour"))])
    bounds = [bound_s(SHARE, PER_SECOND, effect, BASE, ALPHA) for effect, _ in EFFECTS]
    cells.append(["nothing can be faster", *(f"{bound:.1f} s" for bound in bounds), "", ""])
    notes = [f"Means of {amount.runs} seeded runs. The promise is at most one healthy release in {1 / ALPHA:,.0f}."]
    for name, aim in (("the judge, errors only", 1.4), ("the judge as shipped", 1.7)):
        means = [statistics.mean(raw[name]["delays"][effect]) for effect, _ in EFFECTS]
        least = max((mean - 1.0) / bound for mean, bound in zip(means, bounds, strict=True))
        notes.append(f"{name.capitalize()}: at most {least:.2f} times the bound, and one tick (aim: {aim}).")
    last = raw["after the bake"]
    notes.append(
        f"After the bake, 30 requests a second beside 200 others, a day's pattern, eight days of an hour: "
        f"{counted(last['wrong'])} healthy ones taken back; 5% failing is found in {told(last['delays'])}, "
        "in ticks of ten seconds."
    )
    spent = raw["cost"]
    notes.append(
        f"Judging {JUDGED} releases at once, with their evidence: {spent['cpu_ms_per_s']:.0f} ms of CPU a second, "
        f"{spent['memory_bytes'] / 1e6:.1f} MB."
    )
    minutes = amount.healthy_s / 60, amount.long_s / 60
    healthy = [f"healthy ones taken back in {one:.2g} min" for one in minutes]
    columns = ["rule", *(f"{effect:.0%} fail" for effect, _ in EFFECTS), *healthy]
    return Table("judgement", "Finding bad releases, and leaving good ones alone", columns, cells, notes, raw)


def cost(judged: int, seconds: int = 30) -> dict[str, float]:
    """CPU time (milliseconds in each second) and memory (bytes) of so many judgements; the only figure with a clock."""
    arms = [Counts(n, n, n // 200, 0, 0, (n,) * len(EDGES_MS)) for n in (10, 190, 200)]
    proxy = ProxyReading(1.0, dict(zip(("r2", "r1", WHOLE), arms, strict=True)))

    def reading(second: int) -> Reading:
        grown = {label: sum([counts] * second, Counts()) for label, counts in proxy.arms.items()}
        return Reading(float(second), 5.0, {"one": ProxyReading(float(second), grown)})

    tracemalloc.start()
    trials = [Trial(Case(2, 1, SHIPPED)) for _ in range(judged)]
    for second in range(1, 4):
        for trial in trials:
            trial.take(reading(second))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    made = [reading(second) for second in range(4, 4 + seconds)]
    began_s = time.process_time()
    for each in made:
        for trial in trials:
            write_line(each)
            trial.take(each)
    return {"cpu_ms_per_s": (time.process_time() - began_s) / seconds * 1000, "memory_bytes": float(held)}


def counted(wrong: Sequence[int] | None) -> str:
    """``3 of 20,000``; nothing where it was not measured."""
    return f"{wrong[0]} of {wrong[1]:,}" if wrong else ""


def after(healthy: int, runs: int) -> tuple[tuple[int, int], list[float]]:
    """After the bake: how many healthy releases the watch takes back, and how fast it finds one in twenty failing."""
    wrong = sum(watched(after_bake(seed, DAY_S, busy, quiet)) < math.inf for seed in range(healthy))
    turn_s = DAY_S // 2
    found = [
        watched(after_bake(seed, turn_s + 3600, lambda at_s: 0.05 if at_s > turn_s else busy(at_s), quiet)) - turn_s
        for seed in range(min(runs, 100))
    ]
    return (wrong, healthy), found


def busy(at_s: float) -> float:
    """Half a percent on average, twice that in the busiest part of its day."""
    return BASE * (1 + math.sin(at_s / 573))


def quiet(at_s: float) -> float:
    """The rest of the gateway, whose busy time is another one."""
    return BASE * (1 + math.cos(at_s / 573)) / 2


def watched(stream: Iterable[Tick]) -> float:
    """When the watch after the bake says "go back", in seconds; infinity: never."""
    made = Vigil(AFTER)
    return next((tick.at_s for tick in stream if made.take(tick).outcome == "bad"), math.inf)


def delays(rule: Rule, effect: float, seconds: int, runs: int) -> list[float]:
    """When each of so many bad releases is taken back."""
    return [rule(ticks(seed, seconds, Side(steady(effect)), Side())) for seed in range(runs)]


def false_rollbacks(
    rule: Rule, sides: tuple[Side, Side], releases: int, healthy_s: int, first: int = 0
) -> tuple[int, int]:
    """How many of so many healthy releases are taken back, from the seed ``first`` on."""
    seeds = range(10**6 + first, 10**6 + first + releases)
    return sum(rule(ticks(seed, healthy_s, *sides)) < math.inf for seed in seeds), releases


def told(found: Sequence[float]) -> str:
    """The mean of those that were found, and how many were not."""
    ended = [each for each in found if each < math.inf]
    if not ended:
        return "never"
    missed = len(found) - len(ended)
    return f"{statistics.mean(ended):.1f} s" + (f" ({missed / len(found):.0%} missed)" if missed else "")
