"""What one statement does to one table, action by action. Pure. What is not recognised has no actions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lastgood.database.hazards import NAME, PART, unquoted_parts
from lastgood.database.keeping import Thing, dropped
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments

Does = Literal[
    "creates table",
    "adds column",
    "adds constraint",
    "adds index",
    "adds trigger",
    "adds unnamed",
    "renames table",
    "renames column",
    "inserts",
    "updates",
    "deletes",
    "other",
]
_INDEX = r"create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?"
_TRIGGER = r"create\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\s+(?:if\s+not\s+exists\s+)?"
# Texts, not compiled here: without managed mode nothing asks for them.
_OF_ONE: tuple[tuple[Does, str], ...] = (
    ("creates table", rf"(?is)create\s+(?:virtual\s+)?table\s+(?:if\s+not\s+exists\s+)?(?P<t>{NAME})\s*(?:\(|using\s)"),
    ("adds unnamed", rf"(?is){_INDEX}on\s+(?:only\s+)?(?P<t>{NAME})"),
    ("adds index", rf"(?is){_INDEX}(?P<n>{NAME})\s+on\s+(?:only\s+)?(?P<t>{NAME})"),
    ("adds trigger", rf"(?is){_TRIGGER}(?P<n>{NAME})\s.*?\son\s+(?P<t>{NAME})"),
    ("inserts", rf"(?is)insert\s+(?:or\s+\w+\s+)?into\s+(?P<t>{NAME})"),
    ("updates", rf"(?is)update\s+(?:or\s+\w+\s+)?(?:only\s+)?(?P<t>{NAME})"),
    ("deletes", rf"(?is)(?:delete\s+from|truncate(?:\s+table)?)\s+(?:only\s+)?(?P<t>{NAME})"),
    ("other", rf"(?is)(?:comment\s+on\s+table\s+|grant\s+.*?\son\s+(?:table\s+)?)(?P<t>{NAME})"),
)
_ALTER = rf"(?is)alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?({NAME})\s+"
_OF_SEVERAL: tuple[tuple[Does, str], ...] = (
    ("adds constraint", rf"(?is)add\s+constraint\s+(?P<n>{NAME})"),
    ("adds unnamed", r"(?is)add\s+(?:primary|unique|foreign|check|exclude)\b"),
    ("adds column", rf"(?is)add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?(?P<n>{NAME})(?=\s|$)"),
    ("renames table", rf"(?is)rename\s+to\s+(?P<new>{NAME})"),
    ("renames column", rf"(?is)rename\s+(?:column\s+)?(?!constraint\b)(?P<n>{NAME})\s+to\s+(?P<new>{NAME})"),
    ("other", r"(?is)"),
)


@dataclass(frozen=True, slots=True)
class Action:
    """``table``, ``name`` (of a column, index, constraint or trigger) and ``new`` as the catalog has them.

    ``sql`` is the action alone, where its statement has several; ``head`` what stands before them.
    """

    does: Does
    table: str
    name: str = ""
    new: str = ""
    sql: str = ""
    head: str = ""

    @property
    def makes(self) -> Thing | None:
        """The table or column that it makes."""
        return Thing(self.table, self.name) if self.does in ("creates table", "adds column") else None


def actions(statement: Statement, dialect: Dialect) -> tuple[Action, ...]:
    """What a statement does, in order; only ``ALTER TABLE`` does several things at once."""
    sql = without_comments(statement.sql, dialect)
    if match := re.match(_ALTER, sql):
        table, head = _name(match[1], dialect), sql[: match.end()]
        found = (_action(_OF_SEVERAL, each, dialect) for each in _parts(sql[match.end() :]))
        return tuple(replace(action, table=table, head=head) for action in found if action is not None)
    one = _action(_OF_ONE, sql, dialect)
    return () if one is None else (one,)


def _action(patterns: Sequence[tuple[Does, str]], sql: str, dialect: Dialect) -> Action | None:
    for does, pattern in patterns:
        if match := re.match(pattern, sql):
            said = {name: _name(text, dialect) for name, text in match.groupdict().items()}
            return Action(does, said.get("t", ""), said.get("n", ""), said.get("new", ""), sql)
    return None


def _name(text: str, dialect: Dialect) -> str:
    """As the catalog has it: PostgreSQL folds what is not quoted."""
    parts = zip(re.findall(PART, text), unquoted_parts(text), strict=True)
    return ".".join(p.lower() if dialect == "postgresql" and p == raw else p for raw, p in parts)


def _parts(sql: str) -> Iterator[str]:
    """What stands between the commas outside of quotes and parentheses."""
    depth, begin = 0, 0
    for match in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]""", sql):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == "," and depth == 0:
            yield sql[begin : match.start()].strip()
            begin = match.end()
    yield sql[begin:].strip()


def only(some: Sequence[Action], statement: Statement) -> Statement:
    """The statement with these of its actions alone."""
    return Statement(some[0].head + ", ".join(action.sql for action in some), statement.line)


def names_to_come(thing: Thing, script: Sequence[Statement], dialect: Dialect) -> list[tuple[str, str, str]]:
    """How later statements rename a thing: ``(table, old, new)`` of a column, ``("", old, new)`` of a table."""
    found = []
    for action in (action for statement in script for action in actions(statement, dialect)):
        if not Thing(action.table).is_same(Thing(thing.table)):
            continue
        if action.does == "renames table":
            found.append(("", thing.table, beside(thing.table, action.new)))
            thing = Thing(found[-1][2], thing.column)
        elif action.does == "renames column" and Thing("", action.name).is_same(Thing("", thing.column)):
            found.append((thing.table, thing.column, action.new))
            thing = Thing(thing.table, action.new)
    return found


def beside(table: str, new: str) -> str:
    """The name of a table in the same schema."""
    schema, dot, _ = table.rpartition(".")
    return f"{schema}{dot}{new}"


def needs_nothing(statement: Statement, later: Sequence[Statement], dialect: Dialect) -> bool:
    """Whether it empties a table that a later statement drops: what is put aside keeps its rows."""
    emptied = [action.table for action in actions(statement, dialect) if action.does == "deletes"]
    gone = [thing for each in later for thing in dropped(each, dialect) if not thing.column]
    return bool(emptied) and any(thing.is_same(Thing(emptied[0])) for thing in gone)


def left_over(script: Script, dialect: Dialect) -> tuple[Statement, ...]:
    """The statements that managed mode runs as they are written, as far as that can be told by reading them."""
    statements = script.statements
    return tuple(
        statement
        for n, statement in enumerate(statements)
        if not dropped(statement, dialect) and not needs_nothing(statement, statements[n + 1 :], dialect)
    )
