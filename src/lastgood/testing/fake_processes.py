"""Processes that are only said to run: the ``Processes`` port in memory, with levers for what goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from lastgood.effects.processes.records import BadSpec, check_key, same, spec_from_json, spec_to_json
from lastgood.errors import Failed, LastgoodError, Unavailable, UsageError
from lastgood.process import ProcessSpec, ProcessState

FIRST_PID = 1_000_000


@dataclass
class _Running:
    spec: ProcessSpec
    state: ProcessState


class FakeProcesses:
    """Knows three programs: a path with ``does-not-exist`` cannot be executed, ``false`` ends at once with 1, any other
    runs until it is stopped or ``crash`` is called.

    ``refusals`` are raised by the next calls, one each; ``unanswered`` of the next changes take effect, and then time
    out; ``liars`` are keys that are said to run and do not (``runs`` knows the truth).
    """

    def __init__(self) -> None:
        self.refusals: list[LastgoodError] = []
        self.unanswered = 0
        self.liars: set[str] = set()
        self.starts: list[str] = []
        self._kept: dict[str, _Running] = {}
        self._next_pid = FIRST_PID

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """See ``ports.Processes``."""
        await self._turn()
        try:
            spec_from_json(spec_to_json(spec, with_secrets=True))
        except BadSpec as error:
            raise UsageError(str(error), where=spec.key) from None
        kept = self._kept.get(spec.key)
        if kept is None or not same(kept.spec, spec):
            if "does-not-exist" in spec.argv[0]:
                raise Failed(f"cannot start {spec.argv[0]}: No such file or directory", where=spec.key)
            self._kept[spec.key] = _Running(spec, self._launched(spec))
        self._answer()
        return self._kept[spec.key].state

    async def stop(self, key: str, grace_s: float | None = None) -> bool:
        """See ``ports.Processes``."""
        await self._turn()
        try:
            check_key(key)
        except BadSpec as error:
            raise UsageError(str(error), where=key[:200]) from None
        gone = self._kept.pop(key, None)
        self._answer()
        return gone is not None

    async def restart(self, key: str, pid: int) -> bool:
        """See ``ports.Processes``. It is back at once."""
        await self._turn()
        try:
            check_key(key)
        except BadSpec as error:
            raise UsageError(str(error), where=key[:200]) from None
        kept = self._kept.get(key)
        meant = kept is not None and kept.state.pid == pid and kept.spec.restart == "always"
        if kept is not None and meant:
            hangs = kept.state.hangs + 1
            self.crash(key, -15)
            kept.state = replace(kept.state, hangs=hangs)
        self._answer()
        return meant

    async def list(self) -> tuple[ProcessState, ...]:
        """See ``ports.Processes``."""
        await self._turn()
        for kept in self._kept.values():
            self._let_end(kept)
        return tuple(kept.state for _, kept in sorted(self._kept.items()))

    def crash(self, key: str, code: int = -9) -> None:
        """The process ends by itself; it is restarted when its spec says so."""
        kept = self._kept[key]
        if kept.spec.restart == "never":
            kept.state = replace(kept.state, phase="exited", pid=None, started_s=None, last_exit=code)
        else:
            restarts = kept.state.restarts + 1
            kept.state = replace(self._launched(kept.spec), restarts=restarts, last_exit=code, hangs=kept.state.hangs)

    def runs(self, key: str) -> bool:
        """The truth."""
        return key in self._kept and self._kept[key].state.phase == "running" and key not in self.liars

    def environment(self, key: str) -> dict[str, str]:
        """What the process was given, secrets included."""
        spec = self._kept[key].spec
        return {**spec.env, **spec.secret_env}

    def _launched(self, spec: ProcessSpec) -> ProcessState:
        self.starts.append(spec.key)
        self._next_pid += 1
        return ProcessState(
            spec.key,
            spec.group,
            "running",
            pid=self._next_pid,
            started_s=float(self._next_pid - FIRST_PID),
            log_path=spec.log_path,
            grace_s=spec.grace_s,
        )

    def _let_end(self, kept: _Running) -> None:
        if kept.spec.argv[0].rsplit("/", 1)[-1] == "false" and kept.state.phase == "running":
            self.crash(kept.spec.key, 1)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)

    def _answer(self) -> None:
        if self.unanswered > 0:
            self.unanswered -= 1
            raise Unavailable("the supervisor did not answer in time", next="lastgood doctor")
