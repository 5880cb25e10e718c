"""Which lock a statement takes, by reading it: what others cannot do meanwhile. Pure.

PostgreSQL: https://www.postgresql.org/docs/current/explicit-locking.html. SQLite has one lock, of the file.
"""

from __future__ import annotations

import re

from lastgood.database.migration import Dialect, Script, Statement
from lastgood.database.script import without_comments

_BLOCKS = {
    "ACCESS EXCLUSIVE": "reads and writes",
    "SHARE": "writes",
    "SHARE ROW EXCLUSIVE": "writes",
    "SHARE UPDATE EXCLUSIVE": "other schema changes",
    "ROW EXCLUSIVE": "schema changes",
    "the file": "writes",
}
_ORDER = ("ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE", "the file", "ROW EXCLUSIVE")
_POSTGRESQL: tuple[tuple[str, str], ...] = (
    (r"(?:create|drop)\s+(?:unique\s+)?index\s+concurrently", "SHARE UPDATE EXCLUSIVE"),
    (r"create\s+(?:unique\s+)?index", "SHARE"),
    (r"reindex\s.*concurrently", "SHARE UPDATE EXCLUSIVE"),
    (r"(?:drop\s+(?:table|index|view|trigger|policy)|truncate|cluster|vacuum\s+full|reindex|lock)", "ACCESS EXCLUSIVE"),
    (r"(?:vacuum|analyze|create\s+statistics)", "SHARE UPDATE EXCLUSIVE"),
    (r"create\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger", "SHARE ROW EXCLUSIVE"),
    (
        r"alter\s+table\s.*\s(?:validate\s+constraint|set\s+statistics|attach\s+partition|set\s*\()",
        "SHARE UPDATE EXCLUSIVE",
    ),
    (r"alter\s+table\s.*\sadd\s+(?:constraint\s+\S+\s+)?foreign\s+key", "SHARE ROW EXCLUSIVE"),
    (r"alter\s+table\s.*\s(?:enable|disable)\s+trigger", "SHARE ROW EXCLUSIVE"),
    (r"alter\s+(?:table|view|index|sequence|materialized)", "ACCESS EXCLUSIVE"),
    (r"(?:insert|update|delete|merge)\b", "ROW EXCLUSIVE"),
)
_RULES = tuple((re.compile(rf"(?is){pattern}"), lock) for pattern, lock in _POSTGRESQL)
_REWRITES = re.compile(
    r"(?is)alter\s+table\s.*\s(?:alter\s+(?:column\s+)?\S+\s+(?:set\s+data\s+)?type|set\s+(?:logged|unlogged|tablespace))"
    r"|alter\s+table\s.*\sadd\s+(?:column\s+)?.*\bdefault\s+(?:random|gen_random_uuid|clock_timestamp|nextval)"
)
_READS = re.compile(r"(?i)(?:select|pragma|comment|analyze|explain)\b")


def lock_of(statement: Statement, dialect: Dialect) -> str | None:
    """The strongest lock on what others use, None where the statement takes none that matters (or is not known)."""
    sql = without_comments(statement.sql, dialect)
    if dialect == "sqlite":
        return None if _READS.match(sql) else "the file"
    return next((lock for rule, lock in _RULES if rule.match(sql)), None)


def locks_of(script: Script, dialect: Dialect) -> tuple[str, ...]:
    """The locks of a script in words, the strongest first: ``SHARE: blocks writes (2 statements)``.

    A statement that writes a table anew holds its lock as long as that takes, and is named so.
    """
    counts: dict[str, int] = {}
    for statement in script.statements:
        if (lock := lock_of(statement, dialect)) is not None:
            counts[lock] = counts.get(lock, 0) + 1
    said = [
        f"{lock}: blocks {_BLOCKS[lock]} ({counts[lock]} statement{'s' if counts[lock] > 1 else ''})"
        for lock in _ORDER
        if lock in counts
    ]
    lines = [s.line for s in script.statements if dialect == "postgresql" and _REWRITES.match(s.sql)]
    return (*said, *(f"line {line} writes the whole table anew under its lock" for line in lines))
