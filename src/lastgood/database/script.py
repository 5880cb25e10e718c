"""The bytes of a file into a script: text, statements, and whether one transaction can hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lastgood.database.migration import ASKED, ASKED_MARK, Dialect, Script, Statement
from lastgood.database.splitter import SplitError, split, tokens
from lastgood.errors import Problem

LIMIT_BYTES = 8 * 1024 * 1024
"""A larger file is data and not a schema change; the largest of 1,286 real migrations has 290 kB."""

_ALONE = {
    "postgresql": re.compile(
        r"(?is)(?:create\s+(?:unique\s+)?index\s+concurrently|drop\s+index\s+concurrently|vacuum|cluster\s*$"
        r"|reindex\s+(?:\([^)]*concurrently[^)]*\)|(?:database|system|schema)\b|\w+\s+concurrently)"
        r"|(?:create|drop)\s+(?:database|tablespace|subscription)|alter\s+system|alter\s+database\s+\S+\s+set\s+tablespace"
        r"|alter\s+table\s.*\sdetach\s+partition\s.*\sconcurrently)"
    ),
    "sqlite": re.compile(r"(?i)vacuum\b"),
}
_SETTING = re.compile(
    r"(?is)pragma\s+(?:\w+\.)?(?!defer_foreign_keys|user_version|application_id)\w+\s*(?:=|\(\s*(?:on|off|\d)\b)"
)
_BEGIN = re.compile(r"(?is)(?:begin|start\s+transaction)\b(?!\s*atomic)[\w\s,]*")
_COMMIT = re.compile(r"(?is)(?:commit|end)(?:\s+(?:work|transaction))?\s*")
_CONTROL = re.compile(r"(?is)(?:rollback|abort|savepoint|release|prepare\s+transaction|commit\s)")
_COPY_STDIN = re.compile(r"(?is)copy\s.*\sfrom\s+stdin\b")
_ATTACH = re.compile(r"(?i)(?:attach|detach)\b")
_ADD_VALUE = re.compile(r"(?is)alter\s+type\s.*\sadd\s+value\s+(?:if\s+not\s+exists\s+)?('(?:[^']|'')*')")
MARK = re.compile(r"(?im)^[ \t]*--[ \t]*lastgood:(irreversible|empty)\b[ \t]*(.*)$")


def decode(data: bytes, file: str) -> str | Problem:
    """The text of a migration file (UTF-8, LF, no byte order mark), or why it is none."""
    if len(data) > LIMIT_BYTES:
        return Problem(file, 1, "more than 8 MiB is too large for a migration", "load data by a program of its own")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem(file, 1, "the file is UTF-16", "save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        return Problem(file, data.count(b"\n", 0, nul) + 1, "the file is not text: it holds a zero byte")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(file, line, f"the byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_script(
    sections: Sequence[tuple[int, str]], dialect: Dialect, source: str, *, transactional: bool = True
) -> Script | Problem:
    """A script out of ``(first line, text)`` sections in the order in which they run."""
    statements: list[Statement] = []
    for first_line, text in sections:
        try:
            found = split(text, dialect, first_line)
        except SplitError as error:
            return Problem(source, error.line, error.what)
        statements.extend(found)
    for statement in statements:
        if refused := _refused(statement, dialect):
            return Problem(source, statement.line, *refused)
    kept = tuple(
        _classified(s, dialect) for s in statements if not _BEGIN.fullmatch(s.sql) and not _COMMIT.fullmatch(s.sql)
    )
    text = "\n".join(part.strip("\n") for _, part in sections)
    together = transactional and _fits_one_transaction(kept)
    asked = next((statement for statement in kept if ASKED.match(statement.sql)), None)
    if asked is not None and not together:
        what = "the script asks the database, and one transaction cannot hold it: it could stop half way"
        return Problem(source, asked.line, what, "divide it in two migrations, or write it without asking")
    return Script(text, kept, source, together, _mark(text, "empty"))


def _refused(statement: Statement, dialect: Dialect) -> tuple[str, str] | None:
    sql = statement.sql
    if sql.startswith(ASKED_MARK) and not ASKED.match(sql):
        return (
            "the mark of a question is not whole",
            f"write {ASKED_MARK}rows (or schema), a SHA-256 in hex, and the query",
        )
    if _CONTROL.match(sql) and not _COMMIT.fullmatch(sql):
        word = sql.split(None, 1)[0].upper()
        return f"{word} stands in a migration", "the transaction is the runner's; take the statement out"
    if dialect == "postgresql" and _COPY_STDIN.match(sql):
        return "COPY FROM STDIN reads a stream that a migration does not have", "write INSERT statements"
    if dialect == "sqlite" and _ATTACH.match(sql):
        return "a migration may touch its own database only", "take ATTACH and DETACH out"
    return None


def _classified(statement: Statement, dialect: Dialect) -> Statement:
    plain = without_comments(statement.sql, dialect)
    alone = bool(_ALONE[dialect].match(plain))
    setting = dialect == "sqlite" and bool(_SETTING.match(plain))
    return replace(statement, alone=alone, setting=setting) if alone or setting else statement


def without_comments(sql: str, dialect: Dialect) -> str:
    """The same statement with a blank in place of each comment."""
    if "--" not in sql and "/*" not in sql:
        return sql
    return "".join(" " if token.kind in ("line", "block") else token.text for token in tokens(sql, dialect)).strip()


def _fits_one_transaction(statements: Sequence[Statement]) -> bool:
    """Whether nothing has to run alone, no new enum value is used, no connection setting stands in the middle."""
    if any(statement.alone for statement in statements):
        return False
    for position, statement in enumerate(statements):
        value = _ADD_VALUE.match(statement.sql)
        if value and any(value.group(1) in later.sql for later in statements[position + 1 :]):
            return False
    begin, end = settings_around(statements)
    return not any(statement.setting for statement in statements[begin : len(statements) - end])


def settings_around(statements: Sequence[Statement]) -> tuple[int, int]:
    """How many statements at the beginning and at the end only set the connection; they run outside the transaction."""
    begin = 0
    while begin < len(statements) and statements[begin].setting:
        begin += 1
    end = 0
    while end < len(statements) - begin and statements[-1 - end].setting:
        end += 1
    return begin, end


def _mark(text: str, word: str) -> str | None:
    for match in MARK.finditer(text):
        if match.group(1).lower() == word:
            return match.group(2).strip() or "no reason given"
    return None


def irreversible_mark(*texts: str) -> str | None:
    """The reason after ``-- lastgood:irreversible``, from whichever text has it."""
    return next((reason for text in texts if (reason := _mark(text, "irreversible"))), None)
