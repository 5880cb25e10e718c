"""Functions: back to a version that is warm, to one that is not there any more, and to the oldest of a hundred."""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.api import Api, Asked
from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import Project, free_port
from benchmarks.table import Size, Table
from lastgood import bootstrap
from lastgood.interfaces import lifecycle
from lastgood.settings import Places, find_places

COLUMNS = (
    "the version before",
    "rollbacks",
    "verb to last arrival at the version that is left p50 / p95 ms (warm: target p50 3)",
    "its start p50 ms",
    "push to acknowledgement p50 ms",
    "failed of sent",
)
CODE = """\
import time
LAST = 0
async def app(scope, receive, send):
    global LAST
    if scope["type"] != "http": raise RuntimeError
    body = {word!r}.encode()
    if scope["path"] == "/last":
        body = str(LAST).encode()
    else:
        LAST = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}})
    await send({{"type": "http.response.body", "body": body}})
"""
MAIN = """\
project: bench
gateway:
  listeners: {{ web: {{ port: {port} }} }}
  routes: [{{ name: all, to: stub, public: true }}]
functions:
  stub:
    source: stub
    drain: 2s
    strategy: {{ blue_green: {{ keep_old: {keep} }} }}
bake: {{ for: {bake} }}
"""


@dataclass
class Backs:
    """The samples of one row, in ms."""

    last: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    failed: int = 0
    sent: int = 0


@dataclass(frozen=True)
class Shop:
    """A project with one function, and its controller."""

    project: Project
    places: Places
    api: Api

    def deploy(self, word: str, *, bake: str, keep: str, until: str) -> None:
        """Another word, as a commit, deployed until so far."""
        (self.project.root / "stub" / "main.py").write_text(CODE.format(word=word))
        text = MAIN.format(port=self.project.port, bake=bake, keep=keep)
        (self.project.root / "lastgood.yaml").write_text(f"{text}# {now_ns()}: there is always something to commit\n")
        asked = self.api.deploy(self.project.commit(f"Say {word}"))
        self.api.wait(asked.deployment, until)
        if until == "bake":
            self.api.wait(asked.deployment, "converged.ended")

    def ports(self) -> set[int]:
        """Where versions listen."""
        paths = (self.places.state / "run" / "processes").glob("stub@*.json")
        return {int(re.findall(r"\.(\d+)\.json$", path.name)[0]) for path in paths}


def run(size: Size) -> Table:
    """One row each."""
    times, kept = max(2, size.changes), 3 if size.name == "smoke" else 100
    with traffic() as load, shop() as it:
        load.begin(it.project.port, [("bench.example", "/")])
        rows = [("warm", _measured(it, load, lambda backs: _warm(it, backs, times)))]
        rows.append(("not there", _measured(it, load, lambda backs: _cold(it, backs, times))))
        rows.append((f"the oldest of {kept}", _measured(it, load, lambda backs: _oldest(it, backs, kept))))
        load.halt()
    cells = [_cells(name, backs) for name, backs in rows]
    raw = {name: vars(backs) for name, backs in rows}
    return Table("rollbacks", "A function goes back", COLUMNS, cells, [_note()], raw)


def _measured(it: Shop, load: Traffic, measure: Callable[[Backs], None]) -> Backs:
    backs, began_ns = Backs(), now_ns()
    measure(backs)
    seen = load.window(began_ns, now_ns(), "b")
    backs.sent, backs.failed = seen.sent, seen.failed
    return backs


def _warm(it: Shop, backs: Backs, times: int) -> None:
    for _ in range(times):
        blue = it.ports()
        it.deploy("b", bake="1h", keep="1h", until="bake")
        green = it.ports() - blue
        _back(it, backs, it.api.rollback("r1"), "shift", green)


def _cold(it: Shop, backs: Backs, times: int) -> None:
    for _ in range(times):
        it.deploy("b", bake="100ms", keep="100ms", until="ended")
        _back(it, backs, it.api.rollback("r1"), "push", it.ports())


def _oldest(it: Shop, backs: Backs, kept: int) -> None:
    for number in range(kept):
        it.deploy(f"v{number}", bake="50ms", keep="50ms", until="ended")
    _back(it, backs, it.api.rollback("r1"), "push", it.ports())


def _back(it: Shop, backs: Backs, asked: Asked, step: str, left: set[int]) -> None:
    it.api.wait(asked.deployment, f"{step}.ended")
    arrived_ns = max(_last_arrival(port) for port in left)
    backs.last.append((arrived_ns - asked.sent_ns) / 1e6)
    it.api.wait(asked.deployment, "ended")
    results = {made["id"]: made.get("result") or {} for made in it.api.report(asked.deployment)["steps"]}
    backs.start.append(float(results.get("start:stub", {}).get("ready_ms", 0.0)))
    backs.push.append(float(results[step]["took_ms"]))


def _last_arrival(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/last")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _cells(name: str, backs: Backs) -> list[str]:
    last = Spread.of(backs.last)
    return [
        name,
        str(last.count),
        f"**{shown(last.p50)}** / {shown(last.p95)}",
        shown(Spread.of(backs.start).p50),
        shown(Spread.of(backs.push).p50),
        f"{backs.failed} of {backs.sent:,}",
    ]


def _note() -> str:
    return (
        "A function in Python (ASGI). Arrivals are noted by the version itself, on the boot-time clock. Not there: the "
        "old version's process and its socket are gone; it is started from its bundle and seen ready before a request "
        "moves, nothing is built or fetched. Python itself takes most of that start."
    )


@contextmanager
def shop() -> Iterator[Shop]:
    """A new project whose first release is live and good; everything is stopped and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
    project = Project(folder / "p", free_port(), {}, "1h")
    (project.root / "stub").mkdir(parents=True)
    (project.root / ".gitignore").write_text(".lastgood/\n")
    project.git("init", "--quiet", "--initial-branch=main")
    (project.root / "lastgood.yaml").write_text("project: bench\n")
    places = find_places(project.root, None, {})
    try:
        lifecycle.up(places)
        api = Api(bootstrap.api_socket(places))
        try:
            made = Shop(project, places, api)
            made.deploy("a", bake="100ms", keep="100ms", until="ended")
            yield made
        finally:
            api.close()
    finally:
        if (places.state / "run").exists():
            lifecycle.down(places)
        shutil.rmtree(folder, ignore_errors=True)
