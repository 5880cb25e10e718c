"""A version of a function with its activator, as the supervisor would start it, for one test."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastgood.effects.functions.asking import ask
from lastgood.effects.functions.python_runtime import python_argv, server_folder
from lastgood.effects.functions.worker_build import build_worker
from lastgood.effects.functions.worker_runtime import worker_argv
from lastgood.effects.instances.ports import free_port


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Running:
    def __init__(self, files: Mapping[str, str], app: str = "main:app", **said: Any) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
        self.port = free_port()
        bundle = said.pop("bundle", self.root / "bundle")
        env = said.pop("env", {})
        for name, text in files.items():
            path = bundle / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        order = {
            "name": "price",
            "version": "v1",
            "argv": said.pop("argv", None) or python_argv(bundle, server_folder(self.root)),
            "settings": {
                "app": app,
                "interface": said.pop("interface", "auto"),
                "folder": str(bundle),
                "name": "price",
                "version": "v1",
                "memory_mb": said.get("memory_mb", 512),
                "timeout_s": said.pop("timeout_s", 10.0),
                "concurrency": said.pop("concurrency", 100),
                "body_bytes": said.pop("body_bytes", 64 * 1024 * 1024),
            },
            "idle_s": 60.0,
            "first": False,
            **said,
        }
        self.log = self.root / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lastgood.effects.functions.activator"],
                env={"PATH": os.defpath, "PORT": str(self.port), "LASTGOOD_ACTIVATOR": json.dumps(order), **env},
                stdout=log,
                stderr=log,
            )
        self.until(lambda: self._listens())

    def _listens(self) -> bool:
        try:
            self.ask()
        except OSError:
            return self.process.poll() is not None
        return True

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        worker = self.worker() if self.process.poll() is None else None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if worker:
                os.kill(worker, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def ask(self, question: str = "status") -> dict[str, Any]:
        return asyncio.run(ask(self.port, question))

    def worker(self) -> int | None:
        pid: int | None = self.ask()["pid"]
        return pid

    def request(
        self, path: str = "/", body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method or ("POST" if body is not None else "GET"), path, body, dict(headers or {}))
            got = connection.getresponse()
            return Answer(got.status, got.getheaders(), got.read())
        finally:
            connection.close()

    def burst(self, count: int, path: str = "/") -> list[int | str]:
        """The status of each, or the error; all are connected at once."""
        opened = [socket.create_connection(("127.0.0.1", self.port), timeout=30) for _ in range(count)]

        def one(connection: socket.socket) -> int | str:
            try:
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
                return int(connection.recv(4096).split(b" ")[1])
            except (OSError, IndexError) as error:
                return type(error).__name__
            finally:
                connection.close()

        with ThreadPoolExecutor(32) as pool:
            return list(pool.map(one, opened))

    def said(self) -> str:
        return self.log.read_text()

    @staticmethod
    def until(condition: Callable[[], Any], within_s: float = 15.0) -> Any:
        give_up_s = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < give_up_s, "it did not come to pass"
            time.sleep(0.02)
        return found


def worker(folder: Path, *names: str, limited: bool = False, **said: Any) -> Running:
    """A Workers project on the real workerd."""
    build_worker(folder, names, limited=limited)
    return Running({}, argv=worker_argv(folder), tidy=False, **said)
