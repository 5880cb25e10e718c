"""A version starts on its first request and goes when nobody asks; no request is lost by either."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.functions.running import Running

HANDLER = """
import os, time
def app(event, context):
    path = event["rawPath"]
    if path == "/raise": raise ValueError("no such price")
    if path == "/hang": time.sleep(600)
    if path == "/exit": raise SystemExit(9)
    if path == "/die": os._exit(9)
    if path == "/slow": time.sleep(0.7)
    if path == "/shape": return {"statusCode": "soon"}
    if path == "/memory": return {"statusCode": 200, "body": "x" * (400 * 1024 * 1024)}
    return {"statusCode": 200, "body": str(os.getpid())}
"""
ASGI = """
import asyncio, time
async def app(scope, receive, send):
    if scope["type"] != "http": raise RuntimeError("no lifespan")
    if scope["path"] == "/hang": await asyncio.sleep(600)
    if scope["path"] == "/block": time.sleep(600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
COUNTING = """
import asyncio
now = most = 0
async def app(scope, receive, send):
    global now, most
    if scope["type"] != "http": raise RuntimeError("no lifespan")
    if scope["path"] != "/most":
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"%02d" % most})
"""


def test_the_first_request_starts_it_and_a_burst_starts_it_once() -> None:
    with Running({"main.py": HANDLER}) as function:
        assert function.ask()["state"] == "cold"
        assert function.burst(500) == [200] * 500
        assert function.ask()["starts"] == 1


def test_requests_that_arrive_while_it_goes_to_sleep_are_answered() -> None:
    """Clients whose pauses are about as long as its patience, so that they hit the moment of its end."""
    with Running({"main.py": ASGI}, idle_s=0.2) as function:
        got: list[object] = []

        def visit(pause_s: float) -> None:
            for _ in range(12):
                try:
                    got.append(function.request().status)
                except OSError as error:
                    got.append(error)
                time.sleep(pause_s)

        clients = [threading.Thread(target=visit, args=(0.30 + n * 0.013,)) for n in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert got == [200] * len(got)
        assert len(got) == 36
        assert function.ask()["starts"] > 1, "it slept in between"


def test_it_sleeps_when_nobody_asks_and_keeps_no_process() -> None:
    with Running({"main.py": HANDLER}, idle_s=0.3) as function:
        pid = int(function.request().body)
        function.until(lambda: function.ask()["state"] == "cold")
        assert not os.path.exists(f"/proc/{pid}")
        assert int(function.request().body) != pid


def test_a_slow_answer_keeps_it_awake() -> None:
    with Running({"main.py": HANDLER}, idle_s=0.2) as function:
        assert function.request("/slow").status == 200
        assert function.ask()["starts"] == 1


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"main.py": "def app(:\n"}, "SyntaxError"),
        ({"main.py": "import absent_module\n"}, "No module named 'absent_module'"),
        ({"main.py": "x = 1\n"}, "main has no app"),
        ({"main.py": "app = 3\n"}, "cannot be called"),
        ({"main.py": "import sys; sys.exit(0)\n"}, "importing main:app failed"),
        ({}, "No module named 'main'"),
    ],
)
def test_a_bundle_that_does_not_start_refuses_at_once_and_says_why(files: dict[str, str], why: str) -> None:
    with Running(files or {"other.py": ""}) as function:
        assert set(function.burst(20)) == {503}
        assert function.ask()["state"] == "failed"
        assert why in function.said()
        assert function.ask()["starts"] < 5, "it is not started again for every request"


def test_one_that_is_to_prove_itself_ends_where_it_cannot_start() -> None:
    with Running({"main.py": "import absent_module\n"}, first=True) as function:
        assert function.process.wait(10) == 3


def test_a_start_that_takes_too_long_is_ended() -> None:
    with Running({"main.py": "import time; time.sleep(600)\n"}, start_s=0.5) as function:
        assert function.burst(3) == [503] * 3
        assert "not ready within 0.5 s" in function.ask()["error"]


def test_an_error_is_an_answer_and_the_log_has_its_place() -> None:
    with Running({"main.py": HANDLER}) as function:
        assert function.request("/raise").status == 500
        assert "no such price" in function.said()
        assert "main.py" in function.said()
        assert function.request("/exit").status == 500
        assert function.request("/shape").status == 500
        assert "statusCode is 'soon'" in function.said()
        assert function.ask()["starts"] == 1, "and it goes on"


def test_a_thread_that_hangs_is_answered_for_and_replaced() -> None:
    with Running({"main.py": HANDLER}, timeout_s=0.5) as function:
        pid = int(function.request().body)
        assert function.request("/hang").status == 504
        assert int(function.request().body) != pid


def test_a_coroutine_that_hangs_is_cancelled_and_nothing_else() -> None:
    with Running({"main.py": ASGI}, timeout_s=0.3) as function:
        assert function.request("/hang").status == 504
        assert function.request().status == 200
        assert function.ask()["starts"] == 1


def test_a_loop_that_is_blocked_is_ended() -> None:
    with Running({"main.py": ASGI}, timeout_s=0.5) as function:
        with pytest.raises(OSError):
            function.request("/block")
        assert "time.sleep" in function.said() or "main.py" in function.said()
        assert function.request().status == 200
        assert function.ask()["starts"] == 2


def test_one_that_dies_or_is_killed_comes_back_with_the_next_request() -> None:
    with Running({"main.py": HANDLER}) as function:
        with pytest.raises(OSError):
            function.request("/die")
        pid = int(function.request().body)
        os.kill(pid, signal.SIGKILL)
        function.until(lambda: function.worker() != pid)
        assert int(function.request().body) != pid


def test_memory_is_bounded_and_the_process_survives_it() -> None:
    with Running({"main.py": HANDLER}, memory_mb=200) as function:
        assert function.request("/memory").status == 500
        assert "MemoryError" in function.said()
        assert function.request().status == 200
        assert function.ask()["starts"] == 1


def test_only_so_many_at_once_and_the_others_wait_their_turn() -> None:
    with Running({"main.py": COUNTING}, timeout_s=20, concurrency=2) as function:
        assert function.burst(12) == [200] * 12
        assert function.request("/most").body == b"02"


def test_who_gets_no_turn_in_time_is_told() -> None:
    with Running({"main.py": ASGI}, timeout_s=0.6, concurrency=1) as function:
        found = function.burst(6, "/hang")
        assert set(found) <= {503, 504}
        assert 504 in found, "who had the turn took too long"
        assert found.count(503) >= 4, "it is free again when the others have waited for as long as they may"


def test_a_body_beyond_the_limit_is_refused_and_one_below_is_read() -> None:
    with Running({"main.py": HANDLER}, body_bytes=1000) as function:
        assert function.request("/", b"x" * 1001).status == 413
        assert function.request("/", b"x" * 1000).status == 200


def test_leaving_answers_what_was_accepted() -> None:
    with Running({"main.py": HANDLER}) as function:
        function.request()
        got: list[int] = []
        client = threading.Thread(target=lambda: got.append(function.request("/slow").status))
        client.start()
        time.sleep(0.3)
        function.process.terminate()
        client.join()
        assert got == [200]
        assert function.process.wait(10) == 0
