"""Published packages, two versions of each, forward and back by every strategy at half of what they can take."""

from __future__ import annotations

import asyncio
import http.client
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.software import SOFTWARE, Software

from benchmarks.api import Api
from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.project import Project, free_port
from benchmarks.saturation import saturation
from benchmarks.table import Size, Table
from lastgood import bootstrap
from lastgood.interfaces import lifecycle
from lastgood.settings import find_places

HOST = "shop.example"
STRATEGIES = {
    "blue-green": "blue_green: { keep_old: 1h }",
    "rolling": "rolling: { batch: 1 }",
    "rolling, none beyond its number": "rolling: { max_surge: 0, max_unavailable: 1 }",
    "canary, 50 %": "canary: { steps: [50%], hold: 200ms, keep_old: 1h }",
}
TIMES = 10
INSTALL_S = 300.0
COLUMNS = (
    "package, its versions",
    "most it takes, requests/s",
    "load, requests/s",
    "strategy",
    "times forward and back",
    "failed of sent",
    "forward p50 / largest s",
    "back p50 / largest s",
    "latency meanwhile p50 / largest p99 ms",
)


@dataclass
class Moves:
    """The samples of one package and strategy."""

    forward_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Installed:
    """A package under the product, its first version live and good."""

    software: Software
    project: Project
    api: Api

    def commit(self, version: str, strategy: str, bake: str) -> str:
        """A version of it; there is always something to commit."""
        text = self.software.configuration(self.project.port, strategy).replace("for: 300ms", f"for: {bake}")
        files = {"lastgood.yaml": f"{text}# {now_ns()}\n"}
        for name, content in self.software.source(version).items():
            files[name.replace("__", "/").replace("_", ".")] = content
        for name, content in files.items():
            path = self.project.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return self.project.commit(f"{self.software.name} {version}")

    def answer(self) -> str:
        """What it says of itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self.project.port, timeout=10)
        try:
            connection.request("GET", self.software.path, headers={"host": HOST})
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@contextmanager
def installed(it: Software) -> Iterator[Installed]:
    """Both versions are built before anything is measured; everything is stopped and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
    project = Project(folder / "p", free_port(), {}, "1h")
    project.root.mkdir(parents=True)
    (project.root / ".gitignore").write_text(".lastgood/\n")
    project.git("init", "--quiet", "--initial-branch=main")
    (project.root / "lastgood.yaml").write_text("project: shop\n")
    places = find_places(project.root, None, {})
    try:
        lifecycle.up(places)
        api = Api(bootstrap.api_socket(places))
        try:
            made = Installed(it, project, api)
            for version in (*it.versions, it.versions[0]):
                ahead = api.deploy(made.commit(version, STRATEGIES["rolling"], "100ms"))
                api.wait(ahead.deployment, "ended", INSTALL_S)
            yield made
        finally:
            api.close()
    finally:
        if (places.state / "run").exists():
            lifecycle.down(places)
        shutil.rmtree(folder, ignore_errors=True)


def run(size: Size) -> Table:
    """A row for each package and strategy."""
    few = size.name == "smoke"
    cells: list[list[str]] = []
    raw: dict[str, object] = {}
    for it in SOFTWARE[1:2] if few else SOFTWARE:
        with traffic() as load, installed(it) as made:
            most = asyncio.run(saturation(made.project.port, HOST, it.path, 1.0 if few else 5.0))
            for name, strategy in STRATEGIES.items():
                moves = measure(made, load, strategy, most / 2, size.changes if few else TIMES)
                cells.append(_cells(it, most, name, moves))
                raw[f"{it.name}, {name}"] = vars(moves) | {"most": most}
    return Table(
        "packages", "Published packages forward and back, at half of what they take", COLUMNS, cells, NOTES, raw
    )


NOTES = (
    "Two instances of each, run as their makers say (gunicorn, uvicorn, their own command, Node). What it takes is "
    "measured through the gateway, with 16 connections that ask again as soon as they are answered; then half of it is "
    "sent by the clock, from before the first change until after the last. Failed: every answer but 200, and every "
    "connection that broke before its answer. With one of its two instances away a package takes half as much, which "
    "is all of the load: requests then wait for seconds until they are sent. Two cores run the load, Envoy, the "
    "controller and the instances, of which some are always just starting.",
)


def measure(made: Installed, load: Traffic, strategy: str, per_second: float, times: int) -> Moves:
    """There and back so many times; what answers is looked at after each change."""
    moves, (first, second) = Moves(), made.software.versions
    target = f"r{made.api.once('/v1/status')['live']['release']}"
    load.begin(made.project.port, [(HOST, made.software.path)], per_second=per_second)
    time.sleep(0.3)
    began_ns = now_ns()
    for _ in range(times):
        turn_ns = now_ns()
        ahead = made.api.deploy(made.commit(second, strategy, "1h"))
        made.api.wait(ahead.deployment, "converged.ended", INSTALL_S)
        moves.forward_s.append((now_ns() - turn_ns) / 1e9)
        _must_say(made, second)
        back_ns = now_ns()
        back = made.api.rollback(target)
        made.api.wait(back.deployment, "ended", INSTALL_S)
        moves.back_s.append((now_ns() - back_ns) / 1e9)
        _must_say(made, first)
        seen = load.window(turn_ns, now_ns(), "b")
        moves.p50_ms.append(seen.latency_p50_ms)
        moves.p99_ms.append(seen.latency_p99_ms)
    time.sleep(0.3)
    load.halt()
    time.sleep(0.2)
    whole = load.window(began_ns, now_ns(), "b")
    moves.sent, moves.failed, moves.dropped = whole.sent, whole.failed, whole.dropped
    moves.failures = whole.failures
    return moves


def _must_say(made: Installed, version: str) -> None:
    if made.software.says and version not in (said := made.answer()):
        raise RuntimeError(f"{made.software.name} {version} should answer, and this did: {said[:200]}")


def _cells(it: Software, most: float, name: str, moves: Moves) -> list[str]:
    forward, back = Spread.of(moves.forward_s), Spread.of(moves.back_s)
    return [
        f"{it.name} {' and '.join(it.versions)}",
        f"{most:,.0f}",
        f"{most / 2:,.0f}",
        name,
        str(forward.count),
        f"**{moves.failed:,}** of {moves.sent:,}",
        f"{shown(forward.p50)} / {shown(forward.largest)}",
        f"{shown(back.p50)} / {shown(back.largest)}",
        f"{shown(_seen(moves.p50_ms).p50)} / {shown(_seen(moves.p99_ms).largest)}",
    ]


def _seen(samples: list[float]) -> Spread:
    """Without the times in which no request that was due was answered: the load waited for its own turn."""
    return Spread.of([sample for sample in samples if not math.isnan(sample)])
