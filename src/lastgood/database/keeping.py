"""What scripts drop and make, as far as it can be kept and put back: columns and tables, one at a time. Pure.

In managed mode a column or table that a script drops is renamed instead, and where the script of the other direction
makes it anew, it is renamed back with its rows. What is not recognised here runs as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lastgood.database.hazards import NAME, PART, unquoted, unquoted_parts
from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments

KEPT = "lastgood_kept_"
"""What the names of kept columns, tables (SQLite) and schemas of tables (PostgreSQL) begin with."""
# Texts, not compiled here: without managed mode nothing asks for them.
_DROP_TABLE = rf"(?is)drop\s+table\s+(?:if\s+exists\s+)?({NAME})\s*(?:restrict\s*)?"
_ONE_DROP = rf"drop\s+(?:column\s+)?(?!constraint\b)(?:if\s+exists\s+)?({NAME})\s*(?:restrict\s*)?"
_DROP_COLUMNS = rf"(?is)alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?({NAME})\s+({_ONE_DROP}(?:,\s*{_ONE_DROP})*)"
_EACH_DROP = rf"(?is){_ONE_DROP}"
_FILL = rf"(?im)^[ \t]*--[ \t]*lastgood:fill[ \t]+({PART}(?:\.{PART}){{1,2}})[ \t]*=[ \t]*(.+?)[ \t]*$"
_PLAIN = r"[a-z_][a-z0-9_$]*"


@dataclass(frozen=True, slots=True)
class Thing:
    """A table, or (with ``column``) a column; names as the catalog has them, a schema left on if it was written."""

    table: str
    column: str = ""

    def __str__(self) -> str:
        """``column goods.price``."""
        return f"column {self.table}.{self.column}" if self.column else f"table {self.table}"

    @property
    def written(self) -> str:
        """As SQL has it, with quotes where it needs them."""
        parts = (*self.table.split("."), *([self.column] if self.column else []))
        return ".".join(p if re.fullmatch(_PLAIN, p) else '"' + p.replace('"', '""') + '"' for p in parts)

    def is_same(self, other: Thing) -> bool:
        """Whether both mean one thing, a schema written or not, in any case."""
        mine, theirs = self.table.lower(), other.table.lower()
        if "." not in mine or "." not in theirs:
            mine, theirs = mine.rpartition(".")[2], theirs.rpartition(".")[2]
        return mine == theirs and self.column.lower() == other.column.lower()


def dropped(statement: Statement, dialect: Dialect) -> tuple[Thing, ...]:
    """What a statement drops, if that is all that it does and it says no CASCADE."""
    sql = without_comments(statement.sql, dialect)
    if match := re.fullmatch(_DROP_TABLE, sql):
        return (Thing(unquoted(match[1])),)
    if match := re.fullmatch(_DROP_COLUMNS, sql):
        return tuple(Thing(unquoted(match[1]), unquoted(each[1])) for each in re.finditer(_EACH_DROP, match[2]))
    return ()


def fills(scripts: Iterable[Script]) -> dict[Thing, str]:
    """``{column: expression}`` of the marks ``-- lastgood:fill goods.price = 0`` in these scripts."""
    marks = [match for script in scripts for match in re.finditer(_FILL, script.text)]
    return {
        Thing(".".join(table), column): sql for *table, column, sql in ((*unquoted_parts(m[1]), m[2]) for m in marks)
    }
