"""Services: back while the old version is warm, and back when it has to be started first; under load."""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.api import Api
from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import Project, free_port
from benchmarks.table import Size, Table
from lastgood import bootstrap
from lastgood.interfaces import lifecycle
from lastgood.settings import Places, find_places

INSTANCES = 4
COLUMNS = (
    "the old version",
    "rollbacks",
    "verb to last arrival at the version that is left p50 / p95 ms (warm: target p50 3)",
    "start and see it healthy p50 ms",
    "push to acknowledgement p50 ms",
    "failed of sent",
)
CODE = """\
import asyncio, os, signal, sys, time
WORD, LAST = sys.argv[1].encode(), 0
class Talk(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.held = transport, b""
    def data_received(self, data):
        global LAST
        self.held += data
        while b"\\r\\n\\r\\n" in self.held:
            head, _, self.held = self.held.partition(b"\\r\\n\\r\\n")
            path = head.split(b" ")[1]
            body = WORD
            if path == b"/last":
                body = str(LAST).encode()
            elif path != b"/healthz":
                LAST = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
async def main():
    leaving, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, leaving.set)
    server = await loop.create_server(Talk, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await leaving.wait()
    server.close()
asyncio.run(main())
"""
MAIN = """\
project: bench
gateway:
  listeners: {{ web: {{ port: {port} }} }}
  routes: [{{ name: all, to: stub, public: true }}]
services:
  stub:
    source: stub
    command: [python, main.py, {word}]
    instances: {instances}
    health: {{ interval: 500ms }}
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
    """A project with one service, and its controller."""

    project: Project
    places: Places
    api: Api

    def commit(self, word: str, *, bake: str, keep: str) -> str:
        """Another word, as a commit."""
        text = MAIN.format(port=self.project.port, word=word, instances=INSTANCES, bake=bake, keep=keep)
        (self.project.root / "lastgood.yaml").write_text(f"{text}# {now_ns()}: there is always something to commit\n")
        return self.project.commit(f"Say {word}")

    def ports(self) -> set[int]:
        """Where instances listen."""
        paths = (self.places.state / "run" / "processes").glob("stub@*.json")
        return {int(re.findall(r"\.(\d+)\.json$", path.name)[0]) for path in paths}


def run(size: Size) -> Table:
    """One row warm, one cold."""
    times = max(2, size.changes)
    with traffic() as load, shop() as it:
        load.begin(it.project.port, [("bench.example", "/")])
        rows = [("warm", _measure(it, load, times, warm=True)), ("not there", _measure(it, load, times, warm=False))]
        load.halt()
    cells = [_cells(name, backs) for name, backs in rows]
    title = f"A service with {INSTANCES} instances goes back"
    raw = {name: vars(backs) for name, backs in rows}
    return Table("services", title, COLUMNS, cells, [_note()], raw)


def _measure(it: Shop, load: Traffic, times: int, *, warm: bool) -> Backs:
    backs, began_ns = Backs(), now_ns()
    for _ in range(times):
        blue = it.ports()
        if warm:
            ahead = it.api.deploy(it.commit("b", bake="1h", keep="1h"))
            it.api.wait(ahead.deployment, "bake")
            it.api.wait(ahead.deployment, "converged.ended")
        else:
            ahead = it.api.deploy(it.commit("b", bake="100ms", keep="100ms"))
            it.api.wait(ahead.deployment, "ended")
            blue = set()
        green = it.ports() - blue
        back = it.api.rollback("r1")
        step = "shift" if warm else "push"
        it.api.wait(back.deployment, f"{step}.ended")
        arrived_ns = max(_last_arrival(port) for port in green)
        backs.last.append((arrived_ns - back.sent_ns) / 1e6)
        it.api.wait(back.deployment, "ended")
        results = {made["id"]: made.get("result") or {} for made in it.api.report(back.deployment)["steps"]}
        backs.start.append(float(results.get("start:stub", {}).get("ready_ms", 0.0)))
        backs.push.append(float(results[step]["took_ms"]))
    seen = load.window(began_ns, now_ns(), "b")
    backs.sent, backs.failed = seen.sent, seen.failed
    return backs


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
        "Arrivals are noted by the instances themselves, on the boot-time clock. Not there: the old version had been "
        "stopped: its instances are started from their bundle and seen healthy before any request moves, nothing "
        "is built or fetched. Python itself takes most of that start."
    )


@contextmanager
def shop() -> Iterator[Shop]:
    """A new project whose first release is live and good; everything is stopped and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
    project = Project(folder / "p", free_port(), {}, "1h")
    (project.root / "stub").mkdir(parents=True)
    (project.root / "stub" / "main.py").write_text(CODE)
    (project.root / ".gitignore").write_text(".lastgood/\n")
    project.git("init", "--quiet", "--initial-branch=main")
    (project.root / "lastgood.yaml").write_text("project: bench\n")
    places = find_places(project.root, None, {})
    try:
        lifecycle.up(places)
        api = Api(bootstrap.api_socket(places))
        try:
            made = Shop(project, places, api)
            first = api.deploy(made.commit("a", bake="100ms", keep="100ms"))
            api.wait(first.deployment, "ended")
            yield made
        finally:
            api.close()
    finally:
        if (places.state / "run").exists():
            lifecycle.down(places)
        shutil.rmtree(folder, ignore_errors=True)
