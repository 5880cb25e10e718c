"""Functions that run by the clock: those of the live release, each at most once at a time, in UTC.

A time that nobody watched (no controller ran, the machine slept) is told and not made up for: what it would do now is
seldom what it would have done then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cronsim import CronSim

from lastgood.errors import LastgoodError
from lastgood.operations.loop import Loop
from lastgood.operations.world import Outcome
from lastgood.ports import Clock, CronTrigger, Fired
from lastgood.release import events as ev

LOOK_S = 1.0
LATE = timedelta(seconds=90)
"""Beyond it a time is missed."""
BACK = timedelta(hours=3)
"""A clock that goes back by less does nothing twice; by more it was wrong before."""
COUNTED = timedelta(days=7)
"""What was missed is counted so far back."""

Outcomes = Literal["running", "ok", "failed", "skipped", "missed"]


@dataclass(frozen=True)
class Run:
    """The last time of a trigger, of which version, and how it ended; ``missed`` counts times that nobody watched."""

    digest: str
    at: str
    outcome: Outcomes
    detail: str = ""
    took_ms: float = 0.0
    missed: int = 0


@dataclass(frozen=True)
class Due:
    """What a look at the clock found: what to do now, and what was missed with how many times and the last of them."""

    now: tuple[tuple[CronTrigger, datetime], ...] = ()
    missed: tuple[tuple[CronTrigger, int, datetime], ...] = ()


def next_after(schedule: str, moment: datetime) -> datetime:
    """The first time after a moment, in UTC."""
    found: datetime = next(CronSim(schedule, moment))
    return found


def due(triggers: Iterable[CronTrigger], before: datetime, now: datetime) -> Due:
    """What became due after ``before`` and not after ``now``. Pure."""
    fire, missed = [], []
    for trigger in triggers:
        times = _times(trigger, before, now)
        if times and now - times[-1] <= LATE:
            fire.append((trigger, times.pop()))
        if times:
            missed.append((trigger, len(times), times[-1]))
    return Due(tuple(fire), tuple(missed))


def _times(trigger: CronTrigger, before: datetime, now: datetime) -> list[datetime]:
    found: list[datetime] = []
    moment = next_after(trigger.schedule, max(before, now - COUNTED))
    while moment <= now:
        found.append(moment)
        moment = next_after(trigger.schedule, moment)
    return found


@dataclass
class Crons:
    """Looks at the clock and fires.

    ``triggers`` are those of the live release; asking for them may block. ``read`` and ``write`` keep what became of
    them for whoever asks later; that it cannot be written hinders nothing.
    """

    loop: Loop
    triggers: Callable[[], Sequence[CronTrigger]]
    fire: Callable[[CronTrigger, datetime], Awaitable[Fired]]
    read: Callable[[], dict[str, Any]]
    write: Callable[[dict[str, Any]], None]
    clock: Clock
    runs: dict[str, Run] = field(default_factory=dict)
    _known: tuple[CronTrigger, ...] = ()
    _looked: datetime | None = None
    _failing: set[str] = field(default_factory=set)
    _going: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        self._remember(await asyncio.to_thread(self.read))
        try:
            while True:
                await self.clock.sleep(LOOK_S)
                await self.look()
        finally:
            for task in self._going.values():
                task.cancel()

    async def look(self) -> None:
        """Once a minute is over, what it brought."""
        now = datetime.fromtimestamp(self.clock.now().wall_s, UTC)
        before = self._looked
        if before is None or before - now > BACK:
            self._looked = now
            return
        if now <= before or now.replace(second=0, microsecond=0) <= before:
            return
        try:
            triggers = await asyncio.to_thread(self.triggers)
        except LastgoodError:
            return  # looked for again in a second
        self._looked = now
        found = due(triggers, before, now)
        for trigger, count, last in found.missed:
            await self._miss(trigger, count, last)
        begins = [(trigger, at) for trigger, at in found.now if self._may_begin(trigger, at)]
        keys = {trigger.key for trigger in triggers}
        self.runs = {key: run for key, run in self.runs.items() if key in keys}
        self._known = tuple(triggers)
        await self._save()  # before anything is asked: whoever is started again must not do it twice
        for trigger, at in begins:
            self._going[trigger.key] = asyncio.create_task(self._carry_out(trigger, at))

    def _may_begin(self, trigger: CronTrigger, at: datetime) -> bool:
        going = self._going.get(trigger.key)
        free = going is None or going.done()
        self._note(trigger, at, "running" if free else "skipped", "" if free else "the time before is not over")
        return free

    async def _carry_out(self, trigger: CronTrigger, at: datetime) -> None:
        try:
            fired = await self.fire(trigger, at)
        except LastgoodError as error:
            fired = Fired(False, error.what, 0.0)
        self._note(trigger, at, "ok" if fired.ok else "failed", fired.detail, fired.took_ms)
        await self._save()
        if not fired.ok and trigger.key not in self._failing:
            await self._say(f"{trigger.name} by the clock ({trigger.said}): {fired.detail}")
        (self._failing.discard if fired.ok else self._failing.add)(trigger.key)

    async def _miss(self, trigger: CronTrigger, count: int, last: datetime) -> None:
        self._note(trigger, last, "missed", "nobody watched the clock", missed=count)
        times = "once" if count == 1 else f"{count} times"
        await self._say(f"{trigger.name} by the clock ({trigger.said}): missed {times} until {_text(last)}")

    def _note(
        self,
        trigger: CronTrigger,
        at: datetime,
        outcome: Outcomes,
        detail: str = "",
        took_ms: float = 0.0,
        missed: int = 0,
    ) -> None:
        known = self.runs.get(trigger.key)
        missed += known.missed if known else 0
        self.runs[trigger.key] = Run(trigger.digest, _text(at), outcome, detail, round(took_ms, 1), missed)

    async def _say(self, what: str) -> None:
        try:
            await self.loop.ask(lambda view: Outcome(((None, ev.Noted(what, "warning")),)))
        except LastgoodError:
            pass  # it is written down in the record

    async def _save(self) -> None:
        assert self._looked is not None
        value = {"looked": _text(self._looked), "triggers": [self._shown(each, self._looked) for each in self._known]}
        await asyncio.to_thread(self.write, value)

    def _shown(self, trigger: CronTrigger, looked: datetime) -> dict[str, Any]:
        run = self.runs.get(trigger.key)
        coming = _text(next_after(trigger.schedule, looked))
        said = {"name": trigger.name, "said": trigger.said, "path": trigger.path, "digest": trigger.digest}
        return {**said, "next": coming, "run": asdict(run) if run else None}

    def _remember(self, value: dict[str, Any]) -> None:
        try:
            self._looked = datetime.fromisoformat(value["looked"])
            runs = {f"{one['name']} {one['said']} {one['path']}": one["run"] for one in value["triggers"]}
            found = {key: Run(**run) for key, run in runs.items() if run is not None}
        except (KeyError, TypeError, ValueError):
            return
        interrupted = "the controller ended meanwhile"
        for key, run in found.items():
            self.runs[key] = replace(run, outcome="failed", detail=interrupted) if run.outcome == "running" else run


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
