"""Functions: cold starts, warm requests, memory and bursts, beside the same server started by hand."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measuring import Spread, shown
from benchmarks.project import free_port
from benchmarks.table import Size, Table
from lastgood.config.model import Function
from lastgood.effects.functions.activator import ORDER
from lastgood.effects.functions.asking import ask
from lastgood.effects.functions.installing import install
from lastgood.effects.functions.launching import order_for
from lastgood.effects.functions.worker_build import build_worker
from lastgood.effects.functions.worker_runtime import BUILT, CONFIG, find_workerd

COLUMNS = (
    "function",
    "cold start p50 / p95 ms",
    "the same server by hand p50 / p95 ms",
    "warm requests/s, p99 ms",
    "by hand",
    "asleep / awake MiB",
    "burst of 500 on a cold one: starts, lost",
)
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http": raise RuntimeError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def root(): return {"ok": True}
"""
WORKER = "export default { fetch() { return new Response('ok'); } };"
WRANGLER = '{"main": "index.js", "compatibility_date": "2026-07-01"}'
LIMITED = "Worker hello, limits said"
PLAIN = ".plain"
CONNECTIONS = 32
REQUEST = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"
_PACKAGES = "import sys; sys.path.insert(0, '.packages'); import uvicorn; uvicorn.main()"


@dataclass
class Row:
    """The samples of one function."""

    cold: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)
    warm: tuple[float, float] = (0.0, 0.0)
    warm_by_hand: tuple[float, float] = (0.0, 0.0)
    asleep_mib: float = 0.0
    awake_mib: float = 0.0
    starts: int = 0
    lost: int = 0


def run(size: Size) -> Table:
    """One row for each kind."""
    kinds = {"ASGI hello": ASGI, "FastAPI": FASTAPI, "Worker hello": WORKER, LIMITED: WORKER}
    rows = {name: asyncio.run(_measure(name, code, size)) for name, code in kinds.items()}
    cells = [_cells(name, row) for name, row in rows.items()]
    return Table("functions", "Functions", COLUMNS, cells, [_note()], {name: asdict(row) for name, row in rows.items()})


async def _measure(name: str, code: str, size: Size) -> Row:
    row, lasts_s = Row(), 0.3 if size.name == "smoke" else 4.0
    with _bundle(name, code) as (bundle, function):
        for _ in range(max(2, size.changes)):
            with _activated(bundle, function) as port:
                await _ready(port)
                row.asleep_mib = _pss_mib((await ask(port))["activator"])
                row.cold.append(await _first_answer(port))
            with _by_hand(name, bundle) as (port, began_s):
                await _first_answer(port)
                row.by_hand.append((time.perf_counter() - began_s) * 1000)
        with _activated(bundle, function) as port:
            await _ready(port)
            row.lost = sum(done != 200 for done in await asyncio.gather(*(_status(port) for _ in range(500))))
            said = await ask(port)
            row.starts, row.awake_mib = said["starts"], _pss_mib(said["pid"]) + row.asleep_mib
            row.warm = await _load(port, lasts_s)
        with _by_hand(name, bundle) as (port, _):
            await _first_answer(port)
            row.warm_by_hand = await _load(port, lasts_s)
    return row


@contextmanager
def _bundle(name: str, code: str) -> Iterator[tuple[Path, Function]]:
    folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
    is_worker = name.startswith("Worker")
    try:
        (folder / ("index.js" if is_worker else "main.py")).write_text(code)
        if is_worker:
            (folder / "wrangler.json").write_text(WRANGLER)
            build_worker(folder)
            (folder / BUILT).rename(folder / PLAIN)
            build_worker(folder, limited=name == LIMITED)
        else:
            if name == "FastAPI":
                (folder / "requirements.txt").write_text("fastapi\nuvicorn\n")
            if install(folder) != 0:
                raise RuntimeError("FastAPI could not be installed")
        # Without time for what goes on behind answers: a Worker would take it each time it is stopped here.
        said = {"source": "x", "runtime": "worker" if is_worker else "python", "drain": "1s"}
        yield folder, Function.model_validate(said)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _activated(bundle: Path, function: Function) -> Iterator[int]:
    port = free_port()
    order = order_for(("bench", "0" * 64), function, bundle, bundle / ".root", first=False)
    env = {"PATH": os.environ["PATH"], "PORT": str(port), ORDER: json.dumps(asdict(order))}
    command = [sys.executable, "-P", "-m", "lastgood.effects.functions.activator"]
    with _process(command, bundle, env):
        yield port


@contextmanager
def _by_hand(name: str, bundle: Path) -> Iterator[tuple[int, float]]:
    port = free_port()
    if name.startswith("Worker"):
        command = [find_workerd(), "serve", str(bundle / PLAIN / CONFIG), f"--socket-addr=http=127.0.0.1:{port}"]
    else:
        options = ["--port", str(port), "--log-level", "warning", "--no-access-log", "--loop", "asyncio"]
        start = ["-c", _PACKAGES] if name == "FastAPI" else ["-m", "uvicorn"]
        command = [sys.executable, *start, "main:app", *options]
    began_s = time.perf_counter()
    with _process(command, bundle, {"PATH": os.environ["PATH"]}):
        yield port, began_s


@contextmanager
def _process(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _ready(port: int) -> None:
    for _ in range(1000):
        try:
            await ask(port)
            return
        except OSError:
            await asyncio.sleep(0.005)
    raise RuntimeError("the activator does not answer")


async def _first_answer(port: int) -> float:
    """Milliseconds to a whole answer, from the first try to connect."""
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < 30:
        try:
            if await _status(port) == 200:
                return (time.perf_counter() - began_s) * 1000
        except ConnectionRefusedError:
            pass
        await asyncio.sleep(0.001)
    raise RuntimeError("no answer")


async def _status(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST)
        return int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
    except (OSError, EOFError):
        return 0
    finally:
        writer.close()


async def _load(port: int, lasts_s: float) -> tuple[float, float]:
    """Requests per second and p99 in ms, over connections that are kept."""
    took_ms: list[float] = []
    until_s = time.perf_counter() + lasts_s

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began_s := time.perf_counter()) < until_s:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await (reader.readexactly(lengths[0]) if lengths else reader.readuntil(b"0\r\n\r\n"))
            took_ms.append((time.perf_counter() - began_s) * 1000)
        writer.close()

    await asyncio.gather(*(visit() for _ in range(CONNECTIONS)))
    took_ms.sort()
    return len(took_ms) / lasts_s, took_ms[int(len(took_ms) * 0.99)]


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _cells(name: str, row: Row) -> list[str]:
    cold, hand = Spread.of(row.cold), Spread.of(row.by_hand)
    return [
        name,
        f"**{shown(cold.p50)}** / {shown(cold.p95)}",
        f"{shown(hand.p50)} / {shown(hand.p95)}",
        f"**{row.warm[0]:,.0f}**, {shown(row.warm[1])}",
        f"{row.warm_by_hand[0]:,.0f}, {shown(row.warm_by_hand[1])}",
        f"{row.asleep_mib:.1f} / {row.awake_mib:.1f}",
        f"{row.starts}, {row.lost}",
    ]


def _note() -> str:
    return (
        f"A cold start is one request, from its connect to its whole answer. By hand: `uvicorn main:app` or `workerd "
        f"serve`, from its start to its first answer. Warm: {CONNECTIONS} connections of one client in Python, which "
        "shares the two cores and is the limit for Workers. Memory is proportional set size; asleep, only the "
        "activator is there. A Worker whose limits are said has something around it that keeps them; the other has "
        "none, and nothing around it."
    )
