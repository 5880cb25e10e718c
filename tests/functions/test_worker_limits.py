"""A Worker whose limits are said keeps them as a Python function does, with the same answers."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functions.running import Answer, Running, worker

pytestmark = pytest.mark.usefixtures("worker_runtime")
CODE = """\
let now = 0, most = 0;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export default {
  async fetch(request, env, ctx) {
    const path = new URL(request.url).pathname;
    if (path === "/most") return new Response(String(most));
    if (path === "/raise") throw new Error("no such price");
    if (path === "/length") return new Response(String((await request.arrayBuffer()).byteLength));
    if (path === "/declared") return new Response("1234", { headers: { "content-length": "4", "etag": "a" } });
    const said = (length) => ({ headers: { "content-length": length } });
    if (path === "/wrong") return new Response("1234", said("99"));
    if (path === "/odd") return new Response("1234", said("soon"));
    if (path === "/null") return new Response(null, said("1234"));
    if (path === "/gzip") {
      const packed = new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip"));
      const bytes = await new Response(packed).arrayBuffer();
      const headers = { "content-encoding": "gzip", "content-length": String(bytes.byteLength) };
      return new Response(bytes, { encodeBody: "manual", headers });
    }
    if (path === "/through") return fetch(env.ORIGIN, { method: request.method, headers: request.headers });
    if (path === "/webs") return new Response(null, { status: 204 });
    if (path === "/drip") {
      const { readable, writable } = new TransformStream();
      ctx.waitUntil((async () => {
        const to = writable.getWriter();
        for (;;) { await to.write(new TextEncoder().encode("drop\\n")); await pause(50); }
      })());
      return new Response(readable);
    }
    now++;
    most = Math.max(most, now);
    await pause(path === "/never" ? 1e6 : 100);
    now--;
    return new Response("ok");
  },
};
"""


class Compressing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = gzip.compress(b"hello")
        self.send_response(200)
        self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """An origin whose answers are compressed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Compressing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(**said: object) -> Running:
        (tmp_path / "wrangler.json").write_text('{"main": "main.js", "compatibility_date": "2024-01-01"}')
        (tmp_path / "main.js").write_text(CODE)
        made.append(worker(tmp_path, *said.get("env", {}), limited=True, **said))  # type: ignore[misc]
        return made[0]

    yield start
    for each in made:
        each.__exit__()


CLASS = """\
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async fetch(request) {
    await new Promise((resolve) => setTimeout(resolve, new URL(request.url).pathname === "/never" ? 1e6 : 50));
    return new Response(this.env.WORD);
  }
}
"""


def test_a_class_is_bounded_too_and_so_is_one_with_schedules(tmp_path: Path) -> None:
    """And a compatibility date from which promises may be resolved by another request without saying so."""
    said = {
        "main": "main.js",
        "compatibility_date": "2026-07-01",
        "vars": {"WORD": "class"},
        "triggers": {"crons": ["0 3 * * *"]},
    }
    (tmp_path / "wrangler.json").write_text(json.dumps(said))
    (tmp_path / "main.js").write_text(CLASS)
    with worker(tmp_path, limited=True, concurrency=1, timeout_s=1, env={"LASTGOOD_CRON": "token"}) as function:
        assert {(each.status, each.body) for each in at_once(function, "/", 8)} == {(200, b"class")}
        assert function.request("/never").status == 504
        assert function.request().body == b"class"


def at_once(function: Running, path: str, count: int) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: function.request(path), range(count)))


def test_only_so_many_at_once_and_the_others_wait_their_turn(limited: Callable[..., Running]) -> None:
    function = limited(concurrency=2, timeout_s=20)
    assert [each.status for each in at_once(function, "/", 12)] == [200] * 12
    assert function.request("/most").body == b"2"


