"""A shop with a real gateway: a Git repository, two upstreams, and ``lastgood`` as a person types it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lastgood.interfaces.demo.load import Load, Probe, Upstream
from tests.support import api, configuration, orphans, processes
from tests.support.configuration import CATALOG, Ports

COMMAND = (sys.executable, "-P", "-m", "lastgood")
VISITOR = Probe("visitor", "/catalog/1")
_ports = itertools.count(10_000 + os.getpid() * 97 % 20_000)


def free_port() -> int:
    """A port nobody listens on, below those the kernel gives away by itself; never the same one twice."""
    for number in _ports:
        port = 10_000 + number % 20_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it printed."""
        return self.out + self.err


@dataclass(frozen=True)
class Answer:
    """What the gateway said; status 0: it did not."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Shop:
    """One project. Nothing runs before :meth:`open`; :meth:`close` leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
        orphans.claim(self.folder)
        self.root = self.folder / "shop"
        self.root.mkdir()
        self.upstreams = {name: Upstream(name) for name in ("catalog", "legacy")}
        self.ports = Ports(free_port(), self.upstreams["catalog"].port, self.upstreams["legacy"].port)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }

    # --- Git -----------------------------------------------------------------------------------------------------

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git; what it prints."""
        done = subprocess.run(
            ["git", *words], cwd=at or self.root, env=self.environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def begin(self) -> None:
        """An empty repository, with a person's name in it."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@shop.example")
        (self.root / ".git/info/exclude").write_text(".lastgood/\n")

    def text(self, routes: str = CATALOG, **sections: str) -> str:
        """A configuration with this shop's ports."""
        return configuration.configuration(self.ports, routes, **sections)

    def commit(self, text: str | None = None, message: str = "Change", **files: str | bytes) -> str:
        """Commit a lastgood.yaml (and other files: ``keys__jwks_json``); the commit's id."""
        if text is not None:
            (self.root / "lastgood.yaml").write_text(text)
        for name, content in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    # --- commands ------------------------------------------------------------------------------------------------

    def begin_command(self, *words: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """A command in a process group of its own, without a terminal."""
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=cwd or self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, feed: str = "", cwd: Path | None = None, timeout_s: float = 60.0) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=cwd or self.root,
            env=self.environment,
            input=feed,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert done.returncode != 70, f"{words}: a defect: {done.stderr}\n{self.log('cli')}"
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, feed: str = "", timeout_s: float = 60.0) -> Done:
        """Run a command that has to succeed."""
        done = self.run(*words, feed=feed, timeout_s=timeout_s)
        assert done.code == 0, f"{words} -> {done.code}\n{done.said}\n{self.log('controller')}"
        return done

    def ask(self, *words: str) -> dict[str, Any]:
        """A command's answer as JSON, of an error too."""
        done = self.run(*words, "--json")
        found = json.loads(done.out)
        assert isinstance(found, dict)
        return found

    def log(self, who: str) -> str:
        """The end of a log."""
        path = self.root / f".lastgood/logs/{who}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    # --- what is ---------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What the controller says; without one, ``lastgood status``."""
        return self._look("/v1/status", "status")

    def history(self) -> dict[str, Any]:
        """What the controller says; without one, ``lastgood history``."""
        return self._look("/v1/history?limit=100", "history", "--limit", "100")

    def _look(self, target: str, *words: str) -> dict[str, Any]:
        try:
            code, found = api.request(self.socket, "GET", target)
        except (OSError, http.client.HTTPException):
            return self.ask(*words)
        assert code == 200, found
        assert isinstance(found, dict)
        return found

    @property
    def socket(self) -> Path:
        """Where the controller answers."""
        return self.state / "run/api.sock"

    @property
    def live(self) -> int | None:
        """The number of the release that is live."""
        live = self.status()["live"]
        return live["release"] if live else None

    def standing(self) -> dict[str, Any]:
        """All that a refused command must leave as it was: what is live, served and known, and what Git says."""
        status, history = self.status(), self.history()
        return {
            "live": status["live"],
            "gateway": status["gateway"],
            "acknowledged": [proxy["acknowledged"] for proxy in status["proxies"]],
            "deployment": status["deployment"] and status["deployment"]["deployment"],
            "known_good": status["known_good"],
            "releases": history["releases"],
            "deployments": [one["deployment"] for one in history["deployments"]],
            "answers": {
                path: (self.get(path).status, self.get(path).body) for path in ("/catalog/1", "/orders/1", "/old/1")
            },
        }

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        host: str = "shop.example",
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.ports.gateway, timeout=5)
        try:
            connection.request("GET", path, headers={"host": host, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})
        except (OSError, http.client.HTTPException):
            return Answer(0)
        finally:
            connection.close()

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.root / ".lastgood"

    # --- life ------------------------------------------------------------------------------------------------------

    def open(self, *options: str) -> None:
        """Begin, serve the catalogue as r1, and wait until that counts as good."""
        self.begin()
        self.commit(self.text(), "Open the shop")
        self.ok("up", "--detach", *options)
        self.ok("deploy", "--wait", "ended")
        assert self.get("/catalog/1").body == "catalog"

    def deploy(self, text: str, message: str = "Change", *options: str) -> Done:
        """Commit and deploy, until nothing is left to do."""
        self.commit(text, message)
        return self.ok("deploy", "--wait", "ended", *options)

    @contextmanager
    def load(self, *probes: Probe, per_second: float = 100.0) -> Iterator[Load]:
        """Requests on open connections meanwhile."""
        load = Load(self.ports.gateway, probes or (VISITOR,), per_second)
        load.start()
        try:
            yield load
        finally:
            load.stop()

    def close(self) -> None:
        """``down``; fails when a process is left all the same, after ending it."""
        try:
            if (self.state / "run").is_dir():
                self.run("down", "--yes")
            left = processes.eventually_none(self.folder)
        finally:
            for upstream in self.upstreams.values():
                upstream.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, f"left behind: {left}"
