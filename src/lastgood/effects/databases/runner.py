"""Up, down, status and verify of one database: what people and the release engine call.

Every function takes an open session. What it does not refuse it does whole, or says how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lastgood.database.actions import left_over
from lastgood.database.fingerprint import Comparison, Fingerprint, compare
from lastgood.database.hazards import Hazard, hazards
from lastgood.database.migration import NOTHING, History, Script
from lastgood.database.standing import Applied, Entry, Move, entries, plan_down, plan_up
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.losses import Loss, foreseen, refuse_loss
from lastgood.effects.databases.moving import Consent, Moving
from lastgood.effects.databases.resuming import resume
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import LastgoodError, Refused


@dataclass(frozen=True)
class Standing:
    """``db status``: the version, one entry for each migration, and whether somebody changed the schema by hand."""

    place: str
    version: str
    entries: tuple[Entry, ...]
    drift: Comparison | None
    notes: tuple[str, ...] = ()
    invalid_indexes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Nothing half done, edited or changed by hand."""
        odd = any(entry.state not in ("applied", "pending", "ahead") for entry in self.entries)
        return not odd and not self.invalid_indexes and (self.drift is None or self.drift.likeness != "different")


@dataclass(frozen=True)
class Preview:
    """``db plan``: what would run, what it may take away by reading it, and the rows that stand there now."""

    moves: tuple[Move, ...]
    hazards: tuple[tuple[str, Hazard], ...]
    rows: tuple[Loss, ...]
    resumes: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What ``up`` or ``down`` did. ``comparison``: the schema before the ups beside the one now; None: unknown."""

    before: str
    after: str
    done: tuple[Move, ...]
    resumed: str | None = None
    comparison: Comparison | None = field(default=None)

    @property
    def came_back(self) -> bool:
        """False when a down left the schema different from what it was before the up."""
        return self.comparison is None or self.comparison.likeness != "different"


def version_of(applied: Sequence[Applied]) -> str:
    """The newest applied version, ``"0"`` for none."""
    return applied[-1].version if applied else NOTHING


def status(session: Session, history: History | None) -> Standing:
    """Where the database stands; changes nothing, not even our own tables."""
    try:
        books = Books(session)
        applied = books.applied()
        return Standing(
            session.place,
            version_of(applied),
            entries(history, applied),
            _drift(session, books, applied),
            history.notes if history else (),
            tuple(session.invalid_indexes()),
        )
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def verify(session: Session) -> Comparison | None:
    """The live schema beside the image taken after the last migration; None when there is no image."""
    try:
        books = Books(session)
        return _drift(session, books, books.applied())
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def preview(
    session: Session, history: History | None, direction: Literal["up", "down"], to: str | None, consent: Consent
) -> Preview:
    """What :func:`up` or :func:`down` would do, with the rows affected; changes nothing."""
    try:
        books = Books(session)
        applied = books.applied()
        half = next((row for row in applied if row.state != "applied"), None)
        resumes = f"{half.migration.label} is {half.state} and would be finished first" if half else None
        if direction == "up":
            moves = plan_up(_needed(history), applied, to, out_of_order=consent.out_of_order)
        else:
            moves = plan_down(history, applied, to or NOTHING, use=consent.use)
        scripts = [move.script for move in moves]
        found = [(move.migration.label, h) for move in moves for h in hazards(move.script, session.dialect)]
        lossy = [_without_kept(script, session) for script in scripts] if consent.keep else scripts
        return Preview(moves, tuple(found), foreseen(session, lossy), resumes)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def up(
    session: Session,
    history: History,
    *,
    to: str | None = None,
    consent: Consent | None = None,
    release: str | None = None,
    proven: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Apply what is pending, up to and including ``to``; each migration commits with its entry in the books.

    Into an empty schema, neighbours that lose nothing share a transaction.

    ``proven``: what the proof of the release said, by ``plain_version``; it stands in the log beside each.
    """
    agreed = consent or Consent()
    try:
        with session.lock():
            books = Books(session, proven)
            books.open()
            applied = books.applied()
            resumed = resume(session, books, applied, agreed.settle, report)
            applied = books.applied() if resumed else applied
            moves = plan_up(history, applied, to, out_of_order=agreed.out_of_order)
            if not moves:
                return Outcome(version_of(applied), version_of(applied), (), resumed)
            _refuse_drift(session, books, applied, agreed)
            _refuse_foreseen(session, moves, agreed)
            Moving(session, books, agreed, release, report).up(moves)
            return Outcome(version_of(applied), books.newest(), moves, resumed)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def down(
    session: Session,
    history: History | None,
    *,
    to: str,
    consent: Consent | None = None,
    release: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Undo everything applied after ``to`` by the stored scripts, newest first; ``history`` may be None.

    Scripts that fit one share one transaction: a failure leaves everything as it was. Afterwards the schema is
    compared with the image from before the ups, or with what the remaining ups make of an empty database where none was
    taken; see :attr:`Outcome.came_back`.
    """
    agreed = consent or Consent()
    try:
        with session.lock():
            books = Books(session)
            books.open()
            applied = books.applied()
            resumed = resume(session, books, applied, agreed.settle, report)
            applied = books.applied() if resumed else applied
            moves = plan_down(history, applied, to, use=agreed.use)
            if not moves:
                return Outcome(version_of(applied), version_of(applied), (), resumed)
            _refuse_drift(session, books, applied, agreed)
            _refuse_foreseen(session, moves, agreed)
            Moving(session, books, agreed, release, report).down(moves)
            wanted = _image_before(session, books, applied, len(moves))
            found = compare(wanted, session.fingerprint()) if wanted else None
            return Outcome(version_of(applied), books.newest(), moves, resumed, found)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def _image_before(session: Session, books: Books, applied: Sequence[Applied], undone: int) -> Fingerprint | None:
    """What the schema was before the ups that were undone; where no image was taken, what the others make anew."""
    stay, first = applied[: len(applied) - undone], applied[len(applied) - undone]
    if (image := books.image(first.before)) is not None or not stay:
        return image
    began = books.image(stay[0].before)
    if began is None or began.items:
        return None  # something stood there that no script of ours makes
    try:
        with session.scratch(with_rows=False, scripts=[row.migration.up for row in stay], empty=True) as copy:
            return copy.fingerprint()
    except (SqlFailure, LastgoodError):
        return None  # no room for a copy, or scripts that need the rows that were there


def _without_kept(script: Script, session: Session) -> Script:
    """What a script loses in managed mode is what its other statements lose."""
    if not script.transactional:
        return script
    return replace(script, statements=left_over(script, session.dialect))


def _drift(session: Session, books: Books, applied: Sequence[Applied]) -> Comparison | None:
    wanted: Fingerprint | None = books.image(applied[-1].after) if applied else None
    return compare(wanted, session.fingerprint()) if wanted and applied[-1].state == "applied" else None


def _refuse_drift(session: Session, books: Books, applied: Sequence[Applied], agreed: Consent) -> None:
    drift = _drift(session, books, applied)
    if drift is not None and drift.likeness == "different" and not agreed.drift:
        raise Refused(
            f"the schema was changed by hand since {applied[-1].migration.label}: {drift.names()}",
            where=session.place,
            next="undo that change or put it into a migration; --accept-drift goes on all the same",
        )


def _refuse_foreseen(session: Session, moves: Sequence[Move], agreed: Consent) -> None:
    """Before anything runs: what the scripts that cannot be tried in a transaction say that they take away."""
    scripts = [move.script for move in moves if not move.script.transactional]
    if not agreed.loss and (losses := foreseen(session, scripts)):
        refuse_loss(losses, session.place)


def _needed(history: History | None) -> History:
    if history is None:
        raise Refused("there is no folder of migrations to go up with", next="name it: --migrations FOLDER")
    return history