def test_an_answer_that_does_not_come_is_given_up_and_who_gets_no_turn_is_told(limited: Callable[..., Running]) -> None:
    function = limited(concurrency=1, timeout_s=0.6)
    found = [(each.status, each.body) for each in at_once(function, "/never", 5)]
    assert set(found) <= {(504, b"the function took too long\n"), (503, b"the function took too long\n")}
    statuses = [status for status, _ in found]
    assert 504 in statuses
    assert 503 in statuses
    assert "GET /never: not answered within 0.6 s" in function.said()
    assert "GET /never: no turn within 0.6 s" in function.said()
    assert function.request().body == b"ok", "every turn came back"
    assert function.ask()["starts"] == 1


def test_half_an_answer_does_not_look_whole_when_its_time_is_over(limited: Callable[..., Running]) -> None:
    function = limited(concurrency=1, timeout_s=0.5)
    with pytest.raises(http.client.IncompleteRead):
        function.request("/drip")
    assert function.request().body == b"ok", "its turn came back"


def test_a_stream_holds_its_turn_until_it_ends_and_gives_it_back_when_its_reader_goes(
    limited: Callable[..., Running],
) -> None:
    function = limited(concurrency=1, timeout_s=20)
    with socket.create_connection(("127.0.0.1", function.port)) as reader:
        reader.sendall(b"GET /drip HTTP/1.1\r\nhost: x\r\n\r\n")
        while b"drop" not in reader.recv(4096):
            pass
        got: list[bytes] = []
        other = threading.Thread(target=lambda: got.append(function.request().body))
        other.start()
        time.sleep(0.3)
        assert got == []
    other.join(10)
    assert got == [b"ok"]


def test_who_goes_while_it_waits_takes_no_turn_away(limited: Callable[..., Running]) -> None:
    function = limited(concurrency=1, timeout_s=1)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", function.port)) as leaving:
            leaving.sendall(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
            time.sleep(0.05)
    Running.until(lambda: function.request().status == 200)


def chunked(function: Running, size_bytes: int) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", function.port, timeout=30)
    try:
        pieces = iter([b"x" * 10_000] * (size_bytes // 10_000))
        connection.request("POST", "/length", pieces, encode_chunked=True, headers={"transfer-encoding": "chunked"})
        got = connection.getresponse()
        return Answer(got.status, got.getheaders(), got.read())
    finally:
        connection.close()


def test_a_body_beyond_the_limit_is_refused_and_one_below_is_read(limited: Callable[..., Running]) -> None:
    function = limited(body_bytes=100_000)
    below, beyond = function.request("/length", b"x" * 100_000), function.request("/length", b"x" * 100_001)
    assert (below.status, below.body) == (200, b"100000")
    assert (beyond.status, beyond.body) == (413, b"a body may have 100000 bytes\n")
    assert chunked(function, 100_000).body == b"100000"
    assert chunked(function, 110_000).status == 413
    assert function.request("/length", b"x").body == b"1"


def test_what_it_says_reaches_the_client_as_it_is(limited: Callable[..., Running]) -> None:
    function = limited()
    raised = function.request("/raise")
    assert (raised.status, raised.body) == (500, b"the function failed\n")
    assert "GET /raise: the function raised" in function.said()
    assert "no such price" in function.said()
    declared = function.request("/declared")
    assert declared.body == b"1234"
    assert ("ETag", "a") in declared.headers
    assert function.request("/webs").status == 204


def test_no_length_that_a_worker_says_breaks_its_answer(limited: Callable[..., Running], site: str) -> None:
    """That of an encoded body, a wrong one, none at all; and what is passed on from an origin that compresses."""
    function = limited(env={"ORIGIN": site})
    for path in ("/wrong", "/odd"):
        assert (function.request(path).status, function.request(path).body) == (200, b"1234"), path
    assert (function.request("/null").status, function.request("/null").body) == (200, b"")
    for path in ("/gzip", "/through"):
        packed = function.request(path, headers={"accept-encoding": "gzip"})
        assert (packed.status, gzip.decompress(packed.body)) == (200, b"hello"), path
    head = function.request("/through", method="HEAD")
    assert (head.status, head.body) == (200, b"")
