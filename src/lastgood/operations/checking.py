"""Checks from outside while a release is judged: asked in turn, in the background, none of them waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lastgood.config.bake import Check
from lastgood.ports import Checked, Checks

PATIENCE = 3
"""A check that nobody could answer for so many turns keeps a release from being good."""


@dataclass
class _Course:
    check: Check
    due_s: float = 0.0
    asking: asyncio.Task[Checked] | None = None
    failed: int = 0
    unknown: int = 0
    why: str = ""


class Checking:
    """The checks of one release. ``look`` returns at once with what is known so far."""

    def __init__(self, checks: Sequence[Check], release: int, port: Checks) -> None:
        self._courses = [_Course(_named(check, f"r{release}")) for check in checks]
        self._port, self._release = port, f"r{release}"

    def look(self, now_s: float) -> tuple[str, tuple[str, ...]]:
        """Ask what is due; a veto (empty: none), and what keeps the release from being good."""
        veto = ""
        doubts: list[str] = []
        for course in self._courses:
            self._take(course)
            if course.asking is None and now_s >= course.due_s:
                course.asking = asyncio.create_task(self._port.ask(course.check, self._release))
                course.due_s = now_s + course.check.every_s
            told = f"check {course.check.name}: {course.why}"
            if course.check.report_only:
                continue
            if course.failed >= course.check.fails:
                veto = veto or told
            elif course.failed or course.unknown >= PATIENCE:
                doubts.append(told)
        return veto, tuple(doubts)

    @property
    def says(self) -> tuple[str, ...]:
        """What checks that only report have to say: those that failed as often as would count."""
        return tuple(
            f"check {course.check.name}: {course.why}"
            for course in self._courses
            if course.check.report_only and course.failed >= course.check.fails
        )

    def _take(self, course: _Course) -> None:
        if course.asking is None or not course.asking.done():
            return
        task, course.asking = course.asking, None
        error = task.exception()
        found = task.result() if error is None else Checked(None, type(error).__name__)
        course.why = found.why
        if found.well is None:
            course.unknown += 1  # what nobody could say ends no row of failures, and adds nothing to it
            return
        course.unknown = 0
        course.failed = 0 if found.well else course.failed + 1

    def stop(self) -> None:
        """Ask no more."""
        for course in self._courses:
            if course.asking is not None:
                course.asking.cancel()


def _named(check: Check, release: str) -> Check:
    """With the release in place of ``$release``."""
    if check.url is not None:
        return check.model_copy(update={"url": check.url.replace("$release", release)})
    if check.command is not None:
        argv = tuple(word.replace("$release", release) for word in check.command)
        return check.model_copy(update={"command": argv})
    assert check.prometheus is not None
    query = check.prometheus.query.replace("$release", release)
    return check.model_copy(update={"prometheus": check.prometheus.model_copy(update={"query": query})})
