"""After the bake: what the live release changed is measured on; it goes back when it certainly turned bad."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lastgood.config.configuration import Configuration
from lastgood.errors import Fenced, LastgoodError, Refused
from lastgood.health.dispersion import UNKNOWN
from lastgood.health.judge import Assessment
from lastgood.health.limits import Learnt, learn_limits
from lastgood.health.reading import Reading
from lastgood.health.record import Case, Digest, Trial, retrace, write_case, write_line
from lastgood.health.terms import Objective, Terms
from lastgood.operations import rulings
from lastgood.operations.judging import is_alone
from lastgood.operations.loop import Loop
from lastgood.operations.rulings import Finding
from lastgood.operations.terms import LEARN_FROM, limits_of
from lastgood.operations.world import Outcome, View
from lastgood.ports import Clock, Evidence, JournalFull, Measurements, Stamp
from lastgood.release.state import State
from lastgood.stamp import elapsed_s

EVERY_S = 10.0
START_EVERY_S = 300.0
LEARN_EVERY = 30
"""Looks between two tries to learn limits, as long as there is too little to learn from."""
GoBack = Callable[[str, View], Outcome]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched now: a release, its deployment, and what was live before; None where it watches all there is."""

    release: int
    deployment: int
    before: int | None


def watched(state: State, now: Stamp, watch_s: Callable[[int], float]) -> Watched | None:
    """The live release, if it came by a deployment that ended well not long ago; never one that was gone back to."""
    live, served = state.live, state.served
    newest = state.deployments.get(max(state.deployments, default=0))
    if state.deployment is not None or live is None or served is None or newest is None or newest.ended_at is None:
        return None
    before = served.get("before")
    if served["base"] != live or newest.plan is None or newest.plan.intent != "deploy":
        return None
    if before is None and not is_alone(newest):
        return None
    if newest.plan.target != live or state.verdict(live).name == "bad":
        return None
    passed_s = elapsed_s(newest.ended_at, now)
    if passed_s is None or passed_s > watch_s(live):
        return None
    return Watched(live, newest.number, before)


@dataclass
class _Open:
    subject: Watched
    trial: Trial
    configuration: Configuration
    digest: Digest = field(default_factory=Digest)
    looks: int = 0
    told: tuple[str, ...] = ()
    unkept: bool = False

    @property
    def finding(self) -> Finding:
        return Finding(self.trial.case, self.trial.judge.now, self.digest.lines, self.digest.hex)


