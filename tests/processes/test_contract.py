"""The contract of ``ports.Processes``, held by the fake and by the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lastgood.effects.processes.client import SupervisedProcesses
from lastgood.errors import LastgoodError, Refused
from lastgood.process import ProcessSpec, ProcessState
from lastgood.testing.contracts.processes import CLAUSES, ProcessWorld
from lastgood.testing.fake_processes import FakeProcesses
from tests.processes.conftest import Site

Clause = Callable[[ProcessWorld], Awaitable[None]]
pytestmark = pytest.mark.timeout(60)


class Forgetful(SupervisedProcesses):
    """A client whose next start gets no answer in time, though the supervisor acts."""

    deaf = False

    async def start(self, spec: ProcessSpec) -> ProcessState:
        if not self.deaf:
            return await super().start(spec)
        self.deaf = False
        hasty = Deaf(self.run, timeout_s=0.3)
        return await hasty.start(spec)


class Deaf(SupervisedProcesses):
    """Sends its changes and never reads the answers."""

    async def _exchange(self, line: bytes) -> bytes:
        answer = await super()._exchange(line)
        if b'"start"' in line:
            await asyncio.sleep(10)
        return answer


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_the_fake_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    fake = FakeProcesses()

    def lose_answer() -> None:
        fake.unanswered = 1

    await clause(ProcessWorld(fake, tmp_path, fake.crash, lose_answer))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
async def test_the_supervisor_keeps_the_contract(clause: Clause, site: Site) -> None:
    site.supervise()
    client = Forgetful(site.run)

    def crash(key: str) -> None:
        for pid in site.ours(key):
            os.kill(pid, signal.SIGKILL)

    def lose_answer() -> None:
        client.deaf = True

    await clause(ProcessWorld(client, site.root, crash, lose_answer))


async def test_the_fake_can_refuse_and_lie(tmp_path: Path) -> None:
    fake = FakeProcesses()
    fake.refusals = [Refused("not now")]
    spec = ProcessSpec("a", ("sleep", "1"), log_path=str(tmp_path / "a.log"), secret_env={"TOKEN": "abcdef"})
    with pytest.raises(LastgoodError, match="not now"):
        await fake.start(spec)
    await fake.start(spec)
    assert fake.runs("a")
    assert fake.environment("a") == {"TOKEN": "abcdef"}
    fake.liars.add("a")
    assert [state.phase for state in await fake.list()] == ["running"]
    assert not fake.runs("a")
    assert fake.starts == ["a"]
