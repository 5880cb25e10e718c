"""The controller's API on a connection that stays open, and its events as they come."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import now_ns

WAIT_S = 60.0
IDLE_NS = 2_000_000_000


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WAIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a verb was answered, when it was sent and when its answer was there (ns)."""

    answer: dict[str, Any]
    sent_ns: int
    answered_ns: int

    @property
    def deployment(self) -> int:
        """Its number."""
        return int(self.answer["deployment"])


class Api:
    """Asks one controller; a refusal is an error of the benchmark."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _Connection(path)
        self._used_ns = now_ns()
        self._events: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._feed = _Connection(path)
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)
        self._thread.start()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Asked:
        """Send, and wait for the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"content-type": "application/json"}
        self._reconnect()
        sent_ns = now_ns()
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        self._used_ns = answered_ns = now_ns()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {content}")
        return Asked(content, sent_ns, answered_ns)

    def nothing(self) -> float:
        """Ask for a page that is not there; ms until the answer. The controller's way in and out, and nothing else."""
        self._reconnect()
        began_ns = now_ns()
        self._connection.request("GET", "/v1/nothing")
        self._connection.getresponse().read()
        return (now_ns() - began_ns) / 1e6

    def once(self, path: str) -> dict[str, Any]:
        """``GET`` on a connection of its own, for a controller that comes and goes."""
        connection = _Connection(self._path)
        try:
            connection.request("GET", path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def deploy(self, revision: str, **more: Any) -> Asked:
        """``POST /v1/deploy``."""
        return self.ask("POST", "/v1/deploy", {"revision": revision, "force": True, "why": "measured", **more})

    def rollback(self, target: str | None = None, **more: Any) -> Asked:
        """``POST /v1/rollback``; no commit is written unless that is asked for."""
        return self.ask("POST", "/v1/rollback", {"target": target, "revert_commit": False, **more})

    def mark(self, release: str, verdict: str) -> None:
        """``POST /v1/mark``."""
        self.ask("POST", "/v1/mark", {"release": release, "verdict": verdict})

    def report(self, deployment: int) -> dict[str, Any]:
        """Everything about one deployment."""
        return self.ask("GET", f"/v1/deployments/d{deployment}").answer

    def deploy_and_wait(self, revision: str, *, until: str, **more: Any) -> Asked:
        """Deploy, and wait until a step has started (``bake``) or ended (``ended``: the whole deployment)."""
        asked = self.deploy(revision, **more)
        self.wait(asked.deployment, until)
        return asked

    def wait(self, deployment: int, until: str, limit_s: float = WAIT_S) -> None:
        """Until this step of a deployment has started, or ``ended``, or ``STEP.ended``."""
        step, _, ended = until.partition(".")
        self._await(lambda event: _fits(event, deployment, step, bool(ended)), f"d{deployment} {until}", limit_s)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        if self._feed.sock:
            with contextlib.suppress(OSError):
                self._feed.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _reconnect(self) -> None:
        """The controller hangs up on a connection that was idle for some seconds."""
        if now_ns() - self._used_ns > IDLE_NS or self._connection.sock is None:
            self._connection.close()
            self._connection.connect()

    def _follow(self) -> None:
        try:
            self._feed.request("GET", "/v1/events")
            self._feed.timeout = None
            if self._feed.sock:
                self._feed.sock.settimeout(None)
            lines = self._feed.getresponse()
            while line := lines.readline():
                with self._came:
                    self._events.append(json.loads(line))
                    self._came.notify_all()
        except (OSError, http.client.HTTPException, ValueError):
            return

    def _await(self, fits: Callable[[dict[str, Any]], bool], what: str, limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        with self._came:
            while not any(fits(event) for event in reversed(self._events[-60:])):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._came.wait(left_s):
                    raise RuntimeError(f"{what} did not come within {limit_s:g} s: {self._events[-5:]}")


def _fits(event: dict[str, Any], deployment: int, step: str, ended: bool) -> bool:
    if event["deployment"] != deployment:
        return False
    if event["kind"] in ("Halted", "Ended") and step != "ended":
        raise RuntimeError(f"d{deployment} came to its end too soon: {event}")
    if step == "ended":
        return bool(event["kind"] == "Ended")
    return bool(event["kind"] == ("StepEnded" if ended else "StepStarted") and event.get("step") == step)
