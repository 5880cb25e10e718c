from __future__ import annotations

import io
import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lastgood.bootstrap import api_socket
from lastgood.interfaces.cli.app import run
from lastgood.interfaces.cli.session import Surroundings
from lastgood.settings import Places, prepare
from tests.cli.controller import RecordedController

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # begun in the background: commands would inherit it


@dataclass
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """A project in a folder of its own; commands are run as its user would."""

    places: Places
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.places.root

    def run(self, *arguments: str, given: str = "", person: bool = False, folder: Path | None = None) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        around = Surroundings(io.StringIO(given), out, err, self.environment, folder or self.root, person)
        return Ran(run(arguments, around), out.getvalue(), err.getvalue())


@pytest.fixture
def project() -> Iterator[Project]:
    """Never started; its path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="lg-", dir="/tmp"))
    (folder / "lastgood.yaml").write_text("project: shop\n")
    yield Project(Places(folder, folder / ".lastgood"))
    shutil.rmtree(folder)


@pytest.fixture
def controller(project: Project) -> Iterator[RecordedController]:
    """Answers on the project's socket."""
    prepare(project.places)
    made = RecordedController(api_socket(project.places))
    made.start()
    yield made
    made.stop()
