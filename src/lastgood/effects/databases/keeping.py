"""Managed mode: what a script drops is put aside under a kept name, and put back where the other direction makes it.

What was put aside stands in the books with the statements that put it back, so that any build can; ``finalize`` drops
it for good. All of it happens in the transaction of the script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lastgood.database.actions import needs_nothing
from lastgood.database.keeping import KEPT, Thing, dropped, fills
from lastgood.database.migration import Migration, Script, Statement
from lastgood.effects.databases.books import Books, Kept
from lastgood.effects.databases.putting_aside import Aside, put_aside
from lastgood.effects.databases.returning import Returning
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite_schema import quote as quoted


class Managing:
    """One run of one script in managed mode: each statement is looked at just before it runs.

    Without ``keep`` nothing more is put aside; what was comes back all the same.
    """

    def __init__(
        self,
        session: Session,
        books: Books,
        migration: Migration,
        script: Script,
        release: str | None,
        *,
        keep: bool = True,
    ) -> None:
        """``script`` is the one of the migration's two that runs."""
        self._session, self._books, self._version, self._release = session, books, migration.version, release
        self._keep, self._script = keep, script
        known = [kept for kept in books.kept() if kept.version == migration.version]
        other = migration.up if script is migration.down else migration.down
        self._returning = Returning(session, known, other)
        self._fills = fills(each for each in (migration.up, migration.down) if each is not None)
        self._next = books.next_kept()
        self.aside: list[Kept] = []

    def turn(self, statement: Statement) -> Sequence[Statement]:
        """What runs in its place: a renaming for a drop, a renaming back for the making of what was kept, or itself.

        To be called for the statements of the script in order. Raises ``Refused`` where something depends on what is
        dropped, or rows born since could not be filled.
        """
        dialect, statements = self._session.dialect, self._script.statements
        later = statements[1 + next(n for n, each in enumerate(statements) if each is statement) :]
        if self._keep and needs_nothing(statement, later, dialect):
            return ()
        things = dropped(statement, dialect) if self._keep else ()
        if not things or self._returning.has_all(things[0].table):
            return self._returning.turn(statement, later)
        put = [self._put(each, self._next + len(self.aside) + n) for n, each in enumerate(things)]
        whole = [each for each in put if each is not None]
        if len(whole) < len(things):
            return (statement,)
        return [Statement(sql, statement.line) for each in whole for sql in self._enter(each)]

    def _put(self, thing: Thing, number: int) -> Aside | None:
        fill = next((sql for named, sql in self._fills.items() if thing.is_same(named)), None)
        return put_aside(self._session, thing, number, fill)

    def _enter(self, aside: Aside) -> tuple[str, ...]:
        number = self._next + len(self.aside)
        self._returning.forget(aside.thing)
        self.aside.append(Kept(number, self._version, aside.thing, aside.put_back, aside.drop, self._release))
        return aside.take_off

    def record(self) -> None:
        """Write down what is kept now and what is back."""
        for kept in self._returning.back:
            self._books.forget_kept(kept.number)
        for kept in self.aside:
            self._books.keep(kept)


def finalize(
    session: Session, books: Books, is_needed: Callable[[Kept], bool]
) -> tuple[tuple[Kept, ...], tuple[Kept, ...]]:
    """Drop for good what no release needs; returns what went and what stays."""
    gone: list[Kept] = []
    stays: list[Kept] = []
    for kept in books.kept():
        if is_needed(kept):
            stays.append(kept)
            continue
        session.begin()
        for sql in _drops(session, kept):
            session.execute(sql)
        books.forget_kept(kept.number)
        session.commit()
        gone.append(kept)
    return tuple(gone), tuple(stays)


def _drops(session: Session, kept: Kept) -> tuple[str, ...]:
    """A column is looked for: later migrations may have renamed its table, or put it aside, or it went with it."""
    if not kept.thing.column:
        return kept.drop
    stand = (c for c in session.columns() if c.name.startswith(f"{KEPT}{kept.number}_"))
    found = next(
        ((quoted(c.table) if session.dialect == "sqlite" else Thing(c.table).written, c.name) for c in stand), None
    )
    return () if found is None else (f"ALTER TABLE {found[0]} DROP COLUMN {quoted(found[1])}",)
