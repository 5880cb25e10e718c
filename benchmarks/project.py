"""A user's project: a Git repository with many hosts, a file for each, and the product running on it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.api import Api
from lastgood import bootstrap
from lastgood.interfaces import lifecycle
from lastgood.settings import Places, find_places

_MAIN = """\
project: bench
gateway:
  listeners:
    web: {{ port: {port} }}
upstreams:
  a: {{ endpoints: ["127.0.0.1:{a}"] }}
  b: {{ endpoints: ["127.0.0.1:{b}"] }}
bake: {{ for: {bake} }}
"""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Shape:
    """How many hosts, and routes on each."""

    hosts: int
    per_host: int

    @property
    def routes(self) -> int:
        """Of all hosts."""
        return self.hosts * self.per_host

    def targets(self, hosts: int) -> list[tuple[str, str]]:
        """A request for the first route of each of the first hosts."""
        return [(host_name(number), "/p0/") for number in range(hosts)]


SHAPES = {1: Shape(1, 1), 1_000: Shape(100, 10), 10_000: Shape(1_000, 10)}


def commits(shape: Shape) -> list[int]:
    """Over how many hosts the measured commits go."""
    return [hosts for hosts in (1, 100, 1_000) if hosts <= shape.hosts]


def host_name(number: int) -> str:
    """A host by its number."""
    return f"h{number}.example"


@dataclass
class Project:
    """The repository. ``moved`` hosts send their first route to ``b`` instead of ``a``."""

    root: Path
    port: int
    ports: dict[str, int]
    bake: str
    moved: dict[int, str] = field(default_factory=dict)

    def make(self, shape: Shape) -> None:
        """The first commit."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        (self.root / ".gitignore").write_text(".lastgood/\n")
        (self.root / "lastgood.yaml").write_text(_MAIN.format(port=self.port, bake=self.bake, **self.ports))
        (self.root / "lastgood.d").mkdir()
        for number in range(shape.hosts):
            self.write_host(number, shape.per_host)
        self.commit("Begin")

    def write_host(self, number: int, per_host: int, side: str = "a") -> Path:
        """The file of one host."""
        routes = [
            f"    - {{ name: h{number}-{n}, match: {{ host: {host_name(number)}, path: /p{n}/* }}, "
            f"to: {side if n == 0 else 'a'}, public: true }}\n"
            for n in range(per_host)
        ]
        path = self.root / "lastgood.d" / f"h{number:05}.yaml"
        path.write_text("gateway:\n  routes:\n" + "".join(routes))
        return path

    def move(self, hosts: Iterable[int], per_host: int, side: str, message: str) -> str:
        """Commit that the first route of these hosts goes to a side; returns the commit."""
        for number in hosts:
            self.write_host(number, per_host, side)
        return self.commit(message)

    def commit(self, message: str) -> str:
        """Commit everything; returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        """Run git; returns what it prints."""
        command = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0", *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Running:
    """A project with its controller and proxy."""

    project: Project
    shape: Shape
    places: Places
    api: Api


@contextmanager
def running(shape: Shape, ports: dict[str, int], *, bake: str = "1h") -> Iterator[Running]:
    """The product on a new project, its first release live; everything is stopped and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
    project = Project(folder / "p", free_port(), ports, bake)
    project.make(shape)
    places = find_places(project.root, None, {})
    try:
        lifecycle.up(places)
        api = Api(bootstrap.api_socket(places))
        try:
            api.deploy_and_wait("main", until="bake")
            api.mark("r1", "good")
            yield Running(project, shape, places, api)
        finally:
            api.close()
    finally:
        if (places.state / "run").exists():
            lifecycle.down(places)
        shutil.rmtree(folder, ignore_errors=True)
