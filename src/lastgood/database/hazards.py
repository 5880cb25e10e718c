"""What a script may take away: statements that drop, delete or overwrite, found by reading them.

Every statement is known harmless, known to take something away, or ``unknown``. What runs code of its own (``DO``, a
called function) is unknown; nothing unknown is ever called safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments

HazardKind = Literal["drops table", "drops column", "drops rows", "overwrites rows", "drops object", "unknown"]
NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+))?'
"""A name in SQL, quoted or not, with its schema or without."""
_DROP_TABLE = re.compile(rf"(?is)drop\s+(?:foreign\s+)?table\s+(?:if\s+exists\s+)?((?:{NAME})(?:\s*,\s*{NAME})*)")
_ALTER_TABLE = re.compile(rf"(?is)alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?({NAME})\s+(.*)")
_DROP_COLUMN = re.compile(
    rf"(?is)\bdrop\s+(?!constraint\b|default\b|not\b|identity\b|expression\b)(?:column\s+)?(?:if\s+exists\s+)?({NAME})"
)
_DELETE = re.compile(rf"(?is)(?:delete\s+from|truncate(?:\s+table)?)\s+(?:only\s+)?({NAME})")
_UPDATE = re.compile(rf"(?is)update\s+(?:only\s+)?({NAME})")
_RETYPE = re.compile(rf"(?is)\balter\s+(?:column\s+)?({NAME})\s+(?:set\s+data\s+)?type\b")
_DROP_OTHER = re.compile(
    rf"(?is)drop\s+(?!table)((?:materialized\s+)?\w+)\s+(?:concurrently\s+)?(?:if\s+exists\s+)?({NAME})"
)
_HARMLESS = re.compile(
    r"(?is)(?:create|comment|grant|revoke|insert|analyze|vacuum|reindex|refresh|pragma|set|reset|lock|alter\s+(?!table)"
    r"|select\s+(?:\d|'|null|(?:pg_catalog\.)?(?:set_config|setval)\b))"
)
_RENAME_TABLE = re.compile(rf"(?is)rename\s+to\s+({NAME})")
_RENAME_COLUMN = re.compile(rf"(?is)rename\s+(?:column\s+)?({NAME})\s+to\s+({NAME})")


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
    parts = re.findall(r'"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+', name)
    return ".".join(p[1:-1].replace('""', '"') if p[0] in '"`[' else p for p in parts)


def hazards(script: Script, dialect: Dialect) -> tuple[Hazard, ...]:
    """Everything a script may take away, in order."""
    return tuple(hazard for statement in script.statements for hazard in _of(statement, dialect))


def _of(statement: Statement, dialect: Dialect) -> Iterator[Hazard]:
    sql, line = without_comments(statement.sql, dialect), statement.line
    if match := _DROP_TABLE.match(sql):
        for name in re.findall(NAME, match[1]):
            yield Hazard("drops table", line, unquoted(name))
    elif match := _ALTER_TABLE.match(sql):
        table = unquoted(match[1])
        for column in _DROP_COLUMN.finditer(match[2]):
            yield Hazard("drops column", line, table, unquoted(column[1]))
        for column in _RETYPE.finditer(match[2]):
            yield Hazard("overwrites rows", line, table, unquoted(column[1]))
    elif match := _DELETE.match(sql):
        yield Hazard("drops rows", line, unquoted(match[1]))
    elif match := _UPDATE.match(sql):
        yield Hazard("overwrites rows", line, unquoted(match[1]))
    elif match := _DROP_OTHER.match(sql):
        if match[1].lower() in ("schema", "database", "type", "materialized view", "sequence", "extension"):
            yield Hazard("drops object", line, f"{match[1].lower()} {unquoted(match[2])}")
    elif not _HARMLESS.match(sql):
        if sql[:4].lower() == "with":
            for deleted in _DELETE.finditer(sql):
                yield Hazard("drops rows", line, unquoted(deleted[1]))
        yield Hazard("unknown", line, sql=" ".join(sql.split())[:80])


def renames(script: Script, dialect: Dialect) -> tuple[tuple[str, str, str], ...]:
    """``(table, old, new)`` for columns and ``("", old, new)`` for tables, in order."""
    found = []
    for statement in script.statements:
        match = _ALTER_TABLE.match(without_comments(statement.sql, dialect))
        if not match:
            continue
        if table := _RENAME_TABLE.match(match[2]):
            found.append(("", unquoted(match[1]), unquoted(table[1])))
        elif column := _RENAME_COLUMN.match(match[2]):
            found.append((unquoted(match[1]), unquoted(column[1]), unquoted(column[2])))
    return tuple(found)
