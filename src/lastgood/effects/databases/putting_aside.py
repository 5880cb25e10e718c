"""The statements that put a column or table aside, and back: by the catalog of the live database.

Taken off with it is what would get in the way of an application that does not know it any more: NOT NULL without a
default, constraints, unique indexes, foreign keys that hold other tables' rows. All of it comes back.
"""

from __future__ import annotations

from dataclasses import dataclass

from lastgood.database.keeping import KEPT, Thing
from lastgood.effects.databases.session import Session
from lastgood.effects.databases.sqlite_schema import normal_sql
from lastgood.effects.databases.sqlite_schema import quote as quoted
from lastgood.errors import Refused

_FILL_NEXT = "say in the script what rows born since get: -- lastgood:fill {thing} = EXPRESSION"


@dataclass(frozen=True)
class Aside:
    """The statements that put a thing aside (``take_off``), put it back, and drop it for good."""

    thing: Thing
    take_off: tuple[str, ...]
    put_back: tuple[str, ...]
    drop: tuple[str, ...]


def put_aside(session: Session, thing: Thing, number: int, fill: str | None) -> Aside | None:
    """How to put a thing aside as the ``number``-th kept one; None where it is not there, or cannot be kept so.

    Raises ``Refused`` where something depends on it, or where it could not be put back with rows born since.
    """
    if session.dialect == "sqlite":
        return _sqlite_column(session, thing, number, fill) if thing.column else _sqlite_table(session, thing, number)
    return _column(session, thing, number, fill) if thing.column else _table(session, thing, number)


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


def _oid(session: Session, table: str) -> tuple[int, str, str, str] | None:
    """oid, schema, name and the name to write of an ordinary table."""
    rows = session.query(
        "SELECT c.oid::bigint, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
        " AND (n.nspname || '.' || c.relname IN (?, lower(?)) OR (c.relname IN (?, lower(?))"
        " AND pg_table_is_visible(c.oid)))",
        *([table] * 4),
    )
    return rows[0] if rows else None


def _refuse_dependents(session: Session, thing: Thing, oid: int, number: int) -> None:
    rows = session.query(
        "SELECT DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass THEN (SELECT 'view ' || r.ev_class::regclass"
        " FROM pg_rewrite r WHERE r.oid = d.objid) ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END"
        " FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ? AND d.deptype = 'n'"
        " AND (d.refobjsubid = ? OR ? < 0) AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS"
        " (SELECT 1 FROM pg_constraint c WHERE c.oid = d.objid AND c.conrelid = d.refobjid)) ORDER BY 1",
        oid,
        number,
        number,
    )
    if rows:
        _refuse(session, thing, ", ".join(row[0] for row in rows))


def _refuse(session: Session, thing: Thing, what: str) -> None:
    raise Refused(
        f"{thing} cannot be dropped: {what} depends on it",
        where=session.place,
        next="drop what depends on it first, in the same script, and make it again in the down script",
    )


