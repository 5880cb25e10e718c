"""A script into statements, right about strings, dollar quotes, comments, trigger and function bodies.

PostgreSQL's lexical rules: manual 4.1; psql's own splitting (parentheses and ``BEGIN ATOMIC`` hold a semicolon back).
SQLite's: https://sqlite.org/lang.html, ``CREATE TRIGGER ... BEGIN ... END``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from lastgood.database.migration import ASKED_MARK, Dialect, Statement


class SplitError(Exception):
    """The text does not end as it began. ``line`` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


_START = {
    "postgresql": (
        r"(?P<space>\s+)|(?P<line>--[^\n]*)|(?P<block>/\*)|(?P<estring>[eE]')|(?P<string>')|(?P<quoted>\")"
        r"|(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)|(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)"
        r"|(?P<number>\d[\w.]*)|(?P<semicolon>;)|(?P<open>\()|(?P<close>\))|(?P<meta>\\)|(?P<other>.)"
    ),
    "sqlite": (
        r"(?P<space>\s+)|(?P<line>--[^\n]*)|(?P<block>/\*)|(?P<string>')|(?P<quoted>\")|(?P<tick>`)|(?P<bracket>\[)"
        r"|(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)|(?P<number>\d[\w.]*)"
        r"|(?P<semicolon>;)|(?P<open>\()|(?P<close>\))|(?P<other>.)"
    ),
}
_ENDS = {
    "estring": re.compile(r"(?:[^'\\]|''|\\.)*'", re.S),
    "string": re.compile(r"(?:[^']|'')*'", re.S),
    "quoted": re.compile(r'(?:[^"]|"")*"', re.S),
    "tick": re.compile(r"(?:[^`]|``)*`", re.S),
    "bracket": re.compile(r"[^\]]*\]", re.S),
}
_NAMES = {"string": "string", "estring": "string", "quoted": "quoted name", "tick": "quoted name", "bracket": "[name]"}
_BLOCK_MARK = re.compile(r"/\*|\*/")


@cache
def _start(dialect: Dialect) -> re.Pattern[str]:
    """Compiled when it is needed: each takes some milliseconds, and a command needs one."""
    return re.compile(_START[dialect], re.S)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL: ``kind`` is a group of the patterns above, ``text`` what was written, ``at`` its offset."""

    kind: str
    text: str
    at: int


def tokens(text: str, dialect: Dialect, first_line: int = 1) -> Iterator[Token]:
    """Every token of a text, white space and comments included, so that joining them gives the text back.

    Raises :class:`SplitError` with a line that counts from ``first_line``.
    """
    try:
        yield from _tokens(text, dialect)
    except SplitError as error:
        raise SplitError(error.line + first_line - 1, error.what) from None


def _tokens(text: str, dialect: Dialect) -> Iterator[Token]:
    pattern = _start(dialect)
    at, size = 0, len(text)
    while at < size:
        match = pattern.match(text, at)
        if match is None:  # cannot happen: "other" takes any character
            raise SplitError(text.count("\n", 0, at) + 1, "not SQL")
        kind = match.lastgroup or "other"
        end = match.end()
        if kind in _ENDS:
            end = _end_of_quote(text, kind, match.end(), at)
        elif kind == "dollar":
            end = _end_of_dollar(text, match.group(), at)
        elif kind == "block":
            end = _end_of_block(text, at, nested=dialect == "postgresql")
        yield Token(kind, text[at:end], at)
        at = end


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _end_of_quote(text: str, kind: str, inside: int, at: int) -> int:
    match = _ENDS[kind].match(text, inside)
    if match is None:
        raise SplitError(_line(text, at), f"the {_NAMES[kind]} that begins here does not end")
    return match.end()


def _end_of_dollar(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at + len(mark))
    if end < 0:
        raise SplitError(_line(text, at), f"the text quoted with {mark} that begins here does not end")
    return end + len(mark)


def _end_of_block(text: str, at: int, *, nested: bool) -> int:
    depth, position = 0, at
    while match := _BLOCK_MARK.search(text, position):
        position = match.end()
        if match.group() == "/*":
            depth = depth + 1 if nested or depth == 0 else depth
        else:
            depth -= 1
            if depth == 0:
                return position
    if not nested:
        return len(text)  # SQLite takes a comment to the end of the text
    raise SplitError(_line(text, at), "the comment that begins here does not end")


class _Body:
    """Whether a semicolon stands inside a body: a trigger's BEGIN ... END, a function's BEGIN ATOMIC ... END."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.words: list[str] = []
        self.parens = 0
        self.depth = 0

    def word(self, word: str) -> None:
        """Take note of one word, upper case."""
        if self.depth:
            if word == "CASE":
                self.depth += 1
            elif word == "END":
                self.depth -= 1
        elif self._opens(word):
            self.depth = 1
        if len(self.words) < 8 or word in ("ATOMIC", "BEGIN"):
            self.words.append(word)

    def _opens(self, word: str) -> bool:
        head = self.words[:5]
        if head[:1] != ["CREATE"]:
            return False
        if self.dialect == "sqlite":
            return word == "BEGIN" and "TRIGGER" in head[:3]
        return word == "ATOMIC" and self.words[-1] == "BEGIN" and bool({"FUNCTION", "PROCEDURE"} & set(head))

    @property
    def holds(self) -> bool:
        """Whether the statement goes on after a semicolon."""
        return self.depth > 0 or self.parens > 0


