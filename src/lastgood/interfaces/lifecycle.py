"""Starting and stopping: the supervisor, the controller under it, and the proxies, which outlive both."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import Any

from lastgood import bootstrap
from lastgood.effects.processes.client import SupervisedProcesses, ensure_supervisor
from lastgood.effects.processes.run_directory import open_run_directory
from lastgood.errors import Conflict, Failed, LastgoodError, Unavailable
from lastgood.ports import ProcessSpec
from lastgood.settings import Places, prepare

START_S = 20.0
CONNECT_S = 5.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "PYTHONPATH", "LASTGOOD_ENVOY")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def is_up(places: Places) -> bool:
    """Whether a controller answers."""
    return _status(places) is not None


def _status(places: Places) -> dict[str, Any] | None:
    try:
        connection = _UnixConnection(str(bootstrap.api_socket(places)), 2.0)
        connection.request("GET", "/v1/status")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return dict(json.loads(body)) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def up(places: Places, *, proxies: int = 1, follow: str | None = None) -> None:
    """Start everything that is not there yet; returns once the controller answers and the proxies are connected.

    A proxy that does not connect is waited for a moment only: what else works is not held up by it.
    """
    prepare(places)
    if is_up(places):
        raise Conflict("it is up already", next="lastgood status; to start it otherwise: lastgood stop, then up")
    bootstrap.open_journal(places).close()
    bootstrap.Options(proxies=proxies, follow=follow, env=named_variables(places.root)).save(places.options)
    asyncio.run(_start(places))
    _wait(places)


async def _start(places: Places) -> None:
    processes = await ensure_supervisor(str(bootstrap.run_root(places)))
    await processes.stop("controller", 5.0)
    await processes.start(controller_spec(places))


def controller_spec(places: Places) -> ProcessSpec:
    """How the supervisor runs the controller; a controller gives the same to a supervisor that is new.

    Only the variables that ``env:`` secrets name go along as secrets, so that without any it can be started by itself.
    """
    named = bootstrap.Options.load(places.options).env
    return ProcessSpec(
        "controller",
        (sys.executable, "-P", "-m", "lastgood.interfaces.daemon", str(places.root), str(places.state)),
        str(places.logs / "controller.log"),
        "controller",
        {name: os.environ[name] for name in PASSED_ON if name in os.environ},
        secret_env={name: os.environ[name] for name in named if name in os.environ and name not in PASSED_ON},
        cwd=str(places.state),
        grace_s=5.0,
    )


def how_it_was_started(places: Places, state: str | None = None) -> str:
    """The command that starts everything again as it ran last; ``state`` is the ``--state`` that was given."""
    options = bootstrap.Options.load(places.options)
    proxies = f" --proxies {options.proxies}" if options.proxies != 1 else ""
    follow = f" --follow {shlex.quote(options.follow)}" if options.follow else ""
    elsewhere = f" --state {shlex.quote(state)}" if state else ""
    return f"lastgood up --detach{proxies}{follow}{elsewhere}"


def named_variables(root: Path) -> tuple[str, ...]:
    """The variables that ``env:`` secrets of the configuration in the work tree name."""
    found: set[str] = set()
    for path in (root / "lastgood.yaml", *sorted(root.glob("lastgood.d/**/*.yaml"))):
        try:
            found.update(re.findall(r"env:([A-Za-z_][A-Za-z0-9_]*)", path.read_text()))
        except (OSError, UnicodeDecodeError):
            continue  # what is wrong with it is said when it is deployed
    return tuple(sorted(found))


def _wait(places: Places) -> None:
    deadline_s = time.monotonic() + START_S
    answered_s: float | None = None
    while time.monotonic() < deadline_s:
        found = _status(places)
        if found is not None:
            answered_s = answered_s or time.monotonic()
            connected = all(proxy["connected"] for proxy in found["proxies"])
            if connected or time.monotonic() - answered_s > CONNECT_S:
                return
        if asyncio.run(_gave_up(places)):
            break
        time.sleep(0.05)
    raise Failed(
        "the controller does not start",
        where=str(places.logs / "controller.log"),
        next="read its last lines: lastgood logs controller",
    )


async def _gave_up(places: Places) -> bool:
    client = SupervisedProcesses(open_run_directory(str(bootstrap.run_root(places))))
    return any(state.key == "controller" and state.restarts >= 3 for state in await client.list())


def stay(places: Places) -> None:
    """Stay as long as the controller answers; raises ``Unavailable`` when it has ended by itself."""
    while is_up(places):
        time.sleep(0.5)
    raise Unavailable("the controller is gone", next="lastgood logs controller")


def stop(places: Places) -> None:
    """Stop the controller only; the proxies serve on."""
    asyncio.run(_stop(places))


async def _stop(places: Places) -> None:
    client = SupervisedProcesses(open_run_directory(str(bootstrap.run_root(places))))
    if not await client.stop("controller", 5.0):
        raise Unavailable("no controller is running", next="lastgood up")


def down(places: Places) -> None:
    """Stop everything: the controller, the proxies, the supervisor. Requests are refused from now on."""
    asyncio.run(_down(places))


async def _down(places: Places) -> None:
    client = SupervisedProcesses(open_run_directory(str(bootstrap.run_root(places))))
    try:
        await client.ping()
    except LastgoodError:
        # What outlived its supervisor can only be stopped by one that adopts it.
        client = await ensure_supervisor(str(bootstrap.run_root(places)))
    await client.shutdown(keep=False)
