"""A new version of a service takes over and the old one comes back: ours beside what people use today, same load."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peer
from benchmarks.loading import Traffic, traffic
from benchmarks.measuring import Spread, now_ns, shown
from benchmarks.peer import Missing
from benchmarks.project import free_port
from benchmarks.stub import CODE, HOST, shop
from benchmarks.table import Size, Table

INSTANCES = 4
LIMIT_S = 60.0
GUNICORN = "gunicorn==23.0.0"
APP = """\
import pathlib
WORD = pathlib.Path(__file__).with_name("word").read_bytes()
def app(environ, start_response):
    start_response("200 OK", [("content-length", str(len(WORD)))])
    return [WORD]
"""
COLUMNS = (
    "",
    "the version that is gone to",
    "changes",
    "asked to the last answer of the version that is left p50 / largest ms",
    "connections closed",
    "failed of sent",
)
Change = Callable[[str], int]


@dataclass
class Swaps:
    """The samples of one row."""

    last_ms: list[float] = field(default_factory=list)
    failed: int = 0
    sent: int = 0
    dropped: int = 0


def run(size: Size) -> Table:
    """Ours, and every peer that is here."""
    times, missing = max(2, size.changes), list[str]()
    rows: dict[tuple[str, str], Swaps] = {}
    with traffic() as load:
        rows["Lastgood, `rollback`", "warm"] = _ours(load, times, warm=True)
        rows["Lastgood, `rollback`", "not there"] = _ours(load, times, warm=False)
        for name, target, begun in PEERS:
            try:
                with begun() as (port, change):
                    rows[name, target] = _measure(load, port, change, times)
            except Missing as error:
                missing.append(str(error))
    note = (
        f"{INSTANCES} instances or workers, 500 requests a second, 16 keep-alive connections, one worker thread in "
        "every proxy. Peers go there and back, each change is counted; of ours only the way back is. Asked: the moment "
        "the signal, the request or the commands are sent; nobody's own tool is started. HAProxy and Caddy switch "
        "between two pools of the same stubs that both run already; gunicorn is told to read its code again. Ours "
        "holds reading the request, planning and the journal's commit to disk."
    )
    raw = {f"{name}: {target}": vars(seen) for (name, target), seen in rows.items()}
    cells = [_cells(name, target, seen) for (name, target), seen in rows.items()]
    return Table("swap", "A version of a service is swapped, beside others", COLUMNS, cells, [note, *missing], raw)


def _ours(load: Traffic, times: int, *, warm: bool) -> Swaps:
    seen = Swaps()
    keep, until = ("1h", "converged.ended") if warm else ("100ms", "ended")
    with shop(INSTANCES) as it:
        load.begin(it.project.port, [(HOST, "/")])
        time.sleep(0.3)
        began_ns = now_ns()
        for _ in range(times):
            words = (f"blue_green: {{ keep_old: {keep} }}",)
            ahead = it.api.deploy(it.commit("b", *words, bake="1h" if warm else "100ms"))
            it.api.wait(ahead.deployment, until)
            time.sleep(0.2)
            back = it.api.rollback("r1")
            it.api.wait(back.deployment, "ended")
            seen.last_ms.append(_last_ms(load, back.sent_ns, "b"))
        _end(load, seen, began_ns)
    return seen


def _measure(load: Traffic, port: int, change: Change, times: int) -> Swaps:
    seen = Swaps()
    load.begin(port, [(HOST, "/")])
    time.sleep(0.3)
    began_ns = now_ns()
    for _ in range(times):
        for left, word in (("a", "b"), ("b", "a")):
            asked_ns = change(word)
            deadline_s = time.monotonic() + LIMIT_S
            while load.window(now_ns() - 300_000_000, now_ns(), left).sides.get(left, 0):
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"did not change within {LIMIT_S:g} s")
                time.sleep(0.05)
            seen.last_ms.append(_last_ms(load, asked_ns, left))
    _end(load, seen, began_ns)
    return seen


def _last_ms(load: Traffic, asked_ns: int, left: str) -> float:
    """From a moment to the last request that was sent and answered by the version that is left."""
    last_ns = load.window(asked_ns, now_ns(), left).last_side_ns.get(left)
    return ((last_ns or asked_ns) - asked_ns) / 1e6


def _end(load: Traffic, seen: Swaps, began_ns: int) -> None:
    load.halt()
    time.sleep(0.2)
    window = load.window(began_ns, now_ns(), "a")
    seen.sent, seen.failed, seen.dropped = window.sent, window.failed, window.dropped


# --- peers -----------------------------------------------------------------------------------------------------------


@contextmanager
def _processes(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What is started in there is stopped."""
    made: list[subprocess.Popen[bytes]] = []
    try:
        yield made
    finally:
        for process in made:
            process.terminate()
        for process in made:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        shutil.rmtree(folder, ignore_errors=True)


def _started(made: list[subprocess.Popen[bytes]], words: list[str], folder: Path, **more: str) -> None:
    with (folder / "log").open("ab") as log:
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), **more}
        process = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    made.append(process)


def _open(port: int) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/", headers={"host": HOST})
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"nothing answers at {port}")
        time.sleep(0.05)


