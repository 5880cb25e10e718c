"""Notifications: the right things, with their evidence, and never in anybody's way."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lastgood.effects.notifiers import Notifiers
from lastgood.effects.webhook import Webhook
from lastgood.errors import Unavailable
from lastgood.interfaces.http.events import Feed, as_json
from lastgood.interfaces.telling import tell, text_of
from lastgood.release import events as ev
from lastgood.stamp import Stamp

AT = Stamp(1.0, "boot", 1.0)


def event(body: ev.Body, seq: int = 1) -> ev.Event:
    return ev.Event(seq, 1, 3, AT, body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (ev.Judged(2, "bad", "measured", "19 of 95 failed"), "r2 is bad (measured): 19 of 95 failed"),
        (ev.Judged(2, "good", "measured", "none failed"), "r2 is known good: none failed"),
        (ev.Judged(2, "undecided", "measured", "too few"), "r2 is undecided (measured): too few"),
        (ev.Judged(2, "good", "timed", "no veto"), ""),
        (ev.Halted("neither is healthy", ("lastgood retry",)), "d3 halted: neither is healthy; next: lastgood retry"),
        (ev.Ended(1, "went back", "r2 is bad"), "d3 went back, r1 serves: r2 is bad"),
        (ev.Ended(2, "done"), ""),
        (ev.Noted("a branch was rewritten", "warning"), "a branch was rewritten"),
        (ev.Noted("hello"), ""),
    ],
)
def test_what_is_told(body: ev.Body, text: str) -> None:
    assert text_of(as_json(event(body))) == text


async def test_a_receiver_that_fails_is_complained_about_once_and_told_the_next() -> None:
    feed, told, said = Feed(), list[str](), list[str]()

    async def send(message: Mapping[str, Any]) -> None:
        told.append(message["text"])
        if len(told) < 3:
            raise Unavailable("nobody took it")

    task = asyncio.create_task(tell(feed, send, said.append))
    for seq in range(1, 5):
        feed.publish(event(ev.Noted(f"note {seq}", "warning"), seq))
    async with asyncio.timeout(5):
        while len(told) < 4:
            await asyncio.sleep(0.005)
    task.cancel()
    assert told == [f"lastgood: note {seq}" for seq in range(1, 5)]
    assert said == ["nobody took it"]


async def test_a_receiver_that_hangs_holds_up_nobody_and_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        with pytest.raises(Unavailable) as caught:
            await Webhook(lambda: address, timeout_s=0.2).send({"text": "x"})
    assert address not in str(caught.value)


class Hook(BaseHTTPRequestHandler):
    seen: list[Any] = []

    def do_POST(self) -> None:
        self.seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        status = 302 if self.path == "/moved" else 204
        self.send_response(status)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    Hook.seen.clear()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


async def test_it_is_posted_and_redirects_are_refused(hook: str) -> None:
    await Webhook(lambda: f"{hook}/take").send({"text": "r2 is bad"})
    assert Hook.seen == [{"text": "r2 is bad"}]
    with pytest.raises(Unavailable):
        await Webhook(lambda: f"{hook}/moved").send({"text": "r2 is bad"})
    assert len(Hook.seen) == 2
    with pytest.raises(Unavailable, match="no URL"):
        await Webhook(lambda: "file:///etc/passwd").send({"text": "x"})


# --- every way of telling keeps this ---------------------------------------------------------------------------------

WAYS = pytest.mark.parametrize("way", ["http", "json"])
"""The webhook, and an address of Apprise that posts JSON as well."""


def to(*addresses: str) -> Notifiers:
    return Notifiers(lambda: "\n".join(addresses), timeout_s=0.5, apprise_timeout_s=8.0)


@WAYS
async def test_it_is_told(hook: str, way: str) -> None:
    await to(f"{way}://{hook.partition('://')[2]}/take").send({"text": "r2 is bad: 5 of 9 failed"})
    told = Hook.seen[0]
    assert "r2 is bad: 5 of 9 failed" in (told["text"] if way == "http" else told["message"])


@WAYS
async def test_one_that_hangs_holds_up_nobody_and_is_ended(way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{way}://127.0.0.1:{silent.getsockname()[1]}/s3cret-path"
        with pytest.raises(Unavailable) as caught:
            await Notifiers(lambda: address, timeout_s=0.3, apprise_timeout_s=1.0).send({"text": "x"})
    assert "s3cret" not in str(caught.value)


@WAYS
async def test_one_that_nobody_takes_is_complained_about_without_its_address(way: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await to(f"{way}://127.0.0.1:1/s3cret-path").send({"text": "x"})
    assert "s3cret" not in str(caught.value)
    assert "notification" in caught.value.what


async def test_all_are_told_and_who_could_not_be_is_counted(hook: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await to(f"{hook}/take", "json://127.0.0.1:1/", "nonsense://s3cret").send({"text": "x"})
    assert Hook.seen == [{"text": "x"}]
    assert "and 1 more" in caught.value.what
    assert "s3cret" not in caught.value.what


async def test_an_address_that_apprise_does_not_know_says_so_by_its_kind() -> None:
    with pytest.raises(Unavailable, match="nonsense:// is no address that Apprise knows"):
        await to("nonsense://s3cret").send({"text": "x"})
