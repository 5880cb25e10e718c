"""Hooks: a command in the version's folder or a URL, of the release that the step names; bounded, told, redacted."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lastgood.config.configuration import Configuration, make_entry
from lastgood.config.model import Service
from lastgood.effects.hooks import HookDriver
from lastgood.effects.instances.launch import Launch
from lastgood.errors import Failed, Unavailable
from lastgood.release.step import Step

pytestmark = pytest.mark.timeout(60)


def driver(folder: Path, **hooks: Any) -> HookDriver:
    raw = {"source": "x", "command": ["x"], "hooks": hooks}
    entry = make_entry("service:catalog", Service.model_validate(raw))
    launch = Launch(("x",), folder, folder, env={"PATH": "/usr/bin:/bin"}, secret_env={"TOKEN": "hunter2"})
    return HookDriver(
        lambda number: Configuration("shop", {entry.key: entry}),
        lambda name, release: replace(launch, env={**launch.env, "OF": f"{name} r{release}"}),
        folder / "logs",
        lambda text: text.replace("hunter2", "[redacted]"),
    )


def step(hook: str, verb: str = "run", **args: Any) -> Step:
    return Step("x", "hook:catalog", verb, {"hook": hook, "release": 3, "timeout_s": 5.0, **args})


async def test_a_command_runs_in_the_folder_of_its_own_release(tmp_path: Path) -> None:
    script = 'pwd; echo "$OF $LASTGOOD_HOOK $LASTGOOD_RELEASE"; echo "$TOKEN"'
    answer = await driver(tmp_path, after={"command": ["sh", "-c", script]}).perform(step("after"), "d1.1/after")
    assert answer["answer"].split("\n") == [str(tmp_path), "catalog r3 after r3", "[redacted]"]


async def test_a_no_is_a_failure_with_its_words(tmp_path: Path) -> None:
    made = driver(tmp_path, before={"command": ["sh", "-c", "echo the queue is full of hunter2; exit 7"]})
    with pytest.raises(Failed) as caught:
        await made.perform(step("before"), "d1.1/before")
    assert "the hook before of catalog says no: exit code 7 the queue is full of [redacted]" in caught.value.what
    with pytest.raises(Unavailable, match="has no hook after"):
        await made.perform(step("after"), "d1.1/after")
    with pytest.raises(Unavailable, match="cannot start"):
        await driver(tmp_path, before={"command": ["/no/such"]}).perform(step("before"), "k")


async def test_one_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    hook = {"command": ["sh", "-c", f"(sleep 1; touch {tmp_path}/late) & sleep 30"], "timeout": "200ms"}
    began_s = time.monotonic()
    with pytest.raises(Failed, match=r"no answer within 0\.2 s"):
        await driver(tmp_path, before=hook).perform(step("before"), "k")
    assert time.monotonic() - began_s < 10
    await asyncio.sleep(1.1)
    assert not (tmp_path / "late").exists()


async def test_who_left_its_group_is_ended_too_and_holds_nobody_up(tmp_path: Path) -> None:
    """Also what a controller that was killed left running: the hook is asked again, and never twice at once."""
    script = f"setsid sh -c 'sleep 1; touch {tmp_path}/late; sleep 30' & echo done"
    made = driver(tmp_path, before={"command": ["sh", "-c", script]})
    assert (await made.perform(step("before"), "k"))["answer"] == "done"
    left = await asyncio.create_subprocess_exec(
        "sleep", "60", env={"LASTGOOD_MARKER": f"hook:{tmp_path / 'logs'}:catalog:before"}
    )
    await made.perform(step("before"), "k")
    assert await asyncio.wait_for(left.wait(), 5) == -9
    await asyncio.sleep(1.1)
    assert not (tmp_path / "late").exists()


async def test_its_log_has_no_secret_and_an_end(tmp_path: Path) -> None:
    """Neither whole nor cut in two by a pause; of one that prints without end the beginning and the end are kept."""
    lines = "i=0; while [ $i -lt 40000 ]; do echo 'it goes on and on and on and on'; i=$((i+1)); done"
    script = f"printf hun; sleep 0.2; echo ter2; {lines}"
    made = driver(tmp_path, before={"command": ["sh", "-c", f"{script}; printf last"]})
    answer = await made.perform(step("before"), "k")
    assert answer["answer"].endswith("on\nlast")
    log = (tmp_path / "logs/catalog.log").read_text()
    assert log.splitlines()[:2] == [f"$ sh -c {script}; printf last (k)", "[redacted]"]
    assert "the rest is left out" in log
    assert len(log) < 1_100_000


async def test_urls_that_hang_take_no_thread_from_anybody(tmp_path: Path) -> None:
    """The loop's own threads are few; a rollback needs them while thirty hooks wait for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        made = driver(tmp_path, on_rollback={"url": url, "timeout": "20s"})
        asking = [asyncio.create_task(made.perform(step("on_rollback", "watch", every_s=1), "k")) for _ in range(40)]
        await asyncio.sleep(0.5)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        hangs = driver(tmp_path, before={"url": url, "timeout": "100ms"})
        with pytest.raises(Failed, match="no answer"):
            await hangs.perform(step("before"), "k")


@pytest.fixture
def site() -> Iterator[Any]:
    class Site(http.server.BaseHTTPRequestHandler):
        status, seen = 200, list[bytes]()

        def do_POST(self) -> None:
            Site.seen.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(Site.status)
            if Site.status == 302:
                self.send_header("location", "/login")
            self.end_headers()
            self.wfile.write(b"words")

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *parts: object) -> None:
            """Quietly."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Site.url = f"http://127.0.0.1:{server.server_port}/"  # type: ignore[attr-defined]
    yield Site
    server.shutdown()
    server.server_close()


async def test_a_url_is_asked_and_2xx_is_a_yes(tmp_path: Path, site: Any) -> None:
    made = driver(tmp_path, confirm_promotion={"url": site.url})
    assert (await made.perform(step("confirm_promotion"), "k"))["answer"] == "200 words"
    assert b'"service": "catalog"' in site.seen[0]
    site.status = 409
    with pytest.raises(Failed, match="says no: 409 words"):
        await made.perform(step("confirm_promotion"), "k")
    site.status = 302
    with pytest.raises(Failed, match="says no: 302"):
        await made.perform(step("confirm_promotion"), "k")
    gone = driver(tmp_path, confirm_promotion={"url": "http://127.0.0.1:1/"})
    with pytest.raises(Failed, match="no answer"):
        await gone.perform(step("confirm_promotion"), "k")


async def test_who_is_asked_whether_to_go_back_is_asked_until_a_yes(tmp_path: Path, site: Any) -> None:
    site.status = 404
    made = driver(tmp_path, on_rollback={"url": site.url})
    asking = asyncio.create_task(made.perform(step("on_rollback", "watch", every_s=0.05), "k"))
    await asyncio.sleep(0.4)
    assert not asking.done()
    assert len(site.seen) > 1
    site.status = 200
    with pytest.raises(Failed, match="says that it has to go back"):
        await asyncio.wait_for(asking, 5)
