"""A site that is asked by hooks: it answers what it is told to, late or never, and remembers what was asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Site:
    """``statuses`` by path (404 otherwise); a path in ``silent`` is answered by nobody until the site ends."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.silent: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._ending = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                site.asked.append((self.path, told))
                if self.path in site.silent:
                    site._ending.wait(60)
                with contextlib.suppress(OSError):  # who asked may be gone
                    self.send_response(site.statuses.get(self.path, 404))
                    self.end_headers()
                    self.wfile.write(b"so it is")

            def log_message(self, *parts: object) -> None:
                """Quietly."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        """Where a path is."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        """End it."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def a_site() -> Iterator[Site]:
    """One for a test."""
    made = Site()
    try:
        yield made
    finally:
        made.close()
