"""The fingerprint of a PostgreSQL database; the questions to pg_catalog stand in ``postgresql_schema.sql``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from lastgood.database.fingerprint import Fingerprint, Item

_VISIBLE = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'lastgood')"
    " AND n.nspname NOT LIKE 'lastgood!_kept!_%' ESCAPE '!'"
    " AND n.nspname NOT LIKE 'pg!_temp%' ESCAPE '!' AND n.nspname NOT LIKE 'pg!_toast!_temp%' ESCAPE '!'"
)
_FREE = (
    r"NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '\1'::regclass AND e.objid = \2.oid AND e.deptype = 'e')"
)


@cache
def _queries() -> tuple[str, ...]:
    text = files(__package__ or "").joinpath("postgresql_schema.sql").read_text()
    text = re.sub(r"(?m)^--.*$", "", text).replace("VISIBLE", _VISIBLE)
    text = re.sub(r"FREE\((\w+), (\w+)\)", _FREE, text)
    return tuple(query.strip() for query in text.split(";\n") if query.strip())


def read_schema(query: Callable[[str], list[tuple[Any, ...]]]) -> Fingerprint:
    """Items of everything in the database. ``query`` has an empty search path, so that every name has its schema.

    Columns are counted without the gaps that dropped ones leave; an index of a constraint is part of that.
    """
    return Fingerprint.of(
        Item(str(kind), owner or "", name, definition or "", int(position))
        for sql in _queries()
        for kind, owner, name, definition, position in query(sql)
    )
