"""Rehearsing the way back on a scratch copy: up, down, compare, up again. The live database is only read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from lastgood.database.fingerprint import compare
from lastgood.database.keeping import KEPT
from lastgood.database.migration import History, Migration, Script
from lastgood.database.proof import Proof, Rehearsal, Rows, digest_of_scripts, judge
from lastgood.database.standing import plan_up
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.filling import copy_rows, fill
from lastgood.effects.databases.keeping import Managing
from lastgood.effects.databases.session import Session, SqlFailure, perform
from lastgood.errors import LastgoodError, Refused

RowSource = Literal["live", "generated", "none"]
SAMPLE = 100
"""Rows of each table that are copied where the database cannot be copied whole."""
_COMPARED = 5000
_FAILS = ("the way up fails", "the way back fails", "cannot go up again")


def prove_pending(
    session: Session,
    history: History,
    *,
    to: str | None = None,
    rows: RowSource = "live",
    out_of_order: bool = False,
    keep: bool = False,
    try_on: Callable[[Session], Sequence[str]] = lambda copy: (),
) -> Proof | None:
    """The proof of what ``up`` would apply, as one release, on a copy of the database; None: nothing is pending.

    ``keep``: rehearse in managed mode. ``try_on`` gets the migrated copy and says what does not work on it; where
    something does not, the copy is made again, to find the oldest migration that it does not work with.
    """
    try:
        applied = Books(session).applied()
        pending = [move.migration for move in plan_up(history, applied, to, out_of_order=out_of_order)]
        if not pending:
            return None
        ups = [row.migration.up for row in applied]
        with _copied(session, ups, rows) as copy:
            proof = prove_on(copy, pending, keep=keep)
            wrong = try_on(copy) if proof.verdict != "broken" else ()
        if not wrong:
            return proof
        if len(pending) == 1:
            return replace(proof, breaks={pending[0].version: "; ".join(wrong)})
        with _copied(session, ups, rows) as copy:
            return replace(proof, breaks=_oldest_unbearable(copy, pending, try_on, keep=keep))
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


@contextmanager
def _copied(session: Session, ups: Sequence[Script], rows: RowSource) -> Iterator[Session]:
    """A scratch copy of a database, with the rows that were wished for."""
    with session.scratch(with_rows=rows == "live", scripts=ups) as copy:
        _refuse_unlike(session, copy)
        if rows == "live" and session.dialect == "postgresql":
            copy_rows(session, copy, SAMPLE)
        elif rows == "generated":
            fill(copy)
        yield copy


def _oldest_unbearable(
    copy: Session, pending: Sequence[Migration], try_on: Callable[[Session], Sequence[str]], *, keep: bool
) -> dict[str, str]:
    """The oldest of several migrations after which something does not work, and what; none where it works again."""
    books = Books(copy)
    if keep:
        books.open()
    for migration in pending:
        kept = keep and migration.up.transactional
        run_plainly(copy, migration.up, Managing(copy, books, migration, migration.up, None) if kept else None)
        if wrong := try_on(copy):
            return {migration.version: "; ".join(wrong)}
    return {}


def _refuse_unlike(session: Session, copy: Session) -> None:
    found = compare(session.fingerprint(), copy.fingerprint())
    if found.likeness == "different":
        raise Refused(
            f"the copy has another schema, so that nothing would be proven: {found.names()}",
            where=session.place,
            next="put what was changed by hand into a migration; db verify shows it",
        )


def prove_history(
    session: Session, history: History, groups: Sequence[Sequence[str]] | None = None, *, rows: RowSource = "generated"
) -> tuple[Proof, ...]:
    """Proofs of a whole history from an empty database on, one for each group of versions (default: each alone).

    ``session`` only says where scratch databases are made. A release that fails with generated rows is proven again
    without: rows of chance may be those that it rightly refuses. An up that fails without rows ends the history.
    """
    names = groups if groups is not None else [[m.version] for m in history.migrations]
    releases = [[m for version in group if (m := history.find(version))] for group in names]
    proofs: list[Proof] = []
    start, bare = 0, False
    try:
        while start < len(releases):
            before = [m.up for release in releases[:start] for m in release]
            with session.scratch(with_rows=False, scripts=before, empty=True) as copy:
                start, bare = _prove_until_broken(copy, releases, start, proofs, "none" if bare else rows, once=bare)
    except SqlFailure as failure:
        raise explain(failure, session.place) from None
    return tuple(proofs)


def _prove_until_broken(
    copy: Session,
    releases: Sequence[Sequence[Migration]],
    start: int,
    proofs: list[Proof],
    rows: RowSource,
    *,
    once: bool = False,
) -> tuple[int, bool]:
    """Where to go on, and whether without rows: a broken release leaves the copy in a state of which nothing is known.

    ``once``: only the first one, which was broken with rows.
    """
    for position in range(start, len(releases)):
        if rows == "generated":
            fill(copy)
        proof = prove_on(copy, releases[position])
        failed = any(reason.startswith(_FAILS) for reason in proof.reasons)
        if proof.verdict == "broken" and failed and rows == "generated":
            return position, True
        proofs.append(proof)
        if proof.verdict == "broken":
            can_go_on = not any(reason.startswith(_FAILS[0]) for reason in proof.reasons)
            return (position + 1 if can_go_on else len(releases)), False
        if once:
            return position + 1, False
    return len(releases), False


def prove_on(copy: Session, migrations: Sequence[Migration], *, keep: bool = False) -> Proof:
    """Rehearse on a copy; afterwards the migrations are applied there, unless they are broken."""
    started = time.monotonic()
    books = Books(copy)
    if keep:
        books.open()

    def run(migration: Migration, script: Script) -> None:
        run_plainly(
            copy, script, Managing(copy, books, migration, script, None) if keep and script.transactional else None
        )

    versions, digest = tuple(m.version for m in migrations), digest_of_scripts(migrations)

    def took_ms() -> int:
        return int((time.monotonic() - started) * 1000)

    no_way_back = [f"{m.label}: {m.no_way_back}" for m in migrations if m.no_way_back]
    marked = all(m.irreversible is not None for m in migrations if m.no_way_back)
    before, rows_before = copy.fingerprint(), read_rows(copy)
    try:
        for migration in migrations:
            run(migration, migration.up)
    except LastgoodError as error:
        return Proof(versions, digest, "broken", (f"{_FAILS[0]}: {_line(error)}",), took_ms=took_ms())
    if no_way_back:
        return Proof(versions, digest, "irreversible" if marked else "broken", tuple(no_way_back), took_ms=took_ms())
    upped = copy.fingerprint()
    try:
        for migration in reversed(migrations):
            if migration.down is not None:
                run(migration, migration.down)
    except LastgoodError as error:
        return Proof(versions, digest, "broken", (f"{_FAILS[1]}: {_line(error)}",), took_ms=took_ms())
    back, rows_back = copy.fingerprint(), read_rows(copy)
    again, failure = None, None
    try:
        for migration in migrations:
            run(migration, migration.up)
        again = copy.fingerprint()
    except LastgoodError as error:
        failure = _line(error)
    return judge(migrations, Rehearsal(before, upped, back, again, rows_before, rows_back, failure), took_ms())


def _line(error: LastgoodError) -> str:
    return f"{error.where}: {error.what}" if error.where else error.what


def run_plainly(session: Session, script: Script, managing: Managing | None = None) -> None:
    """Run a script on a scratch copy: as the runner would, but without an entry. Raises ``LastgoodError``."""
    statement = None
    try:
        together = script.transactional
        settings = [statement.setting for statement in script.statements]
        begun = False
        for statement, setting in zip(script.statements, settings, strict=True):
            if together and not setting and not begun:
                session.begin()
                begun = True
            if setting and begun:
                session.commit()
                begun = False
            for each in managing.turn(statement) if managing else (statement,):
                perform(session, each)
        if managing is not None:
            managing.record()
        if begun:
            session.commit()
        session.reset()
    except Refused:
        session.rollback()
        session.reset()
        raise
    except SqlFailure as failure:
        session.rollback()
        session.reset()
        raise explain(failure, session.place, statement, script.source) from None


def read_rows(session: Session) -> Rows:
    """Up to 5,000 rows of every table, without regard to the order of rows and columns, and to what is put aside."""
    names: dict[str, list[str]] = {}
    for column in session.columns():
        if not column.name.startswith(KEPT):
            names.setdefault(column.table, []).append(column.name)
    return {
        table: Counter(
            tuple(zip(sorted(own), row, strict=True))
            for row in session.rows(table, sorted(own), _COMPARED, ordered=True)
        )
        for table, own in sorted(names.items())
    }
