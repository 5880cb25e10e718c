"""While a release bakes it is measured and judged, once a second; what is found becomes a ruling at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lastgood.config.configuration import Configuration
from lastgood.errors import Fenced, LastgoodError
from lastgood.health.history import Past
from lastgood.health.judge import Assessment
from lastgood.health.reading import Reading
from lastgood.health.record import Case, Digest, Trial, retrace, write_case, write_line
from lastgood.health.ticks import LONGEST_S
from lastgood.operations import rulings
from lastgood.operations.checking import Checking
from lastgood.operations.loop import Loop
from lastgood.operations.rulings import Finding
from lastgood.operations.terms import ALONE, past_of, promised, terms_alone, terms_for, whole_of
from lastgood.operations.vetoes import Lookout
from lastgood.ports import Checks, Clock, Evidence, JournalFull, Measurements
from lastgood.release.engine import watched_s
from lastgood.release.release import services_of
from lastgood.release.state import Deployment, State
from lastgood.release.step import Step

EVERY_S = 1.0
KEEP_EVERY = 60
"""Lines of a record after which its digest goes into the journal."""
EXTENSIONS = 3
"""How many times the bake's time an ``extend`` waits before a person is asked."""
HALF = 50.0
"""Below this share of the requests nothing is called good: most users have not met it yet."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be judged now. Without a ``baseline`` nothing stands beside it; ``before`` is what was live."""

    deployment: int
    release: int
    baseline: int | None
    percent: float
    before: int | None = None


def subject_of(state: State) -> Subject | None:
    """The release on its way in, beside the one before or, where nothing moved, alone; never one on its way back."""
    active, served = state.deployment, state.served
    if active is None or active.plan is None or active.plan.intent != "deploy" or active.halted is not None:
        return None
    target = active.plan.target
    if served is None or state.verdict(target).name == "bad":
        return None
    if served["candidate"] == target:
        return Subject(active.number, target, served["base"], float(served["percent"]), served["base"])
    bakes = active.progress.get("bake")
    if is_alone(active) and bakes is not None and bakes.phase == "started":
        return Subject(active.number, target, None, 100.0, active.plan.source)
    return None


def is_alone(deployment: Deployment) -> bool:
    """Whether its requests had nothing to move from: the first release, or one with the same routes and code."""
    return deployment.plan is not None and any(step.id == "serve" for step in deployment.plan.steps)


@dataclass
class _Open:
    """One trial under way, and its record."""

    subject: Subject
    trial: Trial
    configuration: Configuration
    lookout: Lookout
    digest: Digest = field(default_factory=Digest)
    last_s: float = 0.0
    kept: int = 0
    unkept: bool = False
    told: str = ""
    checking: Checking | None = None
    reported: set[str] = field(default_factory=set)
    decided: bool = False

    def finding(self, found: Assessment | None = None) -> Finding:
        return Finding(self.trial.case, found or self.trial.judge.now, self.digest.lines, self.digest.hex)


