"""Up, down, status and verify of one database: what people and the release engine call.

Every function takes an open session. What it does not refuse it does whole, or says how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from lastgood.database.fingerprint import Comparison, Fingerprint, compare
from lastgood.database.hazards import Hazard, hazards
from lastgood.database.keeping import dropped
from lastgood.database.migration import NOTHING, History, Script
from lastgood.database.standing import Applied, Entry, Move, entries, plan_down, plan_up
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import Run, explain, run_together
from lastgood.effects.databases.keeping import Managing
from lastgood.effects.databases.losses import Loss, foreseen, refuse_loss
from lastgood.effects.databases.resuming import resume, run_carefully
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import Refused

_IMAGES = 20
"""With more migrations than this in one go, the schema's image is taken at the ends only (20-55 ms on PostgreSQL)."""
_TOGETHER = 50
"""As many downs share one transaction; each holds locks, of which PostgreSQL has a limited number."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person has agreed to; nothing by default."""

    loss: bool = False
    drift: bool = False
    out_of_order: bool = False
    keep: bool = False
    """Managed mode: put aside what is dropped, instead of losing it."""
    use: Literal["stored", "checkout"] | None = None
    settle: Literal["done", "again"] | None = None


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
            _up_all(session, books, moves, agreed, release, report)
            return Outcome(version_of(applied), books.newest(), moves, resumed)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def _up_all(
    session: Session,
    books: Books,
    moves: Sequence[Move],
    agreed: Consent,
    release: str | None,
    report: Callable[[str], None],
) -> None:
    images: list[str | None] = [books.keep_image(session.fingerprint())]
    kept = frozenset(one.version for one in books.kept())
    for position, move in enumerate(moves):
        migration = move.migration
        take = len(moves) <= _IMAGES or position == len(moves) - 1
        nothing = migration.up.does_nothing and migration.up.empty_because is None
        report(f"up {migration.label}{': its script does nothing' if nothing else ''}")

        def finish(took_ms: int, move: Move = move, before: str | None = images[-1], take: bool = take) -> None:
            after = books.keep_image(session.fingerprint()) if take else None
            images.append(after)
            if move.migration.up.transactional:
                books.enter_up(move.migration, before, after, release, took_ms)
            else:
                books.end_up(move.migration, after)
                books.note(move.migration, "up", took_ms, release)

        managing = _managing(session, books, move, agreed, release, kept)
        run = Run(migration, migration.up, "up", finish, managing)
        if migration.up.transactional:
            run_together(session, [run], accept_loss=agreed.loss)
        else:
            books.begin_up(migration, images[-1], release)
            run_carefully(session, books, run, agreed.settle)


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
    compared with the image from before the ups; see :attr:`Outcome.came_back`.
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
            kept = frozenset(one.version for one in books.kept())
            for group in _groups(moves, alone=agreed.keep or bool(kept)):
                _down_group(session, books, group, agreed, release, report, kept)
            first = applied[len(applied) - len(moves)]
            wanted = books.image(first.before)
            found = compare(wanted, session.fingerprint()) if wanted else None
            return Outcome(version_of(applied), books.newest(), moves, resumed, found)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def _groups(moves: Sequence[Move], *, alone: bool) -> list[list[Move]]:
    """Neighbours that can share a transaction; ``alone``: each has its own."""
    groups: list[list[Move]] = []
    for move in moves:
        shares = not alone and groups and len(groups[-1]) < _TOGETHER
        if shares and move.script.transactional and groups[-1][-1].script.transactional:
            groups[-1].append(move)
        else:
            groups.append([move])
    return groups


def _down_group(
    session: Session,
    books: Books,
    group: Sequence[Move],
    agreed: Consent,
    release: str | None,
    report: Callable[[str], None],
    kept: Set[str],
) -> None:
    def finish(took_ms: int, move: Move) -> None:
        books.leave_down(move.migration, took_ms, release)

    runs = [
        Run(
            move.migration,
            move.script,
            "down",
            partial(finish, move=move),
            _managing(session, books, move, agreed, release, kept),
        )
        for move in group
    ]
    for move in group:
        report(f"down {move.migration.label}")
    if group[0].script.transactional:
        run_together(session, runs, accept_loss=agreed.loss)
    else:
        books.set_state(group[0].migration, "reverting")
        run_carefully(session, books, runs[0], agreed.settle)


def _without_kept(script: Script, session: Session) -> Script:
    """What a script loses in managed mode is what its other statements lose."""
    if not script.transactional:
        return script
    rest = tuple(statement for statement in script.statements if not dropped(statement, session.dialect))
    return replace(script, statements=rest)


def _managing(
    session: Session, books: Books, move: Move, agreed: Consent, release: str | None, kept: Set[str]
) -> Callable[[], Managing] | None:
    """Managed mode, where it was asked for or something of this migration is kept (versions, read once)."""
    if not agreed.keep and move.migration.version not in kept:
        return None
    return partial(Managing, session, books, move.migration, release, keep=agreed.keep)


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
