"""What stays open for seconds while versions change: slow streams, which must end complete, and websockets."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

HOST = "shop.example"
TALK_S = 2.5
"""How long one conversation lasts: longer than a shift, shorter than a drain."""


def websocket(port: int, path: str) -> ClientConnection:
    """A websocket through the gateway."""
    pipe = socket.create_connection(("127.0.0.1", port), timeout=10)
    return connect(f"ws://{HOST}{path}", sock=pipe, proxy=None)


@dataclass
class HeldOpen:
    """Streams and conversations, one after the other, each in a thread of its own."""

    port: int
    complete: int = 0
    talks: int = 0
    broken: list[str] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    """How many answers each version gave on websockets."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def stream(self, path: str, ending: str) -> None:
        """Ask for a slow answer again and again; each must be 200 and end as it should."""
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("GET", path, headers={"host": HOST})
                answer = connection.getresponse()
                body = answer.read().decode()
                if answer.status == 200 and body.endswith(ending):
                    self.complete += 1
                else:
                    self.broken.append(f"{answer.status} {body[-40:]!r}")
            except (OSError, http.client.HTTPException) as problem:
                self.broken.append(f"stream: {problem!r}")
            finally:
                connection.close()

    def talk(self, path: str) -> None:
        """Say a word every 50 ms on a websocket for a while, again and again; each is answered by one version only."""
        while not self._stop.is_set():
            try:
                self._converse(path)
                self.talks += 1
            except (OSError, TimeoutError, WebSocketException, AssertionError) as problem:
                self.broken.append(f"websocket: {problem!r}")

    def _converse(self, path: str) -> None:
        with websocket(self.port, path) as spoken:
            until_s, number, versions = time.monotonic() + TALK_S, 0, set[str]()
            while time.monotonic() < until_s:
                spoken.send(f"word {number}")
                version, _, word = str(spoken.recv(timeout=10)).partition(" ")
                assert word == f"word {number}", (word, number)
                versions.add(version)
                self.heard[version] += 1
                number += 1
                time.sleep(0.05)
            assert len(versions) == 1, versions


@contextmanager
def held_open(port: int, stream: tuple[str, str] | None, talk: str | None, *, each: int = 3) -> Iterator[HeldOpen]:
    """So many of each, begun at different moments; nothing of it may break."""
    made = HeldOpen(port)
    threads = []
    for number in range(each):
        if stream:
            threads.append(threading.Thread(target=made.stream, args=stream, name=f"stream {number}", daemon=True))
        if talk:
            threads.append(threading.Thread(target=made.talk, args=(talk,), name=f"talk {number}", daemon=True))
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    try:
        yield made
    finally:
        made._stop.set()
        for thread in threads:
            thread.join(30)
    assert made.broken == []