def _column(session: Session, thing: Thing, number: int, fill: str | None) -> Aside | None:
    table = _oid(session, thing.table)
    if table is None:
        return None
    oid, _, _, name = table
    rows = session.query(
        "SELECT a.attnum, a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity <> ''"
        " OR a.attgenerated <> '' FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid"
        " AND d.adnum = a.attnum WHERE a.attrelid = ? AND a.attname IN (?, lower(?)) AND a.attnum > 0",
        oid,
        thing.column,
        thing.column,
    )
    if not rows:
        return None
    position, column, required, default, automatic = rows[0]
    _refuse_dependents(session, thing, oid, position)
    old, new = quoted(column), quoted(f"{KEPT}{number}_{column}"[:63])
    take, back = [], [f"ALTER TABLE {name} RENAME COLUMN {new} TO {old}"]
    constraints = session.query(
        "SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ? AND ? = ANY (conkey) AND contype IN ('c', 'f', 'p', 'u', 'x') ORDER BY contype DESC, 1",
        oid,
        position,
    )
    indexes = session.query(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index x WHERE indrelid = ?"
        " AND ? = ANY (indkey) AND indisunique AND NOT EXISTS (SELECT 1 FROM pg_constraint c"
        " WHERE c.conindid = x.indexrelid) ORDER BY 1",
        oid,
        position,
    )
    if required and default is None and not automatic:
        if fill is None:
            raise Refused(
                f"{thing} is NOT NULL without a default: going back would have nothing for rows born since",
                where=session.place,
                next=_FILL_NEXT.format(thing=thing.written),
            )
        take.append(f"ALTER TABLE {name} ALTER COLUMN {old} DROP NOT NULL")
        back.append(f"UPDATE {name} SET {old} = ({fill}) WHERE {old} IS NULL")  # noqa: S608
        back.append(f"ALTER TABLE {name} ALTER COLUMN {old} SET NOT NULL")
    for constraint, definition in constraints:
        take.append(f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")
        back.append(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition}")
    for index, definition in indexes:
        take.append(f"DROP INDEX {index}")
        back.append(definition)
    take.append(f"ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
    drop = (f"ALTER TABLE {name} DROP COLUMN {new}",)
    return Aside(thing, tuple(take), tuple(back), drop)


def _table(session: Session, thing: Thing, number: int) -> Aside | None:
    """A table moves into a schema of its own: indexes, sequences and triggers move with it, and free their names."""
    table = _oid(session, thing.table)
    if table is None:
        return None
    oid, schema, plain, name = table
    _refuse_dependents(session, thing, oid, -1)
    away = f"{KEPT}{number}"
    kept = f"{away}.{quoted(plain)}"
    foreign = session.query(
        "SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ? AND contype = 'f' ORDER BY 1",
        oid,
    )
    take = [f"ALTER TABLE {name} DROP CONSTRAINT {constraint}" for constraint, _ in foreign]
    take += [f"CREATE SCHEMA {away}", f"ALTER TABLE {name} SET SCHEMA {away}"]
    back = [f"ALTER TABLE {kept} SET SCHEMA {quoted(schema)}", f"DROP SCHEMA {away}"]
    back += [f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition}" for constraint, definition in foreign]
    drop = (f"DROP TABLE {kept}", f"DROP SCHEMA {away}")
    return Aside(thing, tuple(take), tuple(back), drop)


# --- SQLite --------------------------------------------------------------------------------------------------------


def _mentions(session: Session, table: str, column: str | None) -> list[tuple[str, str]]:
    """Views, and triggers of other tables, whose text has the name of the table (and of the column)."""
    found = []
    rows = session.query("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger')")
    for kind, name, owner, sql in rows:
        words = {word.lower() for word in normal_sql(sql)}
        if column is None and kind == "trigger" and owner.lower() == table.lower():
            continue
        if table.lower() in words and (column is None or column.lower() in words or "*" in words):
            found.append((kind, name))
    return found


def _stands(session: Session, table: str) -> str | None:
    plain = table.rpartition(".")[2]
    rows = session.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", plain)
    return str(rows[0][0]) if rows else None


def _sqlite_column(session: Session, thing: Thing, number: int, fill: str | None) -> Aside | None:
    table = _stands(session, thing.table)
    if table is None:
        return None
    rows = session.query(
        'SELECT name, "notnull", dflt_value, pk FROM pragma_table_info(?) WHERE lower(name) = lower(?)',
        table,
        thing.column,
    )
    indexed = session.query(
        "SELECT 1 FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE lower(i.name) = lower(?)",
        table,
        thing.column,
    )
    if not rows or rows[0][3] or indexed:
        return None  # SQLite refuses to drop such a column, and says so itself
    column, required, default, _ = rows[0]
    if mentioned := _mentions(session, table, column):
        _refuse(session, thing, ", ".join(f"{kind} {name}" for kind, name in mentioned))
    if required and default is None:
        raise Refused(
            f"{thing} is NOT NULL without a default, which SQLite cannot take off while the column is kept",
            where=session.place,
            next="build the table anew without it, or turn keep_dropped off for this database",
        )
    if session.query('SELECT 1 FROM pragma_foreign_key_list(?) WHERE lower("from") = lower(?)', table, column):
        raise Refused(
            f"{thing} refers to another table, which SQLite cannot take off while the column is kept:"
            " the rows it refers to could not be deleted",
            where=session.place,
            next="build the table anew without it, or turn keep_dropped off for this database",
        )
    name, old, new = quoted(table), quoted(column), quoted(f"{KEPT}{number}_{column}")
    take = (f"ALTER TABLE {name} RENAME COLUMN {old} TO {new}",)
    back = [f"ALTER TABLE {name} RENAME COLUMN {new} TO {old}"]
    if fill is not None:
        back.append(f"UPDATE {name} SET {old} = ({fill}) WHERE {old} IS NULL")  # noqa: S608
    drop = (f"ALTER TABLE {name} DROP COLUMN {new}",)
    return Aside(thing, take, tuple(back), drop)


def _sqlite_table(session: Session, thing: Thing, number: int) -> Aside | None:
    """Renamed the old way, so that what else names it is left alone; its indexes and triggers free their names."""
    table = _stands(session, thing.table)
    if table is None:
        return None
    if mentioned := _mentions(session, table, None):
        _refuse(session, thing, ", ".join(f"{kind} {name}" for kind, name in mentioned))
    rows = session.query(
        "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = ? AND type IN ('index', 'trigger')"
        " AND sql IS NOT NULL ORDER BY type, rowid",
        table,
    )
    name, kept = quoted(table), quoted(f"{KEPT}{number}_{table}")
    take = [f"DROP {kind.upper()} {quoted(each)}" for kind, each, _ in rows]
    take += _alone(f"ALTER TABLE {name} RENAME TO {kept}")
    back = _alone(f"ALTER TABLE {kept} RENAME TO {name}")
    if session.query("SELECT 1 FROM pragma_foreign_key_list(?)", table):
        copied, back = _without_references(session, table, number)
        take += copied
    return Aside(thing, tuple(take), (*back, *(sql for _, _, sql in rows)), (f"DROP TABLE {kept}",))


def _alone(*renamings: str) -> list[str]:
    """What else names the tables is left as it is."""
    return ["PRAGMA legacy_alter_table = ON", *renamings, "PRAGMA legacy_alter_table = OFF"]


def _without_references(session: Session, table: str, number: int) -> tuple[list[str], list[str]]:
    """Once it is renamed: rows alone. What refers to rows of other tables would hold up who deletes those.

    Back: the table as it was written, with its rows; those that refer to what is gone by then are an error with a name.
    Both ways what it stands under now is renamed to what it stands under then, so that its columns can be followed.
    """
    name, kept, copy = quoted(table), quoted(f"{KEPT}{number}_{table}"), quoted(f"{KEPT}{number}_copy")
    columns = session.query("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", table)
    listed = ", ".join(quoted(column) for (column,) in columns)
    (written,) = session.query("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", table)[0]
    said = quoted(f"rows of {table} refer to rows that are gone")
    text = "'" + table.replace("'", "''") + "'"
    take = [
        f"CREATE TABLE {copy} ({listed})",
        f"INSERT INTO {copy} SELECT {listed} FROM {kept}",  # noqa: S608
        f"DROP TABLE {kept}",
        f"ALTER TABLE {copy} RENAME TO {kept}",
    ]
    back = [
        str(written),
        f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {kept}",  # noqa: S608
        *_alone(f"ALTER TABLE {name} RENAME TO {copy}", f"ALTER TABLE {kept} RENAME TO {name}"),
        f"DROP TABLE {name}",
        *_alone(f"ALTER TABLE {copy} RENAME TO {name}"),
        f"CREATE TABLE {copy} (fine CONSTRAINT {said} CHECK (fine))",
        f"INSERT INTO {copy} SELECT NOT EXISTS (SELECT 1 FROM pragma_foreign_key_check({text}))",  # noqa: S608
        f"DROP TABLE {copy}",
    ]
    sequence = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"
    if session.query(sequence) and (last := session.query("SELECT seq FROM sqlite_sequence WHERE name = ?", table)):
        back.append(f"DELETE FROM sqlite_sequence WHERE name = {text}")  # noqa: S608
        back.append(f"INSERT INTO sqlite_sequence VALUES ({text}, {int(last[0][0])})")  # noqa: S608
    return take, back
