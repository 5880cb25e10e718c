"""Ask the supervisor; see that there is one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from lastgood.effects.processes.records import BadSpec, check_key, spec_from_json, spec_to_json
from lastgood.effects.processes.run_directory import RunDirectory, open_run_directory
from lastgood.errors import Failed, Fenced, LastgoodError, Refused, Unavailable, UsageError
from lastgood.ports import KeeperAway
from lastgood.process import ProcessSpec, ProcessState

_ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
_STOP_MARGIN_S = 10.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "PYTHONPATH", "LD_LIBRARY_PATH")


class SupervisedProcesses:
    """The ``Processes`` port over the supervisor's socket; one connection for each request.

    ``epoch`` (0: none) goes with every change; the supervisor refuses one that a newer controller has replaced.
    """

    def __init__(self, run: RunDirectory, *, epoch: int = 0, timeout_s: float = 10.0) -> None:
        self.run = run
        self.epoch = epoch
        self._timeout_s = timeout_s

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """See ``ports.Processes``. Waits for the old one when it replaces: its grace and some seconds."""
        raw = spec_to_json(spec, with_secrets=True)
        try:
            spec_from_json(raw)
        except BadSpec as error:
            raise UsageError(str(error), where=spec.key) from None
        timeout_s = await self._longest_stop_s(spec.key)
        answer = await self._ask({"op": "start", "spec": raw, "epoch": self.epoch}, timeout_s, spec.key)
        return ProcessState(**answer["state"])

    async def stop(self, key: str, grace_s: float | None = None) -> bool:
        """See ``ports.Processes``."""
        try:
            check_key(key)
        except BadSpec as error:
            raise UsageError(str(error), where=key[:200]) from None
        timeout_s = await self._longest_stop_s(key) if grace_s is None else grace_s + _STOP_MARGIN_S
        answer = await self._ask({"op": "stop", "key": key, "grace_s": grace_s, "epoch": self.epoch}, timeout_s, key)
        return bool(answer["stopped"])

    async def restart(self, key: str, pid: int) -> bool:
        """See ``ports.Processes``. A supervisor of a build before this one does not know how: ``Unavailable``."""
        try:
            check_key(key)
        except BadSpec as error:
            raise UsageError(str(error), where=key[:200]) from None
        request = {"op": "restart", "key": key, "pid": pid, "epoch": self.epoch}
        return bool((await self._ask(request, self._timeout_s, key))["restarted"])

    async def list(self) -> tuple[ProcessState, ...]:
        """See ``ports.Processes``."""
        return await self._list({})

    async def ping(self, timeout_s: float = 2.0) -> int:
        """The supervisor's pid. Raises ``Unavailable``."""
        return int((await self._ask({"op": "ping"}, timeout_s))["pid"])

    async def shutdown(self, *, keep: bool) -> None:
        """End the supervisor; with ``keep`` every process goes on, without it all are stopped first."""
        timeout_s = self._timeout_s if keep else await self._longest_stop_s(None)
        await self._ask({"op": "shutdown", "keep": keep, "epoch": self.epoch}, timeout_s)

    async def _longest_stop_s(self, key: str | None) -> float:
        states = await self._list({} if key is None else {"key": key})
        graces_s = [state.grace_s for state in states if key is None or state.key == key]
        return self._timeout_s + (max(graces_s) + _STOP_MARGIN_S if graces_s else 0.0)

    async def _list(self, which: Mapping[str, str]) -> tuple[ProcessState, ...]:
        answer = await self._ask({"op": "list", **which}, self._timeout_s)
        return tuple(ProcessState(**state) for state in answer["processes"])

    async def _ask(self, request: dict[str, Any], timeout_s: float, where: str | None = None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._exchange(json.dumps(request).encode() + b"\n")
        except TimeoutError:
            what = f"the supervisor did not answer within {timeout_s:g} s"
            raise Unavailable(what, where=where, next="lastgood doctor") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it hung up"
            what = f"the supervisor cannot be asked: {why}"
            raise KeeperAway(what, where=self.run.socket_path, next="lastgood up (what runs goes on)") from None
        return _checked(line, where)

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.run.socket_path, limit=_ANSWER_LIMIT_BYTES)
        try:
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
        finally:
            writer.close()
        if not answer.endswith(b"\n"):
            raise ConnectionResetError
        return answer


def _checked(line: bytes, where: str | None) -> dict[str, Any]:
    answer = json.loads(line)
    if answer["ok"]:
        return dict(answer)
    message, code = str(answer["message"]), answer["error"]
    error: LastgoodError
    if code == "cannot-start":
        error = Failed(message, where=where, next="mend the command or the file's permissions and start it again")
    elif code == "fenced":
        error = Fenced(message, where=where, next="this controller has to end; the newer one goes on")
    elif code == "unkillable":
        error = Failed(message, where=where, next="look at what it waits for (a disk, a network mount), or reboot")
    elif code in ("superseded", "leaving"):
        error = Refused(message, where=where, next="look at its state and ask again if it is still wanted")
    else:
        error = Unavailable(
            f"the supervisor refused the request: {message}", where=where, next="restart the supervisor: lastgood up"
        )
    raise error


async def ensure_supervisor(root: str, *, epoch: int = 0, timeout_s: float = 10.0) -> SupervisedProcesses:
    """A client of the supervisor of this directory, which is started, detached from us, when it is not there.

    Call it now and then: a supervisor that was killed comes back and adopts what runs. Raises ``Unavailable``.
    """
    try:
        run = open_run_directory(root)
    except OSError as error:
        what = str(error) if error.strerror is None else f"cannot be used: {error.strerror}"
        raise Unavailable(what, where=root, next="make it a directory of yours with mode 700") from None
    client = SupervisedProcesses(run, epoch=epoch)
    if await _answers(client):
        return client
    try:
        async with asyncio.timeout(timeout_s):
            # More than once: the one we started gives up when the lock is still held by one that is just ending.
            while True:
                await asyncio.to_thread(_start_detached, run)
                for _ in range(50):
                    if await _answers(client):
                        return client
                    await asyncio.sleep(0.02)
    except TimeoutError:
        what = f"the supervisor does not answer {timeout_s:g} s after its start"
        raise Unavailable(what, where=run.root, next=f"read {run.log_path}") from None


async def _answers(client: SupervisedProcesses) -> bool:
    try:
        await client.ping()
    except Unavailable:
        return False
    return True


def _start_detached(run: RunDirectory) -> None:
    # Neither our marker (stopping us would stop it too) nor any secret of ours goes on.
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    command = [sys.executable, "-P", "-m", "lastgood.effects.processes.supervisor", "--detach", run.root]
    with open(run.log_path, "ab", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, 0o600)) as log:
        # Its exit code says little: whether it answers is what decides.
        try:
            subprocess.run(
                command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=10
            )
        except subprocess.TimeoutExpired:
            pass  # a machine that is stuck; the caller has a deadline of its own