def split(text: str, dialect: Dialect, first_line: int = 1) -> list[Statement]:
    """The statements of a text with the lines they begin on; comments between statements are left out,
    but for the mark of a question.

    Raises :class:`SplitError` for what does not end, and for psql's backslash commands, which no server knows.
    """
    plain = _split_plain(text, first_line)
    return _split_all(text, dialect, first_line) if plain is None else plain


_PLAIN = re.compile(r"(?:[\w\s(),.;=<>+*%|!:]|/(?!\*)|-(?!-))*", re.A)
_BODY = re.compile(r"(?i)\b(?:begin|atomic)\b")


def is_plain(text: str) -> bool:
    """Whether it is ASCII in which nothing is quoted and nothing a comment."""
    return bool(_PLAIN.fullmatch(text))


def _split_plain(text: str, first_line: int) -> list[Statement] | None:
    """The same for a text in which nothing is quoted, commented or a body: most are, and tokens take ten times longer.

    None: it may be one of those; look at each token.
    """
    if not is_plain(text) or _BODY.search(text):
        return None
    found = []
    line = first_line
    for piece in text.split(";"):
        if piece.count("(") != piece.count(")"):
            return None
        if sql := piece.strip():
            skipped = piece[: piece.index(sql)].count("\n")
            found.append(Statement(sql, line + skipped))
        line += piece.count("\n")
    return found


def _split_all(text: str, dialect: Dialect, first_line: int) -> list[Statement]:
    found: list[Statement] = []
    start: int | None = None
    end = 0
    counted_at, line = 0, first_line
    body = _Body(dialect)
    for token in tokens(text, dialect, first_line):
        if token.kind in ("space", "line", "block") and not token.text.startswith(ASKED_MARK):
            continue
        if token.kind == "semicolon" and not body.holds:
            if start is not None:
                found.append(Statement(text[start:end], line))
            start, body = None, _Body(dialect)
            continue
        if start is None:
            start = token.at
            line += text.count("\n", counted_at, start)
            counted_at = start
            if token.kind == "meta":
                what = text[start:].split(None, 1)[0]
                raise SplitError(line, f"{what} is a command of psql, which only psql understands")
        end = token.at + len(token.text)
        if token.kind == "word":
            body.word(token.text.upper())
        elif token.kind in ("open", "close"):
            body.parens += 1 if token.kind == "open" else -1
    if start is not None:
        if body.depth:
            raise SplitError(line, "the body of the statement that begins here has no END")
        found.append(Statement(text[start:end], line))
    return found
