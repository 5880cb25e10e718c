"""The traffic process, from the side of whoever measures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PER_SECOND = 500.0
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Window:
    """What the load saw between two moments; moments in ns of the boot-time clock, None: no request arrived.

    ``failures`` are the status (0: the connection broke) and the words of the first ten answers that were not 200.
    """

    last_left_ns: int | None
    first_other_ns: int | None
    sent: int
    failed: int
    failures: list[str]
    dropped: int
    stale: int
    latency_p50_ms: float
    latency_p90_ms: float
    latency_p99_ms: float
    latency_largest_ms: float
    late_p99_ms: float
    statuses: dict[str, int]
    sides: dict[str, int]
    last_side_ns: dict[str, int]


class Traffic:
    """Two upstreams and a load in a process of their own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.traffic"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: dict[str, int] = self._answer()

    def begin(
        self,
        port: int,
        targets: Sequence[tuple[str, str]],
        per_second: float = PER_SECOND,
        connections: int = CONNECTIONS,
    ) -> None:
        """Load the proxy that listens there with requests for ``(host, path)``, in turn."""
        self._do("begin", port=port, targets=list(targets), per_second=per_second, connections=connections)

    def halt(self) -> None:
        """End the load; its answers stay to be asked for."""
        self._do("halt")

    def window(self, since_ns: int, until_ns: int, left: str) -> Window:
        """What happened between two moments; ``left`` is the side that was left."""
        seen = self._do("window", since=since_ns, until=until_ns, left=left)
        other = "a" if left == "b" else "b"
        arrivals = seen.pop("arrivals")
        return Window(last_left_ns=arrivals[left]["last"], first_other_ns=arrivals[other]["first"], **seen)

    def poll(self, port: int, host: str, path: str, limit_s: float = 10.0) -> None:
        """Begin to ask until the answer is 200; :meth:`polled` waits for the end."""
        self._send("poll", port=port, host=host, path=path, limit_s=limit_s)

    def polled(self) -> tuple[int | None, dict[str, int]]:
        """When the 200 was there (ns), and how often each status came."""
        seen = self._answer()
        return seen["ok_ns"], seen["codes"]

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()

    def _do(self, command: str, **details: Any) -> dict[str, Any]:
        self._send(command, **details)
        return self._answer()

    def _send(self, command: str, **details: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **details}) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the traffic process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Two upstreams; a load is begun by hand."""
    made = Traffic()
    try:
        yield made
    finally:
        made.stop()
