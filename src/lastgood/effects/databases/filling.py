"""Rows for a scratch copy: sampled from the live database, or made up from the columns' types.

What a constraint refuses is left out; tables are gone over again as long as that helps, so that parents come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lastgood.database.fingerprint import Fingerprint, Item
from lastgood.effects.databases.session import Session, SqlFailure

_FOREIGN = re.compile(r"(?i)foreign key \((?P<own>[^)]*)\) references (?P<table>\S+?)\s?\((?P<theirs>[^)]*)\)")
_VALUES: tuple[tuple[str, str], ...] = (
    (r"bool", "{odd}"),
    (r"\[\]$", "'{{}}'"),
    (r"smallint|int|serial", "{n}"),
    (r"numeric|decimal|real|double|float|money", "{n}"),
    (r"timestamp|datetime", "'2024-01-0{n} 00:00:00'"),
    (r"date", "'2024-01-0{n}'"),
    (r"^time", "'00:00:0{n}'"),
    (r"interval", "'{n} days'"),
    (r"uuid", "'00000000-0000-0000-0000-00000000000{n}'"),
    (r"json", "'{{}}'"),
    (r"bytea|blob", "'x{n}'"),
    (r"inet|cidr", "'10.0.0.{n}'"),
    (r"bit", "B'{bit}'"),
)
_ROWS = 3


def copy_rows(live: Session, copy: Session, limit: int) -> None:
    """Up to ``limit`` rows of every table of the live PostgreSQL database."""
    schema = live.fingerprint()
    waiting: list[tuple[str, tuple[object, ...]]] = []
    owned: dict[str, list[str]] = {}
    for column in live.columns():
        owned.setdefault(column.table, []).append(column.name)
    for table, names in sorted(owned.items()):
        columns = [i for i in schema.items if i.kind == "column" and _same(i.owner, table)]
        made = {column.name for column in columns if " generated " in column.definition}
        names = [name for name in names if name not in made]
        rows = live.rows(table, names, limit)
        listed = ", ".join(map(_quoted, names))
        marks = ", ".join("?" * len(names))
        sql = f"INSERT INTO {_name(table, copy)} ({listed}) OVERRIDING SYSTEM VALUE VALUES ({marks})"  # noqa: S608
        waiting.extend((sql, row) for row in rows)
    while True:
        refused = [(sql, row) for sql, row in waiting if not _taken(copy, sql, row)]
        if not refused or len(refused) == len(waiting):
            return
        waiting = refused


def fill(copy: Session) -> None:
    """A few made-up rows in every empty table."""
    schema = copy.fingerprint()
    waiting = [table for table in sorted({c.table for c in copy.columns()}) if copy.count(table) == 0]
    while waiting:
        refused = [table for table in waiting if not _fill_table(copy, schema, table)]
        if len(refused) == len(waiting):
            return
        waiting = refused


def _taken(session: Session, sql: str, values: tuple[object, ...] = ()) -> bool:
    try:
        session.query(sql, *values)
    except SqlFailure:
        return False
    return True


def _fill_table(copy: Session, schema: Fingerprint, table: str) -> bool:
    columns = [item for item in schema.items if item.kind == "column" and _same(item.owner, table)]
    foreign = dict(_parents(schema, table))
    enums = {item.name: item.definition for item in schema.items if item.kind == "enum"}
    kept = [item for item in columns if " identity " not in item.definition and " generated " not in item.definition]
    kept = [item for item in kept if " default " not in item.definition or item.name in foreign]
    taken = 0
    for n in range(1, _ROWS + 1):
        if not kept:
            sql = f"INSERT INTO {_name(table, copy)} DEFAULT VALUES"
        else:
            names = ", ".join(_quoted(item.name) for item in kept)
            values = ", ".join(_value(item, n, foreign, enums) for item in kept)
            sql = f"INSERT INTO {_name(table, copy)} ({names}) VALUES ({values})"  # noqa: S608
        taken += _taken(copy, sql)
    return taken > 0


def _parents(schema: Fingerprint, table: str) -> Iterator[tuple[str, str]]:
    for item in schema.items:
        if item.kind != "constraint" or not _same(item.owner, table):
            continue
        if match := _FOREIGN.search(item.definition):
            own, theirs = match["own"].split(", "), match["theirs"].split(", ")
            for mine, other in zip(own, theirs, strict=False):
                target = match["table"]
                if _same(target, table) or not other:
                    yield mine.strip('"'), "NULL"
                else:
                    yield mine.strip('"'), f"(SELECT {other} FROM {target} ORDER BY 1 LIMIT 1)"  # noqa: S608


def _value(item: Item, n: int, foreign: dict[str, str], enums: dict[str, str]) -> str:
    if item.name in foreign:
        return foreign[item.name]
    type_ = re.split(r" not null| default | collate ", item.definition, maxsplit=1)[0]
    if type_ in enums:
        return enums[type_].split(",")[0] or "NULL"
    for pattern, value in _VALUES:
        if re.search(pattern, type_, re.I):
            return value.format(n=n, odd="true" if n % 2 else "false", bit=n % 2)
    return f"'{n}'"


def _same(owner: str, table: str) -> bool:
    return owner.replace('"', "") == table.replace('"', "")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _name(table: str, session: Session) -> str:
    """``schema.table`` as the sessions say it, quoted part by part; SQLite's names have no schema."""
    schema, dot, rest = table.partition(".") if session.dialect == "postgresql" else (table, "", "")
    return f"{_quoted(schema)}.{_quoted(rest)}" if dot else _quoted(table)
