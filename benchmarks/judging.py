"""Two hundred services on trial at once: what it costs the controller to measure and judge them, a look a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.fleet import LIMIT_S, costs
from benchmarks.loading import traffic
from benchmarks.measuring import now_ns
from benchmarks.stub import HOST, MAIN, ROUTE, SERVICE, Shop, shop
from benchmarks.table import Size, Table

SERVICES = 200
WATCHED_S = 30.0
PERCENT = 50.0
BAKE = "1h, warm_up: 0s, objectives: [{ errors: { not_worse_than: baseline } }]"
COLUMNS = (
    "services, each judged by itself",
    "nothing is deployed: controller % of a core, MiB",
    "all on trial: controller % of a core, MiB",
    "Envoy % of a core, MiB: before, on trial",
    "looks in that time",
    "failed of sent",
)


@dataclass
class Cost:
    """CPU in percent of a core and MiB, by process; ``looks`` are the readings that were kept."""

    idle: dict[str, tuple[float, float]] = field(default_factory=dict)
    trial: dict[str, tuple[float, float]] = field(default_factory=dict)
    looks: int = 0
    watched_s: float = 0.0
    sent: int = 0
    failed: int = 0


def run(size: Size) -> Table:
    """One row."""
    few = size.name == "smoke"
    services, watched_s = (3, 3.0) if few else (SERVICES, WATCHED_S)
    with traffic() as load, shop(1, services=services, interval="1s") as it:
        paths = ["/", *(f"/s{n}/" for n in range(1, services))]
        load.begin(it.project.port, [(HOST, path) for path in paths], per_second=200.0)
        seen, began_ns = Cost(watched_s=watched_s), now_ns()
        time.sleep(min(5.0, watched_s))
        seen.idle = _spent(it, watched_s)
        ahead = it.api.deploy(_commit(it, "b"), percent=PERCENT)
        it.api.wait(ahead.deployment, "hold", LIMIT_S)
        time.sleep(min(5.0, watched_s))
        before = _looks(it)
        seen.trial = _spent(it, watched_s)
        seen.looks = _looks(it) - before
        load.halt()
        window = load.window(began_ns, now_ns(), "b")
        seen.sent, seen.failed = window.sent, window.failed
        it.api.rollback("r1")
    idle, trial = seen.idle, seen.trial
    cells = [
        [
            str(services),
            _shown(idle["controller"]),
            f"**{trial['controller'][0]:.1f} %**, {trial['controller'][1]:.0f}",
            f"{_shown(idle['Envoy'])}; {_shown(trial['Envoy'])}",
            f"{seen.looks} in {watched_s:g} s",
            f"{seen.failed} of {seen.sent:,}",
        ]
    ]
    note = (
        "One release changes all services, half of the requests are on it, every route is `guarded`: so many metrics "
        "are read from Envoy, kept, and bet on once a second. 200 requests a second in both columns; each instance "
        "(one of each service, two while it is on trial) is asked for its health once a second in both, which is most "
        "of the first column. Memory is the proportional set size."
    )
    return Table("judging", "What judging two hundred services costs", COLUMNS, cells, [note], {"judging": vars(seen)})


def _spent(it: Shop, watched_s: float) -> dict[str, tuple[float, float]]:
    before, began_s = costs(it), time.monotonic()
    time.sleep(watched_s)
    took_s = time.monotonic() - began_s
    return {who: (100 * (cpu_s - before[who][0]) / took_s, mib) for who, (cpu_s, mib) in costs(it).items()}


def _looks(it: Shop) -> int:
    """How many readings are on record of the release on trial."""
    return sum(1 for _ in (it.places.measurements / "r2.jsonl").open())


def _commit(it: Shop, word: str) -> str:
    """Another word for all of them; every route is judged by itself."""
    names = [f"s{n}" for n in range(it.services)]
    routes = [
        ROUTE.format(name=name, host=HOST, path=f"/{name}/*" if n else "/*").replace(
            "public:", "guarded: true, public:"
        )
        for n, name in enumerate(names)
    ]
    strategy = "blue_green: { keep_old: 1h }"
    services = [
        SERVICE.format(name=name, word=word, instances=1, strategy=strategy, interval=it.interval) for name in names
    ]
    text = MAIN.format(port=it.project.port, routes="".join(routes), services="".join(services), bake=BAKE)
    (it.project.root / "lastgood.yaml").write_text(text)
    return it.project.commit(f"Say {word}")


def _shown(spent: tuple[float, float]) -> str:
    return f"{spent[0]:.1f} %, {spent[1]:.0f}"
