"""A shop whose catalogue is a service that Lastgood runs: its code, its configuration, and hands on its instances."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lastgood.interfaces.demo.load import Load, Probe
from tests.support import api
from tests.support.shop import Shop

CODE = '''\
"""Answers with its word; finishes what it has when it is told to leave."""
import asyncio, os, signal, sys
WORD = (sys.argv[1] + os.environ.get("MORE", "")).encode()
BUSY = 0
async def talk(reader, writer):
    global BUSY
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            BUSY += 1
            path = head.split(b" ")[1]
            status = b"200 OK"
            if path == b"/slow":
                await asyncio.sleep(1.5)
            if path == b"/healthz" and WORD == b"sick" or path != b"/healthz" and WORD == b"broken":
                status = b"500 No"
            writer.write(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(WORD) + WORD)
            BUSY -= 1
    except (EOFError, OSError):
        writer.close()
async def main():
    if WORD == b"crashing":
        print("no such table: prices", flush=True)
        sys.exit(3)
    leaving = asyncio.Event()
    if WORD == b"stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    port = int(os.environ["PORT"]) + (10_000 if WORD == b"elsewhere" else 0)
    print("listening", flush=True)
    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
    await leaving.wait()
    server.close()
    while BUSY:
        await asyncio.sleep(0.01)
asyncio.run(main())
'''
HEALTH = "{ path: /healthz, interval: 200ms }"
VISIT = Probe("visit", "/visit")


class ServiceShop(Shop):
    """Like :class:`Shop`, but its catalogue runs under Lastgood."""

    def words(self, word: str, *, instances: int = 2, more: str = "", keep: str = "2s", bake: str = "300ms") -> str:
        """A lastgood.yaml whose service answers with a word; ``more`` are further lines of the service."""
        return (
            "project: shop\ngateway:\n  release_header: true\n  listeners:\n"
            f"    web: {{ port: {self.ports.gateway} }}\n  routes:\n"
            "    - { name: all, match: { host: shop.example }, to: catalog, public: true }\n"
            "services:\n  catalog:\n    source: services/catalog\n"
            f"    command: [python, main.py, {word}]\n    instances: {instances}\n    health: {HEALTH}\n"
            f"    drain: 3s\n    strategy: {{ blue_green: {{ keep_old: {keep} }} }}\n{more}"
            f"bake: {{ for: {bake} }}\n"
        )

    def open_with(self, word: str, **settings: object) -> None:
        """Begin with a version that is live and good."""
        self.begin()
        self.commit(self.words(word, **settings), "Open the shop", services__catalog__main_py=CODE)  # type: ignore[arg-type]
        self.ok("up", "--detach")
        self.ok("deploy", "--wait", "ended")
        assert self.get("/visit").body == word

    def release(self, word: str, *options: str, wait: str = "ended", **settings: object) -> None:
        """Commit and deploy another word."""
        self.commit(self.words(word, **settings), f"Say {word}")  # type: ignore[arg-type]
        self.ok("deploy", "--wait", wait, *options)

    def begin_release(self, word: str, **settings: object) -> subprocess.Popen[str]:
        """The same, and do not wait for it."""
        self.commit(self.words(word, **settings), f"Say {word}")  # type: ignore[arg-type]
        return self.begin_command("deploy")

    def answers(self) -> bool:
        """Whether a controller is there."""
        try:
            return api.request(self.socket, "GET", "/v1/status")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def instances(self) -> dict[str, int]:
        """How many records of instances there are, by the first digits of their version."""
        found: dict[str, int] = {}
        for path in (self.state / "run/processes").glob("catalog@*.json"):
            version = re.findall(r"@([0-9a-f]{8})", path.name)[0]
            found[version] = found.get(version, 0) + 1
        return found

    def pids(self) -> dict[str, int]:
        """The pid of every instance, by key."""
        found = {}
        for path in (self.state / "run/processes").glob("catalog@*.json"):
            identity = json.loads(path.read_text())["identity"]
            if identity:
                found[path.name.removesuffix(".json")] = int(identity[0])
        return found

    @contextmanager
    def visited(self, *, per_second: float = 200.0, connections: int = 4) -> Iterator[Load]:
        """Visitors on keep-alive connections; none of their requests may fail."""
        probes = tuple(Probe(f"visitor-{n}", "/visit") for n in range(connections))
        load = Load(self.ports.gateway, probes, per_second / connections)
        load.start()
        try:
            yield load
        finally:
            load.stop()
        assert len(load.answers) > 20
        assert load.failed() == []

    def service_log(self) -> str:
        """What all versions printed."""
        return "".join(path.read_text() for path in sorted(Path(self.state / "logs/services").glob("*.log")))


def bodies(load: Load) -> Mapping[str, int]:
    """How often each word was answered."""
    found: dict[str, int] = {}
    for answer in load.answers:
        found[answer.body] = found.get(answer.body, 0) + 1
    return found
