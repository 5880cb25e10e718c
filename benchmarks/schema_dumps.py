"""A second opinion on proofs: texts of schemas (``pg_dump``, ``sqlite_schema``), compared by nothing of ours."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from urllib.parse import unquote

Dump = Callable[[str], list[str]]
_SKIPPED = ("--", "SET ", "SELECT pg_catalog.set_config", "\\")


def of_sqlite(url: str) -> list[str]:
    """What ``.schema`` shows, each object in a form in which white space, quotes, case and order do not count."""
    with closing(sqlite3.connect(unquote(url.removeprefix("sqlite:///")))) as raw:
        rows = raw.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        )
        return sorted(_plain(sql) for (sql,) in rows)


def of_postgresql(pg_dump: str) -> Dump:
    """What ``pg_dump --schema-only`` writes, statement by statement, in any order."""

    def dump(url: str) -> list[str]:
        told = subprocess.run(
            [pg_dump, "--schema-only", "--no-owner", url], check=True, capture_output=True, text=True
        ).stdout
        lines = [line for line in told.splitlines() if line and not line.startswith(_SKIPPED)]
        statements = "\n".join(lines).split(";\n")
        return sorted(_plain(statement) for statement in statements)

    return dump


def _plain(sql: str) -> str:
    """One statement: a definition's parts sorted, names of constraints left out, white space and quotes as one."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.S)
    text = re.sub(r'["`\[\]]', "", " ".join(text.split())).lower()
    text = re.sub(r"\bconstraint \S+ (?=check|unique|primary|foreign|not)", "", text)
    text = re.sub(r"\s*([(),])\s*", r"\1", text)
    text = re.sub(
        r"\bdefault ?\(('(?:[^']|'')*'|-?\d+)\) ?", r"default \1 ", text
    )  # a constant in parentheses is itself
    if not re.match(r"create (?:unlogged )?table", text) or "(" not in text:
        return text
    head, _, rest = text.partition("(")
    body, _, tail = rest.rpartition(")")
    parts = _parts(body)
    key = next((part.removeprefix("primary key") for part in parts if part.startswith("primary key(")), None)
    parts = [part for part in parts if part != f"unique{key}"]  # says what the primary key says; SQLite has one index
    return f"{head}({','.join(sorted(parts))}){tail}"


def _parts(body: str) -> list[str]:
    parts, depth = [""], 0
    for letter in body:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
