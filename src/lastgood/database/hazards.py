"""What a script may take away: statements that drop, delete or overwrite, found by reading them.

Every statement is known harmless, known to take something away, or ``unknown``. What runs code of its own (``DO``, a
called function) is unknown; nothing unknown is ever called safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments

HazardKind = Literal["drops table", "drops column", "drops rows", "overwrites rows", "drops object", "unknown"]
PART = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
NAME = rf"{PART}(?:\s*\.\s*{PART})?"
"""A name in SQL, quoted or not, with its schema or without."""
# Texts, not compiled here: re keeps what it compiled, and a start that needs none of them does not wait for them.
_DROP_TABLE = rf"(?is)drop\s+(?:foreign\s+)?table\s+(?:if\s+exists\s+)?((?:{NAME})(?:\s*,\s*{NAME})*)"
_ALTER_TABLE = rf"(?is)alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?({NAME})\s+(.*)"
_DROP_COLUMN = (
    rf"(?is)\bdrop\s+(?!constraint\b|default\b|not\b|identity\b|expression\b)(?:column\s+)?(?:if\s+exists\s+)?({NAME})"
)
_DELETE = rf"(?is)(?:delete\s+from|truncate(?:\s+table)?)\s+(?:only\s+)?({NAME})"
_UPDATE = rf"(?is)update\s+(?:only\s+)?({NAME})"
_RETYPE = rf"(?is)\balter\s+(?:column\s+)?({NAME})\s+(?:set\s+data\s+)?type\b"
_DROP_OTHER = rf"(?is)drop\s+(?!table)((?:materialized\s+)?\w+)\s+(?:concurrently\s+)?(?:if\s+exists\s+)?({NAME})"
_HARMLESS = (
    r"(?is)(?:create|comment|grant|revoke|insert|analyze|vacuum|reindex|refresh|pragma|set|reset|lock|alter\s+(?!table)"
    r"|select\s+(?:\d|'|null|(?:pg_catalog\.)?(?:set_config|setval)\b))"
)
_RENAME_TABLE = rf"(?is)rename\s+to\s+({NAME})"
_RENAME_COLUMN = rf"(?is)rename\s+(?:column\s+)?({NAME})\s+to\s+({NAME})"


@dataclass(frozen=True, slots=True)
class Hazard:
    """One thing a statement may take away. ``table`` and ``column`` are unquoted names, empty when there is none."""

    kind: HazardKind
    line: int
    table: str = ""
    column: str = ""
    sql: str = ""

    def __str__(self) -> str:
        """``drops column users.email``."""
        name = f"{self.table}.{self.column}" if self.column else self.table
        return f"{self.kind} {name}".strip() if self.kind != "unknown" else f"may do anything: {self.sql}"


def unquoted(name: str) -> str:
    """A name as the catalog has it, its schema left on: ``"My Table"`` is ``My Table``."""
    return ".".join(unquoted_parts(name))


def unquoted_parts(name: str) -> list[str]:
    """The parts of a name between its dots, each as the catalog has it."""
    return [p[1:-1].replace('""', '"') if p[0] in '"`[' else p for p in re.findall(PART, name)]


def hazards(script: Script, dialect: Dialect) -> tuple[Hazard, ...]:
    """Everything a script may take away, in order."""
    return tuple(hazard for statement in script.statements for hazard in _of(statement, dialect))


def _of(statement: Statement, dialect: Dialect) -> Iterator[Hazard]:
    sql, line = without_comments(statement.sql, dialect), statement.line
    if re.match(_HARMLESS, sql):  # first: most statements are, and no other pattern begins with such a word
        return
    if match := re.match(_DROP_TABLE, sql):
        for name in re.findall(NAME, match[1]):
            yield Hazard("drops table", line, unquoted(name))
    elif match := re.match(_ALTER_TABLE, sql):
        table = unquoted(match[1])
        for column in re.finditer(_DROP_COLUMN, match[2]):
            yield Hazard("drops column", line, table, unquoted(column[1]))
        for column in re.finditer(_RETYPE, match[2]):
            yield Hazard("overwrites rows", line, table, unquoted(column[1]))
    elif match := re.match(_DELETE, sql):
        yield Hazard("drops rows", line, unquoted(match[1]))
    elif match := re.match(_UPDATE, sql):
        yield Hazard("overwrites rows", line, unquoted(match[1]))
    elif match := re.match(_DROP_OTHER, sql):
        if match[1].lower() in ("schema", "database", "type", "materialized view", "sequence", "extension"):
            yield Hazard("drops object", line, f"{match[1].lower()} {unquoted(match[2])}")
    else:
        if sql[:4].lower() == "with":
            for deleted in re.finditer(_DELETE, sql):
                yield Hazard("drops rows", line, unquoted(deleted[1]))
        yield Hazard("unknown", line, sql=" ".join(sql.split())[:80])


def renames(statements: Iterable[Statement], dialect: Dialect) -> tuple[tuple[str, str, str], ...]:
    """``(table, old, new)`` for columns and ``("", old, new)`` for tables, in order."""
    found = []
    for statement in statements:
        match = re.match(_ALTER_TABLE, without_comments(statement.sql, dialect))
        if not match:
            continue
        if table := re.match(_RENAME_TABLE, match[2]):
            found.append(("", unquoted(match[1]), unquoted(table[1])))
        elif column := re.match(_RENAME_COLUMN, match[2]):
            found.append((unquoted(match[1]), unquoted(column[1]), unquoted(column[2])))
    return tuple(found)
