"""Receives Alertmanager's webhook and hands it to Lastgood, signed. Run it as the user that runs the controller:

    RELAY_TOKEN=... python relay.py PROJECT [PORT]

Only who sends ``authorization: Bearer RELAY_TOKEN`` is heard. The answer is the controller's, so that Alertmanager
tries again where nothing was taken.
"""

from __future__ import annotations

import hmac
import http.client
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lastgood import bootstrap
from lastgood.effects.secrets import SecretStore
from lastgood.interfaces.http.alerts import KEY, LARGEST_BYTES, sign
from lastgood.settings import Places, find_places

PATIENCE_S = 10.0


class _Controller(http.client.HTTPConnection):
    """Over the controller's Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("lastgood", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self._path))


def relay(places: Places, token: str, port: int = 0) -> ThreadingHTTPServer:
    """A server on the loopback; ``serve_forever`` runs it."""
    secrets = SecretStore(places.secrets)

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S

        def do_POST(self) -> None:
            if not hmac.compare_digest(self.headers.get("authorization", ""), f"Bearer {token}"):
                return self._answer(401, b"who are you?")
            length = self.headers.get("content-length", "")
            if not length.isdigit() or int(length) > LARGEST_BYTES:
                return self._answer(413, b"an alert is at most 256 KiB long")
            body = self.rfile.read(int(length))
            try:
                return self._answer(*_handed_on(bootstrap.api_socket(places), secrets.resolve(KEY), body))
            except OSError:
                return self._answer(503, b"the controller does not answer")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            print(f"relay: {format % arguments}", file=sys.stderr)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _handed_on(path: Path, key: str, body: bytes) -> tuple[int, bytes]:
    connection = _Controller(path)
    try:
        headers = {"content-type": "application/json", "x-lastgood-signature": sign(key, body, int(time.time()))}
        connection.request("POST", "/v1/alerts", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


if __name__ == "__main__":
    found = find_places(Path(sys.argv[1]), None, os.environ)
    relay(found, os.environ["RELAY_TOKEN"], int(sys.argv[2]) if len(sys.argv) > 2 else 9095).serve_forever()
