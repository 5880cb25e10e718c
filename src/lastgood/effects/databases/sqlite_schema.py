"""The fingerprint of a SQLite schema: structure from pragmas, what they do not tell from the normalised SQL.

``CREATE TABLE`` text alone will not do: ALTER TABLE edits it in place, so that equal tables have unequal texts.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from lastgood.database.fingerprint import Fingerprint, Item
from lastgood.database.splitter import is_plain, tokens

_WORDS = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\S")
"""The tokens of a plain text."""


def quote(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def normal_sql(sql: str) -> list[str]:
    """Tokens without comments and white space; words lower case, quoted names bare where they can be."""
    if is_plain(sql):  # most are, and it takes a tenth of the time
        return [text if text[0].isdigit() else text.lower() for text in _WORDS.findall(sql)]
    return _normal_tokens(sql)


def _normal_tokens(sql: str) -> list[str]:
    found = []
    for token in tokens(sql, "sqlite"):
        if token.kind in ("space", "line", "block"):
            continue
        text = token.text
        if token.kind in ("quoted", "tick", "bracket"):
            text = text[1:-1].replace(text[0] * 2, text[0])
            text = text.lower() if text.isidentifier() else quote(text)
        found.append(text.lower() if token.kind == "word" else text)
    return found


def read_schema(connection: sqlite3.Connection, own_prefix: str) -> Fingerprint:
    """Items of every table, column, constraint, index, view and trigger."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    items: list[Item] = []
    for kind, name, table, sql in rows:
        if table.startswith((own_prefix, "sqlite_")) or name.startswith("sqlite_autoindex"):
            continue
        if kind == "table":
            items.extend(_table(connection, name, sql))
        elif kind in ("view", "trigger"):
            owner = table if kind == "trigger" else ""
            words = normal_sql(sql)
            words = [word for word in words if word not in ("temp", "temporary")]
            items.append(Item(kind, owner, name, " ".join(words)))
    return Fingerprint.of(items)


def _table(connection: sqlite3.Connection, table: str, sql: str) -> Iterator[Item]:
    words = normal_sql(sql)
    if words[:2] == ["create", "virtual"]:
        yield Item("virtual table", "", table, " ".join(words[2:]))
        return
    body, options = _body(words)
    kind = "strict " if "strict" in options else ""
    kind += "without rowid " if "rowid" in options else ""
    kind += "autoincrement" if "autoincrement" in body else ""
    yield Item("table", "", table, kind.strip())
    pieces = _pieces(body)
    extras = {piece[0]: _column_extras(piece[1:]) for piece in pieces if piece}
    columns = connection.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall()
    for position, (_, name, type_, notnull, default, _key, hidden) in enumerate(columns):
        bare = name.lower() if name.isidentifier() else quote(name)
        text = " ".join(type_.upper().split())
        text += " not null" if notnull else ""
        text += f" default {_default(default)}" if default is not None else ""
        text += f" generated {hidden}" if hidden else ""
        yield Item("column", table, name, text + extras.get(bare, ""), position)
    yield from _constraints(connection, table, columns, pieces)


def _default(text: str) -> str:
    return " ".join(normal_sql(text))


def _body(words: list[str]) -> tuple[list[str], list[str]]:
    """The words between the outermost parentheses, and those after them."""
    start = words.index("(")
    depth = 0
    for position in range(start, len(words)):
        depth += {"(": 1, ")": -1}.get(words[position], 0)
        if depth == 0:
            return words[start + 1 : position], words[position + 1 :]
    return words[start + 1 :], []


def _pieces(body: list[str]) -> list[list[str]]:
    """The body split at its own commas: column definitions and table constraints."""
    found: list[list[str]] = [[]]
    depth = 0
    for word in body:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and depth == 0:
            found.append([])
        else:
            found[-1].append(word)
    return found


def _column_extras(words: list[str]) -> str:
    """Collation and generating expression, which no pragma tells."""
    text = ""
    if "collate" in words[:-1]:
        text += f" collate {words[words.index('collate') + 1]}"
    if "as" in words:
        text += " as " + " ".join(_group(words, words.index("as") + 1))
    return text


def _group(words: list[str], start: int) -> list[str]:
    depth = 0
    for position in range(start, len(words)):
        depth += {"(": 1, ")": -1}.get(words[position], 0)
        if depth == 0:
            return words[start : position + 1]
    return words[start:]


def _constraints(
    connection: sqlite3.Connection, table: str, columns: list[tuple[object, ...]], pieces: list[list[str]]
) -> Iterator[Item]:
    keys = sorted((column[5], column[1]) for column in columns if column[5])
    if keys:
        yield Item("constraint", table, "primary key", "primary key (" + ", ".join(str(name) for _, name in keys) + ")")
    foreign: dict[int, list[tuple[object, ...]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quote(table)})").fetchall():
        foreign.setdefault(row[0], []).append(row)
    texts = []
    for rows in foreign.values():
        own = ", ".join(str(row[3]) for row in rows)
        theirs = ", ".join(str(row[4] or "") for row in rows)
        _, _, other, _, _, on_update, on_delete, _ = rows[0]
        texts.append(f"foreign key ({own}) references {other} ({theirs}) update {on_update} delete {on_delete}")
    for piece in pieces:
        for position, word in enumerate(piece):
            if word == "check":
                texts.append("check " + " ".join(_group(piece, position + 1)))
            elif word == "deferrable":
                texts.append("deferrable " + " ".join(piece[position + 1 :][:2]))
            elif word == "conflict":
                texts.append("on conflict " + " ".join(piece[position + 1 :][:1]))
    for row in connection.execute(f"PRAGMA index_list({quote(table)})").fetchall():
        _, name, unique, origin, partial = row
        if origin == "c":
            yield _index(connection, table, name, unique, partial)
        elif origin == "u":
            texts.append("unique (" + _index_columns(connection, name) + ")")
    for number, text in enumerate(sorted(texts)):
        yield Item("constraint", table, f"#{number} {text}", text)


def _index_columns(connection: sqlite3.Connection, index: str) -> str:
    found = []
    for _, _, name, descending, collation, is_key in connection.execute(
        f"PRAGMA index_xinfo({quote(index)})"
    ).fetchall():
        if is_key:
            found.append(f"{name or 'expression'} {collation.lower()}{' desc' if descending else ''}")
    return ", ".join(found)


def _index(connection: sqlite3.Connection, table: str, name: str, unique: int, partial: int) -> Item:
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)).fetchone()
    words = normal_sql(sql)
    text = ("unique " if unique else "") + "(" + _index_columns(connection, name) + ")"
    if partial or "expression" in text:
        text += " " + " ".join(words[words.index("on") + 2 :])
    return Item("index", table, name, text)
