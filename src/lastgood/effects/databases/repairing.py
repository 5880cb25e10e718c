"""Repair: what a killed run left half done is finished or reverted, invalid indexes are built again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import explain
from lastgood.effects.databases.resuming import resume
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import Failed


@dataclass(frozen=True)
class Repaired:
    """What was mended: the half-done migration, in words, and the indexes that were built again or removed."""

    resumed: str | None
    rebuilt: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to mend."""
        return not (self.resumed or self.rebuilt or self.removed)


def repair(session: Session, settle: str | None = None, report: Callable[[str], None] = lambda line: None) -> Repaired:
    """Mend what can be mended without losing anything; raises ``Failed`` for an index whose rows do not allow it.

    ``settle`` as for ``up``. Leftovers of a failed rebuild (``_ccnew``, ``_ccold``) are removed.
    """
    rebuilt: list[str] = []
    removed: list[str] = []
    try:
        with session.lock():
            books = Books(session)
            resumed = resume(session, books, books.applied(), settle, report)
            for name in session.invalid_indexes():
                if name.strip('"').rstrip("0123456789").endswith(("_ccnew", "_ccold")):
                    session.execute(f"DROP INDEX CONCURRENTLY {name}")
                    removed.append(name)
                    continue
                report(f"building index {name} again")
                _rebuild(session, name)
                rebuilt.append(name)
            return Repaired(resumed, tuple(rebuilt), tuple(removed))
    except SqlFailure as failure:
        raise explain(failure, session.place) from None


def _rebuild(session: Session, name: str) -> None:
    try:
        session.execute(f"REINDEX INDEX CONCURRENTLY {name}")
    except SqlFailure as failure:
        for left in session.invalid_indexes():  # what the failed rebuild itself leaves behind
            if left.strip('"').rstrip("0123456789").endswith("_ccnew"):
                session.execute(f"DROP INDEX CONCURRENTLY {left}")
        if failure.trouble != "wrong":
            raise
        raise Failed(
            f"index {name} cannot be built: {failure.message}",
            where=session.place,
            next=f"mend the rows and run the same command again, or DROP INDEX CONCURRENTLY {name}",
        ) from None
