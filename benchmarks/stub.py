"""A project whose services are stubs that answer at once with a letter, and note when the last request came."""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api import Api
from benchmarks.measuring import now_ns
from benchmarks.project import Project, free_port
from lastgood import bootstrap
from lastgood.interfaces import lifecycle
from lastgood.settings import Places, find_places

HOST = "bench.example"
CODE = """\
import os, select, signal, socket, sys, time
word, last, held, leaving = sys.argv[1].encode(), 0, {}, []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)
server.setblocking(False)
loop = select.epoll()
loop.register(server, select.EPOLLIN)
peers = {}
def drop(number):
    loop.unregister(number)
    peers.pop(number).close()
    held.pop(number)
def answer(number):
    global last
    try:
        data = peers[number].recv(65536)
    except OSError:
        data = b""
    if not data:
        return drop(number)
    *heads, held[number] = (held[number] + data).split(b"\\r\\n\\r\\n")
    for head in heads:
        path = head.split(b" ", 2)[1]
        body, status = word, b"200 OK"
        if path == b"/last":
            body = str(last).encode()
        elif path != b"/healthz":
            last = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            if word == b"x":
                status = b"500 No"
        peers[number].sendall(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
while not leaving:
    try:
        ready = loop.poll()
    except InterruptedError:
        continue
    for number, _ in ready:
        if number == server.fileno():
            peer, _ = server.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[peer.fileno()], held[peer.fileno()] = peer, b""
            loop.register(peer, select.EPOLLIN)
        else:
            answer(number)
"""
MAIN = """\
project: bench
gateway:
  listeners: {{ web: {{ port: {port} }} }}
  routes:
{routes}services:
{services}bake: {{ for: {bake} }}
"""
ROUTE = "    - {{ name: {name}, match: {{ host: {host}, path: {path} }}, to: {name}, public: true }}\n"
SERVICE = """\
  {name}:
    source: stub
    command: [python, -S, -E, main.py, {word}]
    instances: {instances}
    health: {{ interval: {interval} }}
    drain: 2s
    strategy: {{ {strategy} }}
"""


@dataclass(frozen=True)
class Shop:
    """A project with stubs, and its controller. Service 0 takes every path that no other has."""

    project: Project
    places: Places
    api: Api
    instances: int
    services: int = 1
    interval: str = "500ms"

    def commit(self, word: str, strategy: str, *, bake: str = "1h") -> str:
        """Another word for all of them, as a commit."""
        names = [f"s{n}" for n in range(self.services)]
        routes = [ROUTE.format(name=name, host=HOST, path=f"/{name}/*" if n else "/*") for n, name in enumerate(names)]
        services = [
            SERVICE.format(name=name, word=word, instances=self.instances, strategy=strategy, interval=self.interval)
            for name in names
        ]
        text = MAIN.format(port=self.project.port, routes="".join(routes), services="".join(services), bake=bake)
        (self.project.root / "lastgood.yaml").write_text(f"{text}# {now_ns()}: there is always something to commit\n")
        return self.project.commit(f"Say {word}")

    def ports(self, service: str = "s0") -> set[int]:
        """Where a service's instances listen."""
        paths = (self.places.state / "run" / "processes").glob(f"{service}@*.json")
        return {int(re.findall(r"\.(\d+)\.json$", path.name)[0]) for path in paths}


def last_arrival(port: int) -> int:
    """When the last request came to an instance (ns)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/last")
        return int(connection.getresponse().read())
    finally:
        connection.close()


@contextmanager
def shop(instances: int, *, services: int = 1, interval: str = "500ms") -> Iterator[Shop]:
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
            made = Shop(project, places, api, instances, services, interval)
            first = api.deploy(made.commit("a", "blue_green: { keep_old: 100ms }", bake="100ms"))
            api.wait(first.deployment, "ended")
            yield made
        finally:
            api.close()
    finally:
        if (places.state / "run").exists():
            lifecycle.down(places)
        shutil.rmtree(folder, ignore_errors=True)
