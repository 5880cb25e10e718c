"""Layouts with both directions in one file: dbmate, goose, sql-migrate.

dbmate: https://github.com/amacneil/dbmate#creating-migrations; goose: https://pressly.github.io/goose/documentation/annotations/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lastgood.database.drafts import STEM, Draft, Half
from lastgood.database.script import decode
from lastgood.errors import Problem

_MARK = re.compile(
    r"(?im)^[ \t]*--[ \t]*(?:migrate:(?P<dbmate>up|down)\b(?P<options>.*)"
    r"|\+(?:goose|migrate)[ \t]+(?P<word>.*?)[ \t]*)$"
)


@dataclass(slots=True)
class _File:
    """What the marks of a file say so far."""

    sections: list[tuple[str, int, str]] = field(default_factory=list)
    transactional: dict[str, bool] = field(default_factory=lambda: {"up": True, "down": True})
    open_line: int = 0


def read_sections(files: Mapping[str, bytes], problems: list[Problem], place: str) -> list[Draft]:
    """Drafts of a flat folder of ``<version>_name.sql``; several down sections are undone in reverse."""
    drafts = []
    for file, data in files.items():
        match = STEM.fullmatch(file.removesuffix(".sql"))
        if match is None:
            hint = "name it 0001_what.sql, or move it out of the folder"
            problems.append(Problem(place + file, 0, "the name does not begin with a version", hint))
            continue
        text = decode(data, place + file)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        read = _read_file(text, place + file, problems)
        if read:
            drafts.append(Draft(match["version"], match["name"] or "", *read))
    return drafts


def _read_file(text: str, file: str, problems: list[Problem]) -> tuple[Half, Half | None] | None:
    read = _File()
    marks = list(_MARK.finditer(text))
    for position, mark in enumerate(marks):
        line = text.count("\n", 0, mark.start()) + 1
        end = len(text)
        for later in marks[position + 1 :]:
            if _direction(later):
                end = later.start()
                break
        if problem := _take(mark, line, text[mark.end() : end], read, file):
            problems.append(problem)
            return None
    if read.open_line:
        problems.append(Problem(file, read.open_line, "StatementBegin has no StatementEnd"))
        return None
    ups = [(line, body) for direction, line, body in read.sections if direction == "up"]
    downs = [(line, body) for direction, line, body in read.sections if direction == "down"]
    if not ups:
        hint = "begin it with -- migrate:up (dbmate) or -- +goose Up, or use .up.sql and .down.sql files"
        problems.append(Problem(file, 1, "nothing says which part is the up script", hint))
        return None
    before = text[: next(mark.start() for mark in marks if _direction(mark))]
    if problem := _says_something(before, file):
        problems.append(problem)
        return None
    up = Half(file, tuple(ups), read.transactional["up"])
    down = Half(file, tuple(reversed(downs)), read.transactional["down"]) if downs else None
    return up, down


def _direction(mark: re.Match[str]) -> str | None:
    if mark["dbmate"]:
        return mark["dbmate"].lower()
    word = (mark["word"] or "").split(None, 1)[0].lower() if mark["word"] else ""
    return word if word in ("up", "down") else None


def _take(mark: re.Match[str], line: int, body: str, read: _File, file: str) -> Problem | None:
    direction = _direction(mark)
    if direction:
        if read.open_line:
            return Problem(file, read.open_line, "StatementBegin has no StatementEnd")
        read.sections.append((direction, line, body))
        options = (mark["options"] or mark["word"] or "").lower()
        if "transaction:false" in options.replace(" ", "") or "notransaction" in options:
            read.transactional[direction] = False
        return None
    word = " ".join(mark["word"].lower().split())
    if word == "no transaction":
        read.transactional = {"up": False, "down": False}
    elif word == "statementbegin":
        read.open_line = line
    elif word == "statementend":
        if not read.open_line:
            return Problem(file, line, "StatementEnd without StatementBegin")
        read.open_line = 0
    elif word.startswith("envsub"):
        hint = "write the value out; a script must be the same on every machine"
        return Problem(file, line, "ENVSUB puts environment variables into the script", hint)
    else:
        return Problem(file, line, f"unknown mark {mark.group().strip()!r}")
    return None


def _says_something(before: str, file: str) -> Problem | None:
    for number, line in _numbered(before):
        if line.strip() and not line.lstrip().startswith("--"):
            return Problem(file, number, "this stands before the first section and would never run")
    return None


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    return enumerate(text.split("\n"), 1)
