"""How the commands that begin something go on to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.interfaces.cli.options import Goal
from lastgood.interfaces.cli.render_deployment import conclusion
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.watching import Detached, Watch, missed

INTERRUPTED = 130


def finish(
    session: Session,
    answer: Mapping[str, Any],
    *,
    goal: Goal,
    no_wait: bool,
    since: str = "",
    wanted: tuple[str, ...] = ("done",),
) -> int:
    """Watch the deployment that an answer names; returns the exit code. Raises ``Missed`` when it went elsewhere.

    With ``--json`` the answer gets a field ``report``: None when nobody waited.
    """
    number = int(answer["deployment"])
    if no_wait:
        session.give({**answer, "report": None}, [f"d{number} goes on by itself: lastgood status --watch"])
        return 0
    watch = Watch(session.controller, number, goal, session.say, session.note, since)
    try:
        report = watch.run()
    except Detached:
        session.note(f"detached: d{number} goes on by itself; lastgood status --watch, or lastgood abort takes it back")
        return INTERRUPTED
    conclude(session, answer, report, wanted, goal)
    return 0


def conclude(
    session: Session,
    answer: Mapping[str, Any],
    report: Mapping[str, Any],
    wanted: tuple[str, ...] = ("done",),
    goal: Goal = "converged",
) -> None:
    """Say how it went. Raises ``Missed`` when it went elsewhere."""
    error = missed(report, wanted=wanted, goal=goal)
    if error is not None:
        raise error
    session.give({**answer, "report": report}, conclusion(report))
