"""What stands in the tables of a PostgreSQL database: their columns, their rows, and how many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lastgood.effects.databases.session import Column

_CONSTANT = re.compile(r"(?is)(?:'(?:[^']|'')*'|-?\(?-?\d+(?:\.\d+)?\)?|null|true|false)(?:::[\w\s.\"\[\](),]+)?")
_NAMED = (
    "SELECT DISTINCT ON (asked) asked, n.nspname || '.' || c.relname, c.oid::regclass::text"
    " FROM unnest(?::text[]) asked CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND (n.nspname || '.' || c.relname IN (asked, lower(asked))"
    " OR (c.relname IN (asked, lower(asked)) AND pg_table_is_visible(c.oid))) ORDER BY 1, 2"
)

_COUNTED = 200
"""Tables that one query counts; it could have no more than 1,664."""


class Query(Protocol):
    """How to ask: ``?`` stands for a value."""

    def __call__(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        ...


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def read_columns(query: Query) -> Sequence[Column]:
    """Every column of every ordinary table; its identity is table oid and attribute number."""
    rows = query(
        "SELECT n.nspname || '.' || c.relname, a.attname, c.oid::bigint, a.attnum,"
        " CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'lastgood')"
        " AND n.nspname NOT LIKE 'pg!_%' ESCAPE '!'"
    )
    return [
        Column(table, name, (oid, number), default if default and _CONSTANT.fullmatch(default) else None)
        for table, name, oid, number, default in rows
    ]


def count_tables(query: Query, tables: Sequence[str]) -> Mapping[str, tuple[str, int]]:
    """By the name that was asked, as ``name`` or ``schema.name``, for each that is there: its full name, its rows."""
    known = query(_NAMED, list(tables))
    found: dict[str, tuple[str, int]] = {}
    for start in range(0, len(known), _COUNTED):
        some = known[start : start + _COUNTED]
        (rows,) = query("SELECT " + ", ".join(f"(SELECT count(*) FROM {quoted})" for _, _, quoted in some))  # noqa: S608
        found |= {asked: (name, int(count)) for (asked, name, _), count in zip(some, rows, strict=True)}
    return found


def count_rows(query: Query, table: str, column: Column | None) -> int:
    """Rows of a table, or rows in which a column says something else than its default; 0 when there is no such."""
    known = query(_NAMED, [table])
    if not known:
        return 0
    where = ""
    if column is not None:
        quoted = _quoted(column.name)
        where = f" WHERE {quoted} IS NOT NULL"
        if column.default:
            where = f" WHERE {quoted}::text IS DISTINCT FROM ({column.default})::text"
    return int(query(f"SELECT count(*) FROM {known[0][2]}{where}")[0][0])  # noqa: S608


def read_rows(query: Query, table: str, names: Sequence[str], limit: int, *, ordered: bool) -> list[tuple[Any, ...]]:
    """These columns of at most ``limit`` rows of a table, all as text; ``ordered``: the first by their values."""
    order = " ORDER BY " + ", ".join(str(n + 1) for n in range(len(names))) if ordered and names else ""
    listed = ", ".join(f"{_quoted(name)}::text" for name in names)
    return query(f"SELECT {listed} FROM {query(_NAMED, [table])[0][2]}{order} LIMIT {int(limit)}")  # noqa: S608
