"""Questions in a script: a statement that only asks, and the answer for which the rest of the script was written.

``-- lastgood:asked rows DIGEST`` before a query pins its answer; ``-- lastgood:asked schema DIGEST`` pins the schema.
The runner asks again where it runs, in the same transaction, and goes no further when the answer is another one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any, Literal

from lastgood.database.fingerprint import Fingerprint
from lastgood.database.migration import ASKED, ASKED_MARK, Dialect
from lastgood.database.splitter import tokens

_ELSEWHERE = ("schema", "extension", "publication", "event trigger", "default grants")
_CATALOG = re.compile(r"(?i)pg_\w+|information_schema|sqlite_(?:master|schema|temp_master|temp_schema)")
_PRAGMA = re.compile(
    r"(?is)\s*pragma\s+(?:\"?\w+\"?\.)?(?:table_x?info|table_list|index_list|index_x?info|foreign_key_list|database_list)\b"
)
_OPENS = ("from", "join", ",")
_STAYS = ("(", "only", "lateral")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, and the digest of the answer that is counted on."""

    kind: Literal["rows", "schema"]
    digest: str


def question_in(sql: str) -> Question | None:
    """The question that a statement is, or None when it does something."""
    match = ASKED.match(sql)
    return Question("schema" if match[1] == "schema" else "rows", match[2]) if match else None


def written(question: Question, sql: str) -> str:
    """A question as text of a script, without the semicolon."""
    return f"{ASKED_MARK}{question.kind} {question.digest}\n{sql}"


def digest_of_rows(rows: Iterable[Iterable[Any]]) -> str:
    """Hex SHA-256 of an answer, whatever the order of its rows."""
    lines = sorted(json.dumps(list(row), default=str) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_of_schema(schema: Fingerprint) -> str:
    """Hex SHA-256 of what a script can ask about a schema, whatever the order of columns."""
    lines = [json.dumps([i.kind, i.owner, i.name, i.definition]) for i in schema.items if i.kind not in _ELSEWHERE]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def asks_catalog_only(sql: str, dialect: Dialect, tables: Set[str]) -> bool:
    """Whether a query reads the catalog and none of these tables and views (lower case names)."""
    if dialect == "sqlite" and _PRAGMA.match(sql):
        return True
    catalog = False
    open_for_name, named = False, False
    for token in tokens(sql, dialect):
        if token.kind in ("space", "line", "block"):
            continue
        if token.text.lower() in _OPENS:
            open_for_name, named = True, False
        elif token.text == ".":
            named = False
        elif token.text.lower() not in _STAYS:
            quoted = token.kind in ("quoted", "tick", "bracket")
            name = token.text[1:-1] if quoted else token.text
            if open_for_name and not named and token.kind != "string":
                if name.lower() in tables:
                    return False
                catalog = catalog or bool(_CATALOG.fullmatch(name))
            open_for_name, named = open_for_name and not named, True
    return catalog