class Judging:
    """The judge at work. Bounded: one look a second, and one record a release."""

    def __init__(
        self,
        loop: Loop,
        measurements: Measurements,
        evidence: Evidence,
        clock: Clock,
        configuration_of: Callable[[int], Configuration],
        *,
        checks: Checks | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._checks = checks
        self._loop, self._measurements, self._evidence = loop, measurements, evidence
        self._clock, self._configuration_of, self._every_s = clock, configuration_of, every_s
        self._open: _Open | None = None
        self._said = ""

    @property
    def now(self) -> Finding | None:
        """What is known at this moment of the release on trial."""
        return self._open.finding() if self._open else None

    async def run(self) -> None:
        """Look until cancelled; a fault is noted once and ends nothing."""
        while True:
            began_s = self._clock.now().boot_s
            try:
                await self.look()
            except Fenced:
                raise
            except LastgoodError as error:
                await self._note(f"judging: {error.what}")
                await self._unmeasured()
            took_s = self._clock.now().boot_s - began_s
            await self._clock.sleep(max(self._every_s - took_s, self._every_s / 10))

    async def look(self) -> Assessment | None:
        """One look; None when there is nothing to judge."""
        subject = subject_of(self._loop.state)
        if subject is None:
            await self._close()
            return None
        under = self._open
        if under is None or (under.subject.deployment, under.subject.release, under.subject.baseline) != (
            subject.deployment,
            subject.release,
            subject.baseline,
        ):
            await self._close()
            under = self._open = await asyncio.to_thread(self._begin, subject)
            if self._checks is not None and under.configuration.bake.checks:
                under.checking = Checking(under.configuration.bake.checks, subject.release, self._checks)
            await self._announce(under)
        under.subject = subject
        found = await self._measure(under)
        await self._rule(under, found)
        return found

    # --- the record --------------------------------------------------------------------------------------------

    def _begin(self, subject: Subject) -> _Open:
        """Go on with the record of this deployment where a controller before us left it, else begin a new trial."""
        configuration = self._configuration_of(subject.release)
        target = self._loop.release_of(subject.release)
        before = self._loop.release_of(subject.before) if subject.before is not None else None
        lookout = Lookout(services_of(target), services_of(before) if before else {})
        lines = list(self._evidence.lines(subject.release))
        trial, last_s = self._resumed(lines, subject)
        if trial is None:
            past = past_of(self._loop.state, self._evidence, beside=subject.release)
            case, told = self._case(subject, configuration, past, new_code=lookout.changed)
            made = _Open(subject, Trial(case), configuration, lookout, last_s=last_s, told=told)
            for line in lines:
                made.digest.add(line)
            self._write(made, write_case(case))
            return made
        made = _Open(subject, trial, configuration, lookout, last_s=last_s)
        for line in lines:
            made.digest.add(line)
        return made

    def _case(self, subject: Subject, configuration: Configuration, past: Past, *, new_code: bool) -> tuple[Case, str]:
        """The case, and what can be promised of it in words."""
        release, baseline, deployment = subject.release, subject.baseline, subject.deployment
        if baseline is not None:
            terms = terms_for(configuration, past, new_code=new_code)
            return Case(release, baseline, terms, deployment), promised(terms, past, subject.percent)
        learnt = whole_of(self._loop.state, self._evidence, beside=release)
        terms = terms_alone(configuration, past, learnt, new_code=new_code)
        return Case(release, None, terms, deployment, alone=True), ALONE

    def _resumed(self, lines: list[str], subject: Subject) -> tuple[Trial | None, float]:
        """A verdict that was carried out already is not carried out again: a retry is a new trial."""
        trial, last_s = None, 0.0
        try:
            for last, tick, _ in retrace(lines):
                trial, last_s = last, tick.at_s if tick else last_s
        except LastgoodError:
            return None, last_s
        kept = self._loop.state.measured.get(subject.release)
        done = kept is not None and kept.finding.get("outcome") == "bad"
        same = trial is not None and (trial.case.deployment, trial.case.baseline, trial.case.after) == (
            subject.deployment,
            subject.baseline,
            False,
        )
        return (trial if same and not done else None), last_s

    def _write(self, under: _Open, line: str) -> None:
        if under.unkept:
            return
        try:
            self._evidence.append(under.subject.release, line)
            under.digest.add(line)
        except JournalFull:
            under.unkept = True  # evidence is missing from here on: it may be found bad still, but not good

    async def _announce(self, under: _Open) -> None:
        resumed = not under.told and self._loop.state.verdict(under.subject.release).basis == "measured"
        if under.configuration.bake.objectives and not resumed:
            told = under.told or f"judged beside r{under.subject.baseline}"
            await self._loop.ask(partial(rulings.begin, under.trial.case, told))

    async def _close(self) -> None:
        under, self._open = self._open, None
        if under is not None and under.checking is not None:
            under.checking.stop()
        if under is not None and not under.unkept and under.digest.lines > under.kept and not under.decided:
            await self._loop.ask(partial(rulings.keep, under.finding()))

    # --- the look ----------------------------------------------------------------------------------------------

    async def _measure(self, under: _Open) -> Assessment:
        case = under.trial.case
        proxies = await self._measurements.read({n for n in (case.release, case.baseline) if n is not None})
        now_s = self._clock.now().boot_s
        if now_s <= under.last_s - LONGEST_S:
            now_s = under.last_s + LONGEST_S + self._every_s  # the machine was started anew: its clock begins at 0
        veto, doubts = await self._seen(under, now_s)
        reading = Reading(now_s, under.subject.percent, proxies, veto, doubts)
        self._write(under, write_line(reading))
        under.last_s = now_s
        return under.trial.take(reading)[1]

    async def _seen(self, under: _Open, now_s: float) -> tuple[str, tuple[str, ...]]:
        """What speaks against it beside the counters: a veto, and doubts."""
        veto, doubts = "", tuple[str, ...]()
        if under.subject.percent <= 0:
            return veto, doubts
        if under.checking is not None:
            veto, doubts = under.checking.look(now_s)
            for said in under.checking.says:
                name = said.partition(": ")[0]
                if name not in under.reported:
                    under.reported.add(name)
                    await self._note(f"r{under.subject.release}: {said} (it only reports)")
        if under.lookout.changed and not veto:
            await self._loop.look("service")
            veto = under.lookout.veto(self._loop.observed)
            if alarm := under.lookout.alarm(self._loop.observed):
                await self._note(f"r{under.subject.release}: {alarm}")
        return veto, doubts

    async def _rule(self, under: _Open, found: Assessment) -> None:
        active = self._loop.state.deployment
        if found.outcome == "bad" and (active is None or active.plan is None or active.plan.retreat_to is None):
            await self._loop.ask(partial(rulings.nowhere, under.finding(found)))
            return
        if found.outcome == "bad":
            # The way back first, then the disk: its record is as good as its last line.
            under.decided = True
            await self._loop.ask(partial(rulings.condemn, under.finding(found)))
            await asyncio.to_thread(self._keep, under)
            return
        if under.unkept:
            await self._note(f"r{under.subject.release}: no room for what is measured; it cannot become known good")
        elif found.outcome == "good" and under.subject.percent >= HALF and not self._is_good(under):
            await asyncio.to_thread(self._keep, under)
            await self._loop.ask(partial(rulings.acquit, under.finding(found)))
            under.kept = under.digest.lines
        elif under.digest.lines - under.kept >= KEEP_EVERY:
            under.kept = under.digest.lines
            await self._loop.ask(partial(rulings.keep, under.finding(found)))
        await self._doubt(under)
        if found.shared and under.trial.judge.fails_too:
            await self._note(f"r{under.subject.release}: both sides fail; nothing is rolled back for what they share")
        elif found.shared:
            name = f"r{under.subject.release}"
            await self._note(
                f"what {name} is compared with fails, {name} does not: lastgood promote moves more requests"
            )
        await self._deadline(under, found)

    def _keep(self, under: _Open) -> None:
        try:
            self._evidence.keep(under.subject.release)
        except OSError:
            under.unkept = True

    def _is_good(self, under: _Open) -> bool:
        return self._loop.state.verdict(under.subject.release).name == "good"

    async def _doubt(self, under: _Open) -> None:
        """Say when something begins, or ceases, to speak against more requests, and ask when a hold waits for long."""
        bake, active = under.configuration.bake, self._loop.state.deployment
        if not bake.objectives or active is None or active.plan is None:
            return
        why = "; ".join(dict.fromkeys(under.trial.judge.against_more))
        if why != active.doubt:
            await self._loop.ask(partial(rulings.doubt, under.trial.case, why))
        for step in active.plan.steps if why else ():
            progress = active.progress.get(step.id)
            if step.verb != "hold" or progress is None or progress.phase != "started":
                continue
            if watched_s(progress, self._loop.state, self._clock.now()) >= EXTENSIONS * float(step.args["for_s"]):
                await self._overdue(under, step, why)

    async def _unmeasured(self) -> None:
        """What is not looked at is not healthy."""
        if self._open is not None:
            await self._loop.ask(partial(rulings.doubt, self._open.trial.case, "nothing is measured"))

    async def _overdue(self, under: _Open, step: Step, why: str) -> None:
        """A hold that its doubts keep from ending: back, or a question to a person, as the configuration says."""
        if under.configuration.bake.undecided == "rollback":
            await self._loop.ask(partial(rulings.take_back, under.finding()))
            return
        name = f"r{under.subject.release}"
        await self._note(f"{name} stays at its share ({step.shows}): {why}; lastgood promote, or lastgood abort")

    async def _deadline(self, under: _Open, found: Assessment) -> None:
        """Undecided when the time is over: never silently good."""
        bake = under.configuration.bake
        active = self._loop.state.deployment
        if not bake.objectives or active is None or active.plan is None or self._is_good(under):
            return
        progress = active.progress.get("bake")
        if progress is None or progress.phase != "started":
            return
        passed_s = watched_s(progress, self._loop.state, self._clock.now())
        if passed_s < bake.for_s:
            return
        nowhere = active.plan.retreat_to is None
        if bake.undecided == "rollback" and not nowhere:
            await self._loop.ask(partial(rulings.take_back, under.finding(found)))
        elif nowhere or bake.undecided == "ask" or passed_s >= EXTENSIONS * bake.for_s:
            await self._loop.ask(partial(rulings.leave_open, under.finding(found)))

    async def _note(self, what: str) -> None:
        if what != self._said:
            self._said = what
            told = partial(rulings.note_of, self._open.subject.deployment) if self._open else rulings.note
            await self._loop.ask(partial(told, what))
