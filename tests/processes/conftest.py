"""A run directory under /tmp, a supervisor in it, and nothing of it left when the test is over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lastgood.effects.processes.client import SupervisedProcesses
from lastgood.effects.processes.identity import marker_of, running
from lastgood.effects.processes.run_directory import RunDirectory, open_run_directory
from lastgood.process import ProcessSpec

PATIENCE_S = 15.0
COMMAND = [sys.executable, "-P", "-m", "lastgood.effects.processes.supervisor"]


@dataclass
class Site:
    """One run directory and the supervisors that were started in it."""

    root: Path
    run: RunDirectory
    supervisors: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def supervise(self) -> SupervisedProcesses:
        """Start a supervisor (ours to wait for, unlike a detached one) and wait until it answers."""
        with open(self.run.log_path, "ab") as log:
            self.supervisors.append(subprocess.Popen([*COMMAND, str(self.root)], stdout=log, stderr=log))
        pid = str(self.supervisors[-1].pid)
        self.until(lambda: f"supervisor {pid} at" in self.said())
        return SupervisedProcesses(self.run)

    def kill_supervisor(self) -> None:
        self.supervisors[-1].kill()
        self.supervisors[-1].wait(PATIENCE_S)

    def said(self) -> str:
        """The supervisors' log."""
        return Path(self.run.log_path).read_text()

    def spec(self, key: str, *argv: str, **others: object) -> ProcessSpec:
        log_path = str(self.root / f"{key}.log")
        return ProcessSpec(key, argv or ("sleep", "1000"), log_path=log_path, **{"grace_s": 2.0, **others})  # type: ignore[arg-type]

    def log(self, key: str) -> str:
        path = self.root / f"{key}.log"
        return path.read_text() if path.exists() else ""

    def ours(self, key: str | None = None) -> set[int]:
        """Every live process that carries the marker of this run directory (and key)."""
        prefix = f"{self.run.run_id}/" + (f"{key}/" if key else "")
        return {stat.pid for stat in running() if (marker_of(stat.pid) or "").startswith(prefix)}

    @staticmethod
    def until(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.01)

    def close(self) -> None:
        for supervisor in self.supervisors:
            supervisor.kill()
            supervisor.wait(PATIENCE_S)
        for stat in running():  # those that a test started detached
            if self._is_supervisor_of_ours(stat.pid):
                os.kill(stat.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while (left := self.ours()) and time.monotonic() < deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        shutil.rmtree(self.root)
        if not self.run.socket_path.startswith(str(self.root)):
            shutil.rmtree(os.path.dirname(self.run.socket_path))
        assert not left

    def _is_supervisor_of_ours(self, pid: int) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"lastgood.effects.processes.supervisor" in arguments and str(self.root).encode() in arguments


@pytest.fixture
def site() -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="lg-"))
    site = Site(root, open_run_directory(str(root)))
    yield site
    site.close()
