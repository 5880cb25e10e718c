"""A real browser without a window, asked over its own protocol: what it shows, complains about and fetches."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.processes import eventually

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)
HOW = "no browser: apt-get install chromium (or name one like it in LASTGOOD_BROWSER)"


def program() -> str:
    """Where one is. A test without it fails: skipped, it would show nothing."""
    named = os.environ.get("LASTGOOD_BROWSER")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, HOW
    return found


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._asked = 0
        self.complaints: list[str] = []
        """What its console says: errors, refused contents, exceptions."""
        self.fetched: list[str] = []
        """Every address it asked for, the page's own first."""
        self._loaded = False
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What it answers; what it tells meanwhile is heard."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            heard = self._hear()
            if heard.get("id") == self._asked:
                assert "error" not in heard, heard
                answer: dict[str, Any] = heard["result"]
                return answer

    def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self._connection.recv(timeout=30))
        params = heard.get("params", {})
        match heard.get("method"):
            case "Network.requestWillBeSent":
                self.fetched.append(params["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(params))
            case "Page.loadEventFired":
                self._loaded = True
        return heard

    def open(self, file: Path, *, width: int, dark: bool = False) -> None:
        """A file in a window of so many pixels; what the one before said and fetched is forgotten."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.complaints, self.fetched, self._loaded = [], [], False
        self.call("Page.navigate", url=file.as_uri())
        while not self._loaded:
            self._hear()

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, file: Path) -> None:
        """The whole page as a PNG file."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser whose profile is in an empty folder; it ends with its last test."""
    said = folder / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [program(), *OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"], stdout=output, stderr=output
        )
    try:
        port_file = folder / "profile" / "DevToolsActivePort"

        def written() -> list[str]:
            assert process.poll() is None, said.read_text(errors="replace")[-2000:]
            return port_file.read_text().split() if port_file.exists() else []

        port = eventually(written, lambda lines: len(lines) == 2, within_s=40)[0]
        with connect(f"ws://127.0.0.1:{port}{_tab(port)}", max_size=2**26) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tab(port: str) -> str:
    tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return "/" + address.split("/", 3)[3]
