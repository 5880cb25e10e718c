"""Scripts without a transaction: what becomes of them when they fail or their runner is killed half way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lastgood.database.migration import Script
from lastgood.database.standing import Applied
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import Run, run_stepwise
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import LastgoodError


def run_carefully(session: Session, books: Books, run: Run, settle: str | None) -> None:
    """Run stepwise; failing before any statement took effect leaves nothing half done in the books."""
    try:
        run_stepwise(session, books, run, settle=settle)
    except (LastgoodError, SqlFailure) as failure:
        if isinstance(failure, SqlFailure) and failure.trouble == "gone":
            raise
        progress = books.progress(run.migration, run.direction)
        if "done" not in progress.values():
            _nothing_happened(books, run)
        raise


def _nothing_happened(books: Books, run: Run) -> None:
    if run.direction == "up":
        books.end_down(run.migration)
    else:
        books.set_state(run.migration, "applied")
        books.clear_progress(run.migration)


def resume(
    session: Session,
    books: Books,
    applied: Sequence[Applied],
    settle: str | None,
    report: Callable[[str], None],
) -> str | None:
    """Finish what a killed runner left, or revert it when nothing had taken effect; says which."""
    for row in applied:
        if row.state != "applied":
            said = _resume_one(session, books, row, settle)
            report(said)
            return said
    return None


def _resume_one(session: Session, books: Books, row: Applied, settle: str | None) -> str:
    label = row.migration.label
    going_up = row.state == "applying"
    progress = books.progress(row.migration, "up" if going_up else "down")

    def finish_up(took_ms: int) -> None:
        books.end_up(row.migration, books.keep_image(session.fingerprint()))
        books.note(row.migration, "resumed up", took_ms, row.release)

    def finish_down(took_ms: int) -> None:
        books.end_down(row.migration)
        books.note(row.migration, "resumed down", took_ms, row.release)

    if going_up:
        run = Run(row.migration, row.migration.up, "up", finish_up)
    else:
        script = row.migration.down or Script("", (), row.migration.up.source)
        run = Run(row.migration, script, "down", finish_down)
    if not progress:
        _nothing_happened(books, run)
        doing = "applied" if going_up else "undone"
        return f"reverted {label}: an earlier run was killed before anything of it was {doing}"
    done = sum(state == "done" for state in progress.values())
    run_carefully(session, books, run, settle)
    doing = "applied" if going_up else "undone"
    return f"resumed {label}: an earlier run was killed while it was being {doing}, with {done} statements done"
