"""Running one script or several, so that a kill at any point leaves nothing, or something that is known.

In a transaction: the scripts and the books' lines commit together. Without: each statement that can has a transaction
of its own together with its mark; only what must run alone (CREATE INDEX CONCURRENTLY) is marked before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lastgood.database.hazards import hazards
from lastgood.database.migration import Migration, Script, Statement
from lastgood.database.script import settings_around
from lastgood.effects.databases.books import Books, Direction
from lastgood.effects.databases.keeping import Managing
from lastgood.effects.databases.losses import Taken, counted, look_after, look_before, refuse_loss
from lastgood.effects.databases.session import Session, SqlFailure, perform
from lastgood.errors import Conflict, Failed, LastgoodError, Refused, Unavailable


@dataclass(frozen=True, slots=True)
class Run:
    """One script to run; ``finish`` (milliseconds) writes into the books in the same transaction.

    ``managing``: in managed mode, begins an attempt to run it. ``at_once``: when it fails it is run again,
    alone, so that nobody needs to know now which statement did.
    """

    migration: Migration
    script: Script
    direction: Direction
    finish: Callable[[int], None]
    managing: Callable[[], Managing] | None = None
    at_once: bool = False


def explain(failure: SqlFailure, place: str, statement: Statement | None = None, source: str = "") -> LastgoodError:
    """A database's words as an error of ours, with what to do."""
    where = f"{source}:{statement.line}" if statement else place
    words = failure.message
    match failure.trouble:
        case "busy":
            then = "end the transaction that holds it, then run the same command again"
            return Conflict(f"a lock was held for too long: {words}", where=where, next=then)
        case "timeout":
            return Failed(f"stopped at its time limit: {words}", where=where, next="raise --statement-timeout")
        case "denied":
            return Unavailable(words, where=where, next="use a role that may change this schema")
        case "gone":
            then = "bring it back and run the same command again; what was half done is resumed"
            return Unavailable(f"the database cannot be reached: {words}", where=where, next=then)
        case "full":
            return Failed(words, where=where, next="make room on the disk and run the same command again")
        case "wrong":
            return Failed(
                words, where=where, next="nothing of this transaction was kept; mend what is named and try again"
            )


def run_together(session: Session, runs: Sequence[Run], *, accept_loss: bool) -> None:
    """Run scripts in one transaction, all or nothing.

    Rows lost without ``accept_loss``: rolled back, counted, ``Refused``. A lock not had within the lock timeout: all
    is given up and begun again, for a bounded time.
    """
    give_up = time.monotonic() + session.limits.retry_for_s
    pause_s = 0.02
    allowed = accept_loss
    while True:
        try:
            taken = _attempt(session, runs, allowed)
        except SqlFailure as failure:
            _abandon(session)
            if failure.trouble == "busy" and time.monotonic() + pause_s < give_up:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 5.0)
                continue
            raise
        except BaseException:
            _abandon(session)
            raise
        if taken is None:
            return
        if losses := counted(session, taken):
            refuse_loss(losses, session.place)
        allowed = True  # what would go holds nothing


def _abandon(session: Session) -> None:
    try:
        session.rollback()
        session.reset()
    except SqlFailure:  # the connection is gone; so is the transaction
        pass


def _attempt(session: Session, runs: Sequence[Run], allowed: bool) -> Taken | None:
    """One try; None: committed. Otherwise it was rolled back for what it had taken away."""
    scripts = [run.script for run in runs]
    for script in scripts:
        for statement in script.statements[: settings_around(script.statements)[0]]:
            session.execute(statement.sql)
    session.begin()
    harmless = not any(hazards(script, session.dialect) for script in scripts)
    before = None if allowed or harmless else look_before(session, scripts)
    executed: list[Statement] = []
    for run in runs:
        started = time.monotonic()
        managing = _run_inside(session, run, executed)
        session.reset()
        if managing is not None:
            managing.record()
        run.finish(int((time.monotonic() - started) * 1000))
    if before is not None and (taken := look_after(session, before, executed)):
        _abandon(session)
        return taken
    session.commit()
    session.reset()
    return None


def _run_inside(session: Session, run: Run, executed: list[Statement]) -> Managing | None:
    """All statements of a script but the settings around it; in managed mode, what became of its drops.

    ``executed`` gets every statement that ran.
    """
    if run.at_once:
        session.execute_all([statement.sql for statement in run.script.statements])
        return None
    begin, end = settings_around(run.script.statements)
    managing = run.managing() if run.managing else None
    for statement in run.script.statements[begin : len(run.script.statements) - end]:
        for each in managing.turn(statement) if managing else (statement,):
            _execute(session, each, run.script)
            executed.append(each)
    return managing


def _execute(session: Session, statement: Statement, script: Script) -> None:
    try:
        perform(session, statement)
    except SqlFailure as failure:
        if failure.trouble == "busy":
            raise
        raise explain(failure, session.place, statement, script.source) from None
    except Refused as refused:
        raise Refused(refused.what, where=f"{script.source}:{statement.line}", next=refused.next) from None


def run_stepwise(session: Session, books: Books, run: Run, *, settle: str | None = None) -> None:
    """Run a script statement by statement, going on where an earlier run was killed.

    ``settle`` (``done`` or ``again``) answers for a statement of which nobody can tell whether it took effect.
    """
    started = time.monotonic()
    progress = books.progress(run.migration, run.direction)
    for position, statement in enumerate(run.script.statements):
        seen = progress.get(position)
        if statement.setting:
            session.execute(statement.sql)  # a new connection has forgotten it
        elif seen == "done":
            continue
        elif not statement.alone:
            _one(session, books, run, position, statement)
        elif seen == "started" and _settled(session, run, statement, settle) == "done":
            books.mark(run.migration, run.direction, position, "done")
        else:
            books.mark(run.migration, run.direction, position, "started")
            _alone(session, statement, run.script)
            books.mark(run.migration, run.direction, position, "done")
    session.reset()
    session.begin()
    run.finish(int((time.monotonic() - started) * 1000))
    session.commit()


def _one(session: Session, books: Books, run: Run, position: int, statement: Statement) -> None:
    """One statement and its mark in a transaction. Losses were looked for before the script began."""

    def finish(_: int) -> None:
        books.mark(run.migration, run.direction, position, "done")

    give_up = time.monotonic() + session.limits.retry_for_s
    pause_s = 0.02
    while True:
        try:
            session.begin()
            _execute(session, statement, run.script)
            finish(0)
            session.commit()
            return
        except SqlFailure as failure:
            session.rollback()
            if failure.trouble != "busy" or time.monotonic() + pause_s >= give_up:
                raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)
        except LastgoodError:
            session.rollback()
            raise


def _settled(session: Session, run: Run, statement: Statement, settle: str | None) -> str:
    found = session.settle(statement)
    if found != "unknown":
        return found
    if settle is None:
        raise Refused(
            "the runner was killed during this statement, and nobody can tell whether it took effect",
            where=f"{run.script.source}:{statement.line}",
            next="look at the database, then say --settle done or --settle again",
        )
    return settle


def _alone(session: Session, statement: Statement, script: Script) -> None:
    """A statement that no transaction can hold; what a failed try left is cleared before the next."""
    give_up = time.monotonic() + session.limits.retry_for_s
    pause_s = 0.05
    while True:
        try:
            session.execute(statement.sql)
            return
        except SqlFailure as failure:
            if failure.trouble != "gone":
                session.settle(statement)
            if failure.trouble == "busy" and time.monotonic() + pause_s < give_up:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 5.0)
                continue
            raise explain(failure, session.place, statement, script.source) from None
