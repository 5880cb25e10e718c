"""Applying and undoing planned moves: each in a transaction of its own, or several that share one.

A kill takes a whole transaction back, with the lines of the books that belong to it; what is reported as done stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

from lastgood.database.hazards import hazards
from lastgood.database.questions import question_in
from lastgood.database.script import settings_around
from lastgood.database.standing import Move
from lastgood.effects.databases.books import Books
from lastgood.effects.databases.execution import Run, run_together
from lastgood.effects.databases.keeping import Managing
from lastgood.effects.databases.resuming import run_carefully
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.errors import LastgoodError

_IMAGES = 20
"""With more migrations than this in one go, the schema's image is taken at the ends only (20-55 ms on PostgreSQL)."""
_TOGETHER = 50
"""As many scripts share one transaction; each holds locks, of which PostgreSQL has a limited number."""


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
class Moving:
    """How the moves of one command are run: with what consent, under which release, reported to whom."""

    session: Session
    books: Books
    agreed: Consent
    release: str | None
    report: Callable[[str], None]

    def up(self, moves: Sequence[Move]) -> None:
        """Apply them in order. Each commits with its entry in the books; into an empty schema, several at once."""
        ups = _Ups(self, moves)
        for group in _groups(moves, self._shares_up if ups.empty else _never):
            if len(group) == 1 or not self._all_at_once(ups, group):
                for move in group:
                    self.report(_said(move))
                    self._one_up(ups, move)

    def _shares_up(self, move: Move) -> bool:
        """Nothing is set, asked, put aside or lost by it: what is lost is told from what stood there before."""
        statements = move.script.statements
        plain = settings_around(statements) == (0, 0) and not any(question_in(one.sql) for one in statements)
        return plain and not self.agreed.keep and not hazards(move.script, self.session.dialect)

    def _all_at_once(self, ups: _Ups, group: Sequence[Move]) -> bool:
        """False: one of them failed and all were taken back; alone, each does (and says) what it always does."""
        try:
            runs = [replace(self._run(move, partial(ups.enter, move)), at_once=True) for move in group]
            run_together(self.session, runs, accept_loss=self.agreed.loss)
        except (LastgoodError, SqlFailure):
            return False
        self._say([_said(move) for move in group])
        return True

    def _one_up(self, ups: _Ups, move: Move) -> None:
        if move.script.transactional:
            run_together(self.session, [self._run(move, partial(ups.enter, move))], accept_loss=self.agreed.loss)
            return
        self.books.begin_up(move.migration, ups.before(move), self.release)
        run_carefully(self.session, self.books, self._run(move, partial(ups.end, move)), self.agreed.settle)

    def down(self, moves: Sequence[Move]) -> None:
        """Undo them in order; what fits one transaction shares it, so that a failure leaves everything as it was."""
        alone = self.agreed.keep or bool(self._kept)
        for group in _groups(moves, _never if alone else _always):
            said = [f"down {move.migration.label}" for move in group]
            runs = [self._run(move, partial(self._leave, move)) for move in group]
            if group[0].script.transactional:
                run_together(self.session, runs, accept_loss=self.agreed.loss)
                self._say(said)  # not before: a refusal takes all of them back
            else:
                self._say(said)
                self.books.set_state(group[0].migration, "reverting")
                run_carefully(self.session, self.books, runs[0], self.agreed.settle)

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.report(line)

    def _leave(self, move: Move, took_ms: int) -> None:
        self.books.leave_down(move.migration, took_ms, self.release)

    def _run(self, move: Move, finish: Callable[[int], None]) -> Run:
        return Run(move.migration, move.script, move.direction, finish, self._managing(move))

    @cached_property
    def _kept(self) -> frozenset[str]:
        """Versions of which something is put aside, read once."""
        return frozenset(one.version for one in self.books.kept())

    def _managing(self, move: Move) -> Callable[[], Managing] | None:
        """Managed mode, where it was asked for or something of this migration is kept."""
        if not self.agreed.keep and move.migration.version not in self._kept:
            return None
        return partial(
            Managing, self.session, self.books, move.migration, move.script, self.release, keep=self.agreed.keep
        )


class _Ups:
    """The images of the schema between the migrations that one command applies, and their entries in the books."""

    def __init__(self, moving: Moving, moves: Sequence[Move]) -> None:
        self._moving, self._books = moving, moving.books
        self._at = {move.migration.version: position for position, move in enumerate(moves)}
        now = moving.session.fingerprint()
        self.empty = not now.items
        """Nobody works with an empty schema, so that nobody waits for a lock that is held over several migrations."""
        self._images: list[str | None] = [self._books.keep_image(now), *[None] * len(moves)]

    def before(self, move: Move) -> str | None:
        """The image before a migration; None when none was taken."""
        return self._images[self._at[move.migration.version]]

    def _after(self, move: Move) -> str | None:
        after, last = self._at[move.migration.version] + 1, len(self._at)
        if last <= _IMAGES or after == last:
            self._images[after] = self._books.keep_image(self._moving.session.fingerprint())
        return self._images[after]

    def enter(self, move: Move, took_ms: int) -> None:
        """Its entry, in the transaction of its script."""
        before, after = self.before(move), self._after(move)
        self._books.enter_up(move.migration, before, after, self._moving.release, took_ms)

    def end(self, move: Move, took_ms: int) -> None:
        """The end of one that was entered before it began, statement by statement."""
        self._books.end_up(move.migration, self._after(move))
        self._books.note(move.migration, "up", took_ms, self._moving.release)


def _said(move: Move) -> str:
    nothing = move.script.does_nothing and move.script.empty_because is None
    return f"up {move.migration.label}{': its script does nothing' if nothing else ''}"


def _always(move: Move) -> bool:
    return True


def _never(move: Move) -> bool:
    return False


def _groups(moves: Sequence[Move], shares: Callable[[Move], bool]) -> list[list[Move]]:
    """Neighbours that share a transaction; scripts that no transaction holds are alone, as is what does not share."""
    groups: list[list[Move]] = []
    open_group = False
    for move in moves:
        joins = move.script.transactional and shares(move)
        if joins and open_group and len(groups[-1]) < _TOGETHER:
            groups[-1].append(move)
        else:
            groups.append([move])
        open_group = joins
    return groups
