"""What is kept of a judgement: the terms, then every reading, a line each. From it the verdict is made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lastgood.errors import Damaged
from lastgood.health.judge import Assessment, Judge
from lastgood.health.reading import WHOLE, Reading, read_reading, write_reading
from lastgood.health.terms import Terms, read_terms, write_terms
from lastgood.health.ticks import LONGEST_S, Meter, Tick
from lastgood.health.vigil import Vigil

RULES = 2
"""Raised with every change after which the same readings may mean something else; 1 is what no record says."""
AFTER_LONGEST_S = 60.0
"""More than this between two readings is a gap after the bake, when one looks every ten seconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: ``r12`` beside ``r11`` (None: nothing was live), in a deployment, on these terms.

    ``after`` the bake it is watched beside everything else that goes through the gateway. ``alone`` nothing stands
    beside it: it is all that goes through the gateway. ``rules`` are those of the build that began it.
    """

    release: int
    baseline: int | None
    terms: Terms
    deployment: int = 0
    after: bool = False
    alone: bool = False
    rules: int = RULES

    @property
    def meter(self) -> Meter:
        """What makes ticks of its readings."""
        if self.alone:
            return Meter(WHOLE, None, AFTER_LONGEST_S if self.after else LONGEST_S)
        if self.after:
            return Meter(f"r{self.release}", WHOLE, AFTER_LONGEST_S)
        return Meter(f"r{self.release}", None if self.baseline is None else f"r{self.baseline}")


class Trial:
    """A case, reading by reading: what the controller runs, and what a replay runs again."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._meter = case.meter
        self.judge: Judge | Vigil = Vigil(case.terms) if case.after else Judge(case.terms)

    def take(self, reading: Reading) -> tuple[Tick | None, Assessment]:
        """One more reading; the tick is None where it says nothing new."""
        tick = self._meter.tick(reading)
        self.judge.doubts = reading.doubts
        if reading.veto:
            return tick, self.judge.refuse(reading.veto)
        return tick, self.judge.now if tick is None else self.judge.take(tick)


def write_case(case: Case) -> str:
    """The first line."""
    which = {name: True for name in ("after", "alone") if getattr(case, name)}
    beside = {"baseline": case.baseline, "deployment": case.deployment, "rules": case.rules, **which}
    return _line({"release": case.release, **beside, "terms": write_terms(case.terms)})


def write_line(reading: Reading) -> str:
    """A line for a reading."""
    return _line(write_reading(reading))


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True) + "\n"


def read_case(line: str) -> Case:
    """The inverse of :func:`write_case`."""
    raw = json.loads(line)
    which = {name: raw.get(name, False) for name in ("after", "alone")}
    return Case(
        raw["release"], raw["baseline"], read_terms(raw["terms"]), raw["deployment"], rules=raw.get("rules", 1), **which
    )


def retrace(lines: Iterable[str], where: str = "the record") -> Iterator[tuple[Trial, Tick | None, Assessment]]:
    """Every reading and what was known after it. A line with a case begins a new trial.

    Raises ``Damaged`` for lines that cannot be read.
    """
    trial: Trial | None = None
    for number, line in enumerate(lines, 1):
        try:
            if '"terms"' in line:
                trial = Trial(read_case(line))
                continue
            if trial is None:
                raise ValueError("no case")
            reading = read_reading(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            problem = f"line {number} is no reading ({type(error).__name__})"
            raise Damaged(problem, where=where, next="the verdict stands; its evidence is lost") from error
        yield trial, *trial.take(reading)


def replay(lines: Iterable[str], where: str = "the record") -> Iterator[tuple[Tick, Assessment]]:
    """Every tick and what was known after it; raises like :func:`retrace`."""
    for _, tick, assessment in retrace(lines, where):
        if tick is not None:
            yield tick, assessment


def cases_of(lines: Iterable[str]) -> Iterator[tuple[Case, Tick]]:
    """What happened, without judging it again; lines that cannot be read are left out."""
    under: tuple[Case, Meter] | None = None
    for line in lines:
        try:
            if '"terms"' in line:
                case = read_case(line)
                under = case, case.meter
            elif under is not None and (tick := under[1].tick(read_reading(json.loads(line)))) is not None:
                yield under[0], tick
        except (ValueError, KeyError, TypeError):
            continue


def ticks_of(lines: Iterable[str]) -> Iterator[Tick]:
    """What happened while a release stood beside the one before."""
    return (tick for case, tick in cases_of(lines) if not case.after and not case.alone)


class Digest:
    """SHA-256 over the lines so far."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self.lines = 0

    def add(self, line: str) -> None:
        """One more line."""
        self._sum.update(line.encode())
        self.lines += 1

    @property
    def hex(self) -> str:
        """The digest."""
        return self._sum.hexdigest()


def write_assessment(found: Assessment) -> dict[str, Any]:
    """The evidence as JSON values: exact, so that two of them can be compared bit for bit."""
    return {
        "outcome": found.outcome,
        "why": found.why,
        "harm": found.harm,
        "p": found.p,
        "good": found.good,
        "by": dict(found.by),
        "watched_s": found.watched_s,
        "requests": list(found.requests),
        "failures": list(found.failures),
        "lacks": list(found.lacks),
        "says": list(found.says),
        "veto": found.veto,
        "shared": found.shared,
    }