class Watching:
    """The watch at work. Bounded: a look every ten seconds, for as long as the configuration says."""

    def __init__(
        self,
        loop: Loop,
        measurements: Measurements,
        evidence: Evidence,
        clock: Clock,
        configuration_of: Callable[[int], Configuration],
        go_back: GoBack,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._loop, self._measurements, self._evidence = loop, measurements, evidence
        self._clock, self._configuration_of, self._go_back = clock, configuration_of, go_back
        self._every_s = every_s
        self._open: _Open | None = None

    async def run(self) -> None:
        """Look until cancelled; a fault ends nothing."""
        while True:
            await self._clock.sleep(self._every_s)
            try:
                await self.look()
            except Fenced:
                raise
            except LastgoodError:
                continue  # what cannot be measured or read now is looked at again

    async def look(self) -> Assessment | None:
        """One look; None when nothing is watched."""
        subject = watched(self._loop.state, self._clock.now(), lambda live: self._configuration_of(live).bake.watch_s)
        if subject is None:
            self._open = None
            return None
        under = self._open
        if under is None or under.subject != subject:
            under = self._open = await asyncio.to_thread(self._begin, subject)
        elif not under.trial.case.terms.references and under.looks % LEARN_EVERY == 0:
            under = self._open = await asyncio.to_thread(self._learn, under)
        under.looks += 1
        reading = Reading(self._clock.now().boot_s, 100.0, await self._measurements.read({subject.release}))
        self._write(under, write_line(reading))
        found = under.trial.take(reading)[1]
        await self._rule(under, found)
        return found

    # --- the record --------------------------------------------------------------------------------------------

    def _begin(self, subject: Watched) -> _Open:
        """Go on with the watch that a controller before us began, else begin one."""
        configuration = self._configuration_of(subject.release)
        lines = list(self._evidence.lines(subject.release))
        trial = self._resumed(lines, subject)
        made = trial or Trial(self._case(subject, configuration, lines))
        under = _Open(subject, made, configuration)
        for line in lines:
            under.digest.add(line)
        if trial is None:
            self._write(under, write_case(made.case))
        return under

    def _resumed(self, lines: list[str], subject: Watched) -> Trial | None:
        last: Trial | None = None
        try:
            for trial, _, _ in retrace(lines):
                last = trial
        except LastgoodError:
            return None
        same = last is not None and (last.case.after, last.case.deployment) == (True, subject.deployment)
        return last if same else None

    def _case(self, subject: Watched, configuration: Configuration, lines: list[str]) -> Case:
        state = self._loop.state
        good = [n for n in self._evidence.releases() if n != subject.release and state.verdict(n).name == "good"]
        others = (self._evidence.lines(number) for number in good[:LEARN_FROM])
        learnt = learn_limits(lines, others, subject.deployment)
        terms = terms_after(configuration, learnt)
        alone = subject.before is None
        return Case(subject.release, subject.before, terms, subject.deployment, after=True, alone=alone)

    def _learn(self, under: _Open) -> _Open:
        """Its own first minutes are a past, too, where the bake was shorter than what can be learnt from."""
        lines = list(self._evidence.lines(under.subject.release))
        case = self._case(under.subject, under.configuration, lines)
        if not case.terms.references:
            return under
        made = _Open(under.subject, Trial(case), under.configuration, under.digest, told=under.told)
        self._write(made, write_case(case))
        return made

    def _write(self, under: _Open, line: str) -> None:
        if under.unkept:
            return
        try:
            self._evidence.append(under.subject.release, line)
            under.digest.add(line)
        except JournalFull:
            under.unkept = True

    # --- what follows ------------------------------------------------------------------------------------------

    async def _rule(self, under: _Open, found: Assessment) -> None:
        if found.outcome == "bad":
            go_back = self._go_back
            if under.configuration.bake.regression == "tell":
                go_back = _only_tell
            elif under.unkept:
                go_back = _unkept
            await self._loop.ask(partial(rulings.take_down, under.finding, go_back))
            try:
                await asyncio.to_thread(self._evidence.keep, under.subject.release)
            except OSError:
                pass  # its digest is in the journal: what is lost of it will be seen
            return
        for said in found.says:
            name = said.partition(":")[0]
            if name not in under.told:
                under.told = (*under.told, name)
                await self._loop.ask(partial(rulings.note, f"r{under.subject.release}: {said}; {NOT_SURE}"))


NOT_SURE = (
    "whether the release is to blame cannot be told: nothing else fails less; lastgood verdict, lastgood rollback"
)


def _only_tell(why: str, view: View) -> Outcome:
    raise Refused("bake: regression: tell", next="lastgood rollback")


def _unkept(why: str, view: View) -> Outcome:
    raise Refused("there was no room for the evidence", next="lastgood rollback")


def terms_after(configuration: Configuration, learnt: Learnt | None) -> Terms:
    """The terms of a watch; ``references`` say whether limits were learnt."""
    bake = configuration.bake
    limits: tuple[Objective, ...] = limits_of(bake)
    spread = dict.fromkeys(("errors", "latency"), UNKNOWN)
    if learnt is not None:
        limits, spread = (*learnt.limits, *limits), learnt.dispersion
    if bake.clusters is not None:
        spread = dict.fromkeys(("errors", "latency"), float(bake.clusters))
    references = {one.name: one.share for one in learnt.limits} if learnt is not None else {}
    return Terms(stakes={}, dispersion=spread, start_every_s=START_EVERY_S, references=references, objectives=limits)
