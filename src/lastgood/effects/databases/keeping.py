"""Managed mode: what a script drops is put aside under a kept name, and put back where the other direction makes it.

What was put aside stands in the books with the statements that put it back, so that any build can; ``finalize`` drops
it for good. All of it happens in the transaction of the script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lastgood.database.keeping import Thing, dropped, fills, is_about, made
from lastgood.database.migration import Migration, Statement
from lastgood.effects.databases.books import Books, Kept
from lastgood.effects.databases.putting_aside import Aside, put_aside
from lastgood.effects.databases.session import Session


class Managing:
    """One run of one script in managed mode: each statement is looked at just before it runs.

    Without ``keep`` nothing more is put aside; what was comes back all the same.
    """

    def __init__(
        self, session: Session, books: Books, migration: Migration, release: str | None, *, keep: bool = True
    ) -> None:
        self._keep = keep
        self._session, self._books, self._version, self._release = session, books, migration.version, release
        self._known = [kept for kept in books.kept() if kept.version == migration.version]
        self._fills = fills(script for script in (migration.up, migration.down) if script is not None)
        self._next = books.next_kept()
        self.aside: list[Kept] = []
        self.back: list[Kept] = []

    def turn(self, statement: Statement) -> Sequence[Statement]:
        """What runs in its place: a renaming for a drop, a renaming back for the making of what was kept, or itself.

        Raises ``Refused`` where something depends on what is dropped, or rows born since could not be filled.
        """
        dialect = self._session.dialect
        if any(not kept.thing.column and is_about(statement, kept.thing, dialect) for kept in self.back):
            return ()  # a kept table has its indexes and rows still
        thing = made(statement, dialect)
        found = next((kept for kept in self._known if thing is not None and kept.thing.is_same(thing)), None)
        if found is not None:
            self.back.append(found)
            return [Statement(sql, statement.line) for sql in found.put_back]
        things = dropped(statement, dialect) if self._keep else ()
        if not things:
            return (statement,)
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
        self.aside.append(Kept(number, self._version, aside.thing, aside.put_back, aside.drop, self._release))
        return aside.take_off

    def record(self) -> None:
        """Write down what is kept now and what is back."""
        for kept in self.back:
            self._books.forget_kept(kept.number)
        for kept in self.aside:
            self._books.keep(kept)

    def notes(self) -> Iterator[str]:
        """For a person."""
        yield from (f"kept {kept.thing}: db finalize drops it" for kept in self.aside)
        yield from (f"put back {kept.thing} with its rows" for kept in self.back)


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
        for sql in kept.drop:
            session.execute(sql)
        books.forget_kept(kept.number)
        session.commit()
        gone.append(kept)
    return tuple(gone), tuple(stays)
