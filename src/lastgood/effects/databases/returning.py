"""What comes back from where it was put aside, and what becomes of the statements that follow about it.

A table comes back as it stood when the script of the other direction dropped it: with its rows, its indexes, and
whatever else that script had not undone before. Of what the running script says about it only what is missing is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lastgood.database.actions import Action, actions, beside, names_to_come, only
from lastgood.database.fingerprint import Item
from lastgood.database.hazards import unquoted_parts
from lastgood.database.keeping import KEPT, Thing, dropped
from lastgood.database.migration import Script, Statement
from lastgood.effects.databases.books import Kept
from lastgood.effects.databases.session import Session, SqlFailure
from lastgood.effects.databases.sqlite_schema import quote as quoted

Renames = list[tuple[str, str, str]]
_KINDS = {"adds column": "column", "adds constraint": "constraint", "adds index": "index", "adds trigger": "trigger"}


@dataclass
class _Back:
    """A table of which something is back: all of it (``whole``) or ``columns``.

    ``as_it_was``: the other script undid nothing of it before it dropped it, so that nothing at all is missing.
    """

    table: Thing
    whole: bool = False
    as_it_was: bool = False
    columns: tuple[str, ...] = ()


class Returning:
    """One run of one script: ``known`` is what its migration has put aside, ``other`` the script that did."""

    def __init__(self, session: Session, known: Sequence[Kept], other: Script | None) -> None:
        self._session, self._known, self._other = session, known, other
        self._tables: list[_Back] = []
        self.back: list[Kept] = []

    def turn(self, statement: Statement, later: Sequence[Statement]) -> Sequence[Statement]:
        """What runs in place of a statement; ``later`` are those that follow it."""
        found = actions(statement, self._session.dialect)
        if not self._known or not found:
            return (statement,)
        first: list[Statement] = []
        rest: list[Action] = []
        for action in found:
            kept = self._makes(action, later)
            if kept is not None and action.makes is not None:
                first += [Statement(sql, statement.line) for sql in self._put_back(*kept, action.makes)]
            elif self._is_missing(action, statement):
                rest.append(action)
        if len(rest) == len(found):
            return self._saving(statement, found[0])
        return (*first, only(rest, statement)) if rest else first

    def has_all(self, table: str) -> bool:
        """Whether a table is back to which nothing of the script is left to do: what it drops went with it before."""
        back = self._of(table)
        return back is not None and back.whole and back.as_it_was

    def _makes(self, action: Action, later: Sequence[Statement]) -> tuple[Kept, Renames] | None:
        """What was put aside of that which it makes, by the name it has now or gets; and the renamings until then."""
        if (thing := action.makes) is None:
            return None
        renames = names_to_come(thing, later, self._session.dialect)
        for count in range(len(renames) + 1):
            named = _renamed(thing, renames[:count])
            for kept in self._known:
                if kept not in self.back and kept.thing.is_same(named):
                    return kept, renames[:count]
        return None

    def _put_back(self, kept: Kept, renames: Renames, made: Thing) -> list[str]:
        """With the name that the script goes on from (``made``): it was put aside, and is kept, with a later one."""
        self.back.append(kept)
        ahead = [(of, old, new) for of, old, new in renames if not of] if made.column else []
        put = [_rename(one) for one in ahead] + list(kept.put_back)
        put += [_rename((of, new, old)) for of, old, new in reversed(renames)]
        self._remember(made, as_it_was=not renames and self._nothing_undone(kept.thing))
        return put

    def _remember(self, thing: Thing, *, as_it_was: bool) -> None:
        there = self._of(thing.table)
        if there is None:
            there = _Back(Thing(thing.table))
            self._tables.append(there)
        if thing.column:
            there.columns += (thing.column,)
        else:
            there.whole, there.as_it_was = True, as_it_was

    def _nothing_undone(self, thing: Thing) -> bool:
        """Whether the other script did nothing before it dropped this but drop other things that are kept."""
        for statement in self._other.statements if self._other is not None else ():
            things = dropped(statement, self._session.dialect)
            if any(each.is_same(thing) for each in things):
                return True
            if not things:
                return False
        return False

    def _of(self, table: str) -> _Back | None:
        return next((back for back in self._tables if back.table.is_same(Thing(table))), None)

    def _is_missing(self, action: Action, statement: Statement) -> bool:
        """Whether there is anything left to do: not of what a thing that is back has already."""
        back = self._of(action.table)
        if back is None:
            return True
        if action.does == "renames table":
            back.table = Thing(beside(action.table, action.new))
        if action.does == "renames column":
            back.columns = tuple(action.new if c.lower() == action.name.lower() else c for c in back.columns)
        if back.whole and (back.as_it_was or action.does in ("inserts", "updates", "deletes")):
            return False
        if action.does in _KINDS:
            return not self._stands(_KINDS[action.does], action)
        return action.does != "adds unnamed" or self._adds_something(only([action], statement), action)

    def _stands(self, kind: str, action: Action) -> bool:
        wanted = (kind, *_plain(action.table, action.name))
        return any((item.kind, *self._names(item)) == wanted for item in self._session.fingerprint().items)

    def _names(self, item: Item) -> tuple[str, str]:
        """Table and name of an item of the schema, as an action has them: PostgreSQL's are written with quotes."""
        if self._session.dialect == "sqlite":
            return _plain(item.owner, item.name)
        owner, name = unquoted_parts(item.owner), unquoted_parts(item.name)
        return _plain(owner[-1] if owner else "", name[-1] if item.kind == "index" else item.name)

    def _adds_something(self, statement: Statement, action: Action) -> bool:
        """Tried and taken back: what has no name of its own gets another one each time that it is made."""
        before = self._definitions(action.table)
        self._session.execute("SAVEPOINT lastgood_tried")
        try:
            self._session.execute(statement.sql)
            return self._definitions(action.table) != before
        except SqlFailure as failure:
            if failure.trouble != "wrong":
                raise
            return False  # a second primary key, say; what is truly wrong is found by the comparison at the end
        finally:
            self._session.execute("ROLLBACK TO SAVEPOINT lastgood_tried")

    def _definitions(self, table: str) -> set[tuple[str, str]]:
        own = _plain(table, "")[0]
        items = (item for item in self._session.fingerprint().items if self._names(item)[0] == own)
        return {(i.kind, i.definition.partition(" ON ")[2] or i.definition) for i in items}

    def _saving(self, statement: Statement, action: Action) -> Sequence[Statement]:
        """An UPDATE that fills a column as if it were new leaves alone what the column came back with."""
        back = self._of(action.table)
        if back is None or action.does != "updates":
            return (statement,)
        table = back.table.written
        before: list[str] = []
        after: list[str] = []
        for number, column in enumerate(c for c in back.columns if _names(statement, c)):
            own, saved = quoted(column), f"{KEPT}saved_{number}"
            kind = self._type(table, column)
            before.append(f"ALTER TABLE {table} ADD COLUMN {saved} {kind}")
            before.append(f"UPDATE {table} SET {saved} = {own}")  # noqa: S608
            after.append(f"UPDATE {table} SET {own} = {saved} WHERE {saved} IS NOT NULL")  # noqa: S608
            after.append(f"ALTER TABLE {table} DROP COLUMN {saved}")
        wrapped = [Statement(sql, statement.line) for sql in before], [Statement(sql, statement.line) for sql in after]
        return (*wrapped[0], statement, *wrapped[1])

    def _type(self, table: str, column: str) -> str:
        if self._session.dialect == "sqlite":
            return ""  # none at all: every value stays what it is
        rows = self._session.query(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?",
            table,
            column,
        )
        return str(rows[0][0])

    def forget(self, thing: Thing) -> None:
        """It is dropped again by the same script."""
        self._tables = [back for back in self._tables if thing.column or not back.table.is_same(thing)]


def _names(statement: Statement, column: str) -> bool:
    sql = statement.sql.lower()
    return column.lower() in sql or quoted(column).lower() in sql


def _plain(table: str, name: str) -> tuple[str, str]:
    return table.rpartition(".")[2].lower(), name.lower()


def _renamed(thing: Thing, renames: Sequence[tuple[str, str, str]]) -> Thing:
    for of, _, new in renames:
        thing = Thing(thing.table, new) if of else Thing(new, thing.column)
    return thing


def _rename(one: tuple[str, str, str]) -> str:
    of, old, new = one
    if not of:
        return f"ALTER TABLE {Thing(old).written} RENAME TO {quoted(new.rpartition('.')[2])}"
    return f"ALTER TABLE {Thing(of).written} RENAME COLUMN {quoted(old)} TO {quoted(new)}"
