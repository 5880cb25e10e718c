"""The probe of gateway-api-bench, without Kubernetes: hosts are added commit by commit, and asked until 200."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import Running, Shape, host_name, running
from benchmarks.stamps import stamps
from benchmarks.table import Size, Table

COLUMNS = (
    "hosts there already",
    "hosts added",
    "push to effective p50 / p99 ms (target p50 5, flat)",
    "from the commit p50 / p99 ms (target p50 60)",
    "codes",
)


@dataclass
class Probes:
    """The samples of one row, in ms."""

    effective: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    draft: list[float] = field(default_factory=list)
    preflight: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    shift: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    each: list[Counter[str]] = field(default_factory=list)

    def part(self, begin: int, end: int | None) -> Probes:
        """Of the hosts that were added from one to another."""
        w, codes = slice(begin, end), self.each[begin:end]
        times = (self.effective[w], self.commit[w], self.draft[w], self.preflight[w], self.load[w], self.shift[w])
        return Probes(*times, codes=sum(codes, Counter()), each=codes)


def run(size: Size) -> Table:
    """All hosts one by one; the first and the last of them are rows of their own."""
    with traffic() as load, running(Shape(1, 1), load.ports) as it:
        seen = _add(it, load, range(1, size.files))
    few = min(size.probes, size.files // 2)
    last = size.files - 1 - few
    rows = [(1, seen.part(0, few)), (1 + last, seen.part(last, None)), (1, seen)]
    return Table(
        "probe",
        "A new host, from the commit to its first 200",
        COLUMNS,
        [_cells(already, seen) for already, seen in rows],
        [
            "The host is asked for again 0.2 ms after each answer, so no figure is better known than that and a round "
            "trip. From the commit: `POST /v1/deploy` right after `git commit`, to the 200. Push to effective: the "
            "push of the routes until it is acknowledged, and from the beginning of the shift to the 200. The codes "
            "are all that were ever seen: 404, then 200.",
            _breakdown(rows),
        ],
        {f"{len(seen.commit)} after {already}": vars(seen) for already, seen in rows},
    )


def _add(it: Running, load: Traffic, numbers: range) -> Probes:
    seen = Probes()
    sent: dict[int, tuple[int, int]] = {}
    for number in numbers:
        it.project.write_host(number, 1)
        it.project.commit(f"Add host {number}")
        load.poll(it.project.port, host_name(number), "/p0/")
        asked_ns = now_ns()
        asked = it.api.deploy("main")
        ok_ns, codes = load.polled()
        if ok_ns is None:
            raise RuntimeError(f"{host_name(number)} never answered: {codes}")
        sent[asked.deployment] = (asked_ns, ok_ns)
        seen.codes.update(codes)
        seen.each.append(Counter(codes))
        it.api.wait(asked.deployment, "converged.ended")
    for number, one in stamps(it.places, sent).items():
        asked_ns, ok_ns = sent[number]
        seen.commit.append((ok_ns - asked_ns) / 1e6)
        seen.effective.append(one.push_ms["load"] + ok_ns / 1e6 - one.began_ms["shift"])
        seen.draft.append(one.requested_ms - asked_ns / 1e6)
        seen.preflight.append(one.ended_ms["preflight"] - one.requested_ms)
        seen.load.append(one.ended_ms["load"] - one.ended_ms["preflight"])
        seen.shift.append(ok_ns / 1e6 - one.ended_ms["load"])
    return seen


def _cells(already: int, seen: Probes) -> list[str]:
    effective, commit = Spread.of(seen.effective), Spread.of(seen.commit)
    return [
        f"{already:,}",
        str(commit.count),
        f"**{shown(effective.p50)}** / {shown(effective.p99)}",
        f"**{shown(commit.p50)}** / {shown(commit.p99)}",
        ", ".join(f"{code}: {count:,}" for code, count in sorted(seen.codes.items(), reverse=True)),
    ]


def _breakdown(rows: list[tuple[int, Probes]]) -> str:
    parts = []
    for already, seen in rows:
        legs = (seen.draft, seen.preflight, seen.load, seen.shift)
        parts.append(f"{already:,} hosts: " + " + ".join(shown(Spread.of(leg).p50) for leg in legs))
    return (
        "Where the time goes (p50 ms): Git and checks until the request reaches the loop + plan, journal and preflight "
        "+ load + shift to the 200. " + "; ".join(parts) + "."
    )
