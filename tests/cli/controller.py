"""A real HTTP server on a Unix socket that says what it was told to say, and remembers what it was asked."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
Say = Any | Callable[[dict[str, Any]], Any]


class RecordedController:
    """``says[METHOD PATH]`` is a body (200), a pair (status, body), or a function of the request giving either.

    A body of bytes is sent as it is; ``None`` hangs up. ``events`` are streamed; ``stream_ends`` says whether the
    stream ends after them or stays open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says: dict[str, Say] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.events: list[dict[str, Any]] = []
        self.stream_ends = False
        self.delay_s = 0.0
        self._closing = threading.Event()
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner._answer(self, "GET", {})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                owner._answer(self, "POST", json.loads(raw or b"{}"))

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *args: Any) -> None:
                pass

        self.path.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.path.unlink(missing_ok=True)

    def bodies(self, request: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == request]

    def _answer(self, handler: BaseHTTPRequestHandler, method: str, body: dict[str, Any]) -> None:
        where = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(where.query).items()}
        name = f"{method} {where.path}"
        self.asked.append((name, body or query))
        if self.delay_s:
            self._closing.wait(self.delay_s)
        if name == "GET /v1/events":
            self._stream(handler, int(query["after"]))
            return
        said = self.says.get(name, (404, {"detail": "Not Found"}))
        said = said(body or query) if callable(said) else said
        status, content = said if isinstance(said, tuple) else (200, said)
        if content is None:
            handler.close_connection = True
            return
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def _stream(self, handler: BaseHTTPRequestHandler, after: int) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for event in self.events:
            if event["seq"] > after:
                line = json.dumps(event).encode() + b"\n"
                handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        handler.wfile.flush()
        deadline_s = time.monotonic() + 20
        while not self.stream_ends and not self._closing.is_set() and time.monotonic() < deadline_s:
            self._closing.wait(0.02)
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True
