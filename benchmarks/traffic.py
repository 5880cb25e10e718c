"""A process of its own: two upstreams that note when requests arrive, and an open-loop load on keep-alive connections.

Started as ``python -m benchmarks.traffic``; prints the upstreams' ports, then answers commands, one JSON object a line
on standard input. The upstreams answer at once with their name (``a`` or ``b``), so that nothing hides how long a proxy
goes on sending to the one that was left. Open loop: requests are due by the clock, whatever became of those before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measuring import Spread, now_ns
from benchmarks.polling import poll

SIDES = ("a", "b")
LIMIT_S = 10.0


class Upstream(asyncio.Protocol):
    """Answers and notes the arrival."""

    def __init__(self, side: str, arrivals: list[int]) -> None:
        self._arrivals = arrivals
        self._answer = f"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{side}".encode()
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        moment = now_ns()
        self._held += data
        complete = self._held.count(b"\r\n\r\n")
        if complete:
            self._held = self._held[self._held.rindex(b"\r\n\r\n") + 4 :]
            self._arrivals.extend([moment] * complete)
            self._transport.write(self._answer * complete)


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` 0: the connection broke before the answer was there. ``due_ns`` is when it should have been sent."""

    due_ns: int
    sent_ns: int
    ended_ns: int
    connection: int
    status: int
    side: str


class Client(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, load: Load, number: int) -> None:
        self._load, self._number = load, number
        self._asked: tuple[int, int] | None = None
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._load.ready(self)

    def send(self, due_ns: int, request: bytes) -> None:
        self._asked = (due_ns, now_ns())
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, separator, body = self._held.partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.lower().split(b"\r\n")
        if b"transfer-encoding: chunked" in lines:
            length = len(body)
            if not body.endswith(b"0\r\n\r\n"):
                return
        else:
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(body) < length:
                return
        self._held = b""
        self._note(int(head[9:12]), body[:length].decode("latin-1"))
        if b"connection: close" in lines:
            self._transport.close()
        else:
            self._load.ready(self)

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, problem: Exception | None) -> None:
        if self._asked:
            self._note(0, "")
        self._load.lost(self)

    def _note(self, status: int, side: str) -> None:
        if self._asked:
            self._load.answers.append(Answer(*self._asked, now_ns(), self._number, status, side))
        self._asked = None


@dataclass
class Load:
    """Sends ``per_second`` requests to ``targets`` in turn; a proxy that closes a connection gets a new one."""

    port: int
    targets: list[bytes]
    per_second: float
    connections: int
    answers: list[Answer] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    _idle: deque[Client] = field(default_factory=deque)
    _waiting: deque[int] = field(default_factory=deque)
    _opened: int = 0
    _turn: int = 0
    _running: bool = True
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        for _ in range(self.connections):
            self._connect()
        self._due_ns = now_ns() + 50_000_000
        self._tick()

    def stop(self) -> None:
        self._running = False
        for client in self._idle:
            client.close()

    def ready(self, client: Client) -> None:
        if not self._running:
            client.close()
        elif self._waiting:
            self._send(client, self._waiting.popleft())
        else:
            self._idle.append(client)

    def lost(self, client: Client) -> None:
        if client in self._idle:
            self._idle.remove(client)
        if self._running:
            self.dropped.append(now_ns())
            self._connect()

    def _connect(self) -> None:
        self._opened += 1
        number = self._opened
        task = asyncio.create_task(self._open(number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        while self._running:
            try:
                await loop.create_connection(lambda: Client(self, number), "127.0.0.1", self.port)
                return
            except OSError:
                moment = now_ns()
                self.answers.append(Answer(moment, moment, moment, number, 0, ""))
                await asyncio.sleep(0.005)

    def _tick(self) -> None:
        if not self._running:
            return
        moment = now_ns()
        while self._due_ns <= moment:
            if self._idle:
                self._send(self._idle.popleft(), self._due_ns)
            else:
                self._waiting.append(self._due_ns)
            self._due_ns += int(1e9 / self.per_second)
        asyncio.get_running_loop().call_later((self._due_ns - moment) / 1e9, self._tick)

    def _send(self, client: Client, due_ns: int) -> None:
        self._turn += 1
        client.send(due_ns, self.targets[self._turn % len(self.targets)])


class Traffic:
    """What the commands act on."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[int]] = {side: [] for side in SIDES}
        self.load: Load | None = None

    def begin(self, port: int, targets: list[list[str]], per_second: float, connections: int) -> dict[str, Any]:
        """Start the load; ``targets`` are ``[host, path]``."""
        requests = [f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode() for host, path in targets]
        self.load = Load(port, requests, per_second, connections)
        self.load.start()
        return {}

    def halt(self) -> dict[str, Any]:
        """End the load."""
        if self.load:
            self.load.stop()
        return {}

    def window(self, since: int, until: int, left: str) -> dict[str, Any]:
        """What happened between two moments, when ``left`` was the side that should get no more requests."""
        assert self.load is not None
        answers = [answer for answer in self.load.answers if since <= answer.due_ns < until]
        latencies = Spread.of([(answer.ended_ns - answer.due_ns) / 1e6 for answer in answers])
        return {
            "arrivals": {side: _ends(self.arrivals[side], since, until) for side in SIDES},
            "sent": len(answers),
            "failed": sum(answer.status != 200 for answer in answers),
            "failures": [f"{a.status} {a.side[:100]}".rstrip() for a in answers if a.status != 200][:10],
            "last_side_ns": {answer.side: answer.sent_ns for answer in answers},
            "sides": dict(Counter(answer.side for answer in answers)),
            "statuses": dict(Counter(str(answer.status) for answer in answers)),
            "dropped": sum(since <= moment < until for moment in self.load.dropped),
            "stale": _stale(answers, left),
            "late_p99_ms": Spread.of([(answer.sent_ns - answer.due_ns) / 1e6 for answer in answers]).p99,
            "latency_p50_ms": latencies.p50,
            "latency_p90_ms": latencies.p90,
            "latency_p99_ms": latencies.p99,
            "latency_largest_ms": latencies.largest,
        }

    async def poll(self, **asked: Any) -> dict[str, Any]:
        """Ask until the answer is 200; the upstreams answer meanwhile."""
        return await asyncio.to_thread(poll, **asked)


def _ends(moments: list[int], since: int, until: int) -> dict[str, int | None]:
    low, high = bisect_left(moments, since), bisect_left(moments, until)
    return {
        "count": high - low,
        "first": moments[low] if high > low else None,
        "last": moments[high - 1] if high > low else None,
    }


def _stale(answers: list[Answer], left: str) -> int:
    """Answers of the side that was left, after one of the other side on the same connection."""
    moved: set[int] = set()
    stale = 0
    for answer in sorted(answers, key=lambda answer: answer.sent_ns):
        if answer.side == left and answer.connection in moved:
            stale += 1
        elif answer.side in SIDES and answer.side != left:
            moved.add(answer.connection)
    return stale


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    traffic = Traffic()
    servers = {}
    for side in SIDES:
        arrivals = traffic.arrivals[side]
        servers[side] = await loop.create_server(
            lambda side=side, arrivals=arrivals: Upstream(side, arrivals),  # type: ignore[misc]
            "127.0.0.1",
            0,
        )
    print(json.dumps({side: server.sockets[0].getsockname()[1] for side, server in servers.items()}), flush=True)
    commands = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    gc.disable()
    while line := await commands.readline():
        order = json.loads(line)
        answer = getattr(traffic, order.pop("do"))(**order)
        if asyncio.iscoroutine(answer):
            answer = await answer
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
