"""Who tells the story: types commands as a person does, checks each promise, and shows all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Story:
    """One telling; ``broken`` lists every promise that did not hold."""

    root: Path
    broken: list[str] = field(default_factory=list)
    rollbacks: list[tuple[str, str]] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def say(self, text: str = "") -> None:
        """A line of the narrator."""
        print(text, flush=True)

    def chapter(self, title: str) -> None:
        """A heading, with the time."""
        self.say(f"\n[{time.monotonic() - self.began_s:5.1f} s] {title}")

    def holds(self, what: str, truth: bool) -> None:
        """A promise, checked."""
        self.say(f"      {'ok  ' if truth else 'NOT '} {what}")
        if not truth:
            self.broken.append(what)

    def lastgood(self, *arguments: str, expect: int = 0, feed: str | None = None) -> str:
        """Type a command; what it prints is shown."""
        self.say(f"    $ lastgood {' '.join(arguments)}")
        command = [sys.executable, "-m", "lastgood", *arguments]
        environment = {**os.environ, "NO_COLOR": "1"}
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, input=feed or "", env=environment)
        for line in (done.stdout + done.stderr).splitlines():
            self.say(f"      {line}")
        if done.returncode != expect:
            self.holds(f"lastgood {arguments[0]} ends with exit code {expect} (it was {done.returncode})", False)
        return done.stdout

    def ask(self, *arguments: str) -> dict[str, object]:
        """The same, for the narrator: as JSON, not shown."""
        command = [sys.executable, "-m", "lastgood", *arguments, "--json"]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        answer: dict[str, object] = json.loads(done.stdout or "{}")
        return answer

    def until(self, reached: Callable[[], bool], within_s: float) -> bool:
        """Wait for something; False where it did not come."""
        deadline_s = time.monotonic() + within_s
        while not reached():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.2)
        return True


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
