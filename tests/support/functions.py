"""A shop whose prices come from a function that Lastgood runs."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from lastgood.interfaces.demo.load import Load, Probe
from tests.support import api
from tests.support.shop import Answer, Shop
from tests.support.worker_runtime import CACHE, bring_worker_runtime

PYTHON = '''\
"""Says its word."""
import os
WORD = {word!r}
def app(event, context):
    return {{"statusCode": 200, "body": WORD + os.environ.get("MORE", "")}}
'''


WORKER = {
    "index.js": "export default {{ fetch() {{ return new Response({word!r}); }} }};",
    "wrangler.jsonc": '{{"main": "index.js", "compatibility_date": "2026-07-01"}}',
}


class FunctionShop(Shop):
    """Like :class:`Shop`, but every path is a function's."""

    def words(self, more: str = "", *, bake: str = "300ms", keep: str = "60s", runtime: str = "python") -> str:
        """A lastgood.yaml; ``more`` are further lines of the function."""
        return (
            "project: shop\ngateway:\n  listeners:\n"
            f"    web: {{ port: {self.ports.gateway} }}\n  routes:\n"
            "    - { name: all, match: { host: shop.example }, to: price, public: true }\n"
            f"functions:\n  price:\n    source: functions/price\n    runtime: {runtime}\n"
            f"    drain: 3s\n{more}"
            + ("" if "strategy" in more else f"    strategy: {{ blue_green: {{ keep_old: {keep} }} }}\n")
            + f"bake: {{ for: {bake} }}\n"
        )

    def commit_function(self, files: Mapping[str, str], subject: str, more: str = "", **said: str) -> None:
        """Commit the function's files and the configuration."""
        for name, text in files.items():
            path = self.root / "functions/price" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "functions")
        self.commit(self.words(more, **said), subject)

    def say(self, word: str, more: str = "", **said: str) -> None:
        """Commit a version, in Python or of a Worker, that answers with a word."""
        files = WORKER if said.get("runtime") == "worker" else {"main.py": PYTHON}
        told = {name: text.format(word=word) for name, text in files.items()}
        self.commit_function(told, f"Say {word}", more, **said)

    def open_with(self, word: str, more: str = "", **said: str) -> None:
        """Begin with a version that is live and good."""
        self.begin()
        self.say(word, more, **said)
        self.ok("up", "--detach")
        self.ok("deploy", "--wait", "ended")
        assert self.get("/visit").body == word

    def answers(self) -> bool:
        """Whether a controller is there."""
        try:
            return api.request(self.socket, "GET", "/v1/status")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def post(self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str] | None = None) -> Answer:
        """One request with a body; many pieces go in chunks. An answer that comes before its end is one, too."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.gateway, timeout=60)
        try:
            try:
                said = {"host": "shop.example", **(headers or {})}
                connection.request("POST", path, body, said, encode_chunked=not isinstance(body, bytes))
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            connection.close()

    def use_runtimes(self) -> None:
        """What npm brought for this machine, in the home of the shop's user."""
        bring_worker_runtime()
        cache = self.folder / ".cache"
        cache.mkdir(parents=True)
        (cache / "lastgood").symlink_to(CACHE)

    def function_ports(self) -> dict[str, int]:
        """The port of every version that deployments keep running, by digest."""
        names = [path.name for path in (self.state / "run/processes").glob("price@*.json")]
        return {name[6:70]: int(name.split(".")[1]) for name in names}

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