def _stubs(made: list[subprocess.Popen[bytes]], folder: Path) -> dict[str, list[int]]:
    (folder / "main.py").write_text(CODE)
    ports: dict[str, list[int]] = {"a": [], "b": []}
    for word, mine in ports.items():
        for _ in range(INSTANCES):
            port = free_port()
            _started(made, [sys.executable, "-S", "-E", "main.py", word], folder, PORT=str(port))
            _open(port)
            mine.append(port)
    return ports


@contextmanager
def _nginx_gunicorn() -> Iterator[tuple[int, Change]]:
    nginx, gunicorn = peer.found("nginx"), peer.from_index("gunicorn", GUNICORN)
    folder, port, behind = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp")), free_port(), free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log crit;\n"
        "events { worker_connections 1024; }\nhttp {\n  access_log off;\n  keepalive_requests 1000000;\n"
        f'  proxy_http_version 1.1;\n  proxy_set_header Connection "";\n{temporary}'
        f"  upstream app {{ server 127.0.0.1:{behind}; keepalive 32; }}\n"
        f"  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; }} }}\n}}\n"
    )
    (folder / "app.py").write_text(APP)
    (folder / "word").write_text("a")
    with _processes(folder) as made:
        words = [gunicorn, "--bind", f"127.0.0.1:{behind}", "--workers", str(INSTANCES), "--threads", "4"]
        _started(made, [*words, "--graceful-timeout", "5", "app:app"], folder)
        _open(behind)
        _started(made, [nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")], folder)
        _open(port)

        def change(word: str) -> int:
            (folder / "word").write_text(word)
            moment_ns = now_ns()
            os.kill(made[0].pid, signal.SIGHUP)
            return moment_ns

        yield port, change


@contextmanager
def _haproxy() -> Iterator[tuple[int, Change]]:
    haproxy = peer.found("haproxy")
    folder, port = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp")), free_port()
    with _processes(folder) as made:
        ports = _stubs(made, folder)
        servers = "".join(
            f"  server {word}{n} 127.0.0.1:{number}{' disabled' if word == 'b' else ''}\n"
            for word, numbers in ports.items()
            for n, number in enumerate(numbers)
        )
        (folder / "haproxy.cfg").write_text(
            f"global\n  nbthread 1\n  stats socket {folder}/stats.sock level admin\n"
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
            f"frontend web\n  bind 127.0.0.1:{port}\n  default_backend app\nbackend app\n{servers}"
        )
        _started(made, [haproxy, "-db", "-f", str(folder / "haproxy.cfg")], folder)
        _open(port)

        def change(word: str) -> int:
            other = "a" if word == "b" else "b"
            orders = [f"set server app/{word}{n} state ready" for n in range(INSTANCES)]
            orders += [f"set server app/{other}{n} state maint" for n in range(INSTANCES)]
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(str(folder / "stats.sock"))
                moment_ns = now_ns()
                admin.sendall(("; ".join(orders) + "\n").encode())
                answer = b""
                while more := admin.recv(4096):  # it answers each order, and hangs up after the last
                    answer += more
            if answer.strip():
                raise RuntimeError(f"haproxy: {answer!r}")
            return moment_ns

        yield port, change


@contextmanager
def _caddy() -> Iterator[tuple[int, Change]]:
    caddy = peer.from_index("caddy", peer.WHEELS[0])
    folder, port = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp")), free_port()
    with _processes(folder) as made:
        ports = _stubs(made, folder)

        def text(word: str) -> str:
            upstreams = ", ".join(f'{{"dial": "127.0.0.1:{number}"}}' for number in ports[word])
            return (
                f'{{"admin": {{"listen": "unix/{folder}/admin.sock", "config": {{"persist": false}}}}, '
                '"logging": {"logs": {"default": {"level": "ERROR"}}}, "apps": {"http": {"servers": {"web": {'
                f'"listen": ["127.0.0.1:{port}"], "automatic_https": {{"disable": true}}, "routes": [{{"handle": '
                f'[{{"handler": "reverse_proxy", "upstreams": [{upstreams}]}}]}}]}}}}}}}}}}'
            )

        (folder / "caddy.json").write_text(text("a"))
        _started(made, [caddy, "run", "--config", str(folder / "caddy.json")], folder, GOMAXPROCS="1")
        _open(port)

        def change(word: str) -> int:
            body = text(word)
            connection = http.client.HTTPConnection("localhost", timeout=60)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(folder / "admin.sock"))
            moment_ns = now_ns()
            connection.request("POST", "/load", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"caddy: {answer.status} {answer.read()!r}")
            connection.close()
            return moment_ns

        yield port, change


PEERS = (
    ("nginx and gunicorn, SIGHUP", "started by it", _nginx_gunicorn),
    ("HAProxy, `set server`", "both run already", _haproxy),
    ("Caddy, `POST /load`", "both run already", _caddy),
)


def _cells(name: str, target: str, seen: Swaps) -> list[str]:
    last = Spread.of(seen.last_ms)
    return [
        name,
        target,
        str(last.count),
        f"**{shown(last.p50)}** / {shown(last.largest)}",
        str(seen.dropped),
        f"{seen.failed} of {seen.sent:,}",
    ]
