"""YAML bytes -> plain data and the line of every node.

The events of libyaml are put together here and not by PyYAML, for three reasons: what is expanded can be counted
while it grows (alias bombs, deep nests), every duplicate key is found, and plain words keep the meaning of YAML 1.2's
core schema (``on``, ``no`` and ``22:30`` are text; YAML 1.1 would make ``true`` of the key in ``retries: {on: ...}``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from lastgood.errors import Problem

MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 500_000
MAX_DEPTH = 50

Lines = dict[str, "Place"] | list["Place"] | None
Place = tuple[int, Lines]
"""Line of a node (of its key in a mapping, from 1), and the places below it: by key, by position, or none."""

_NUMBER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, slots=True)
class Tree:
    """A file as data; ``place`` has the lines. Empty files have ``None`` for data."""

    data: Any
    place: Place


def shorten(text: str, limit: int = 60) -> str:
    """A text fit for a message: one line's worth of it."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


class Unreadable(Exception):
    """The file is no YAML that we take; carries the one problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def read_tree(file: str, content: bytes) -> tuple[Tree | None, tuple[Problem, ...]]:
    """The tree and what is wrong with it (duplicate keys, tags); without a tree the file could not be read at all."""
    try:
        builder = _Builder(file)
        return builder.build(_decode(file, content)), tuple(builder.problems)
    except Unreadable as unreadable:
        return None, (unreadable.problem,)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        return None, (
            Problem(file, mark.line + 1 if mark else 0, f"this is not YAML: {shorten(what, 200)}", _syntax_hint(what)),
        )
    except yaml.YAMLError:  # a character that YAML forbids; libyaml gives no line for it
        return None, (Problem(file, 0, "this is not YAML: it holds a control character"),)


def _syntax_hint(what: str) -> str | None:
    if "cannot start any token" in what:
        return "no tabs for indentation; quote texts that begin with @, ` or %"
    if "mapping values are not allowed" in what:
        return "quote texts that hold ': ', and look at the indentation"
    return None


def _decode(file: str, content: bytes) -> str:
    if len(content) > MAX_BYTES:
        size = f"{len(content) / 1024 / 1024:.1f} MiB"
        raise Unreadable(
            Problem(file, 0, f"the file has {size}, at most 8 MiB are read", "split it into files in lastgood.d/")
        )
    nul = content.find(b"\0")
    if nul >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise Unreadable(Problem(file, line, "this is no text: it holds a NUL byte", "save it as UTF-8 text"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(Problem(file, line, "this is not UTF-8 text", "save the file as UTF-8")) from None


def _plain(text: str) -> Any:
    """What an unquoted word means: YAML 1.2 core schema, without infinities."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789" and len(text) <= 20:
        if _NUMBER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if math.isfinite(number) else text
    return text


@dataclass(slots=True)
class _Frame:
    """A collection that is being filled."""

    data: Any
    lines: Any
    line: int
    anchor: str | None
    count: int
    height: int = 1
    key: str | None = None
    key_line: int = 0


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    lines: Lines
    count: int
    height: int


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, _Anchored] = {}
        self.count = 0
        self.root = Tree(None, (1, None))

    def build(self, text: str) -> Tree:
        loader = yaml.CSafeLoader(text)
        documents = 0
        try:
            while True:
                event: Any = loader.get_event()
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self._scalar(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._open(event, kind is yaml.MappingStartEvent)
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self._close()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        self._refuse(event.start_mark.line + 1, "a file holds one document, here a second one begins")
                elif kind is yaml.StreamEndEvent:
                    return self.root
        finally:
            loader.dispose()

    def _refuse(self, line: int, what: str, hint: str | None = None) -> NoReturn:
        raise Unreadable(Problem(self.file, line, what, hint))

    def _grow(self, count: int, line: int) -> None:
        self.count += count
        if self.count > MAX_NODES:
            self._refuse(
                line,
                f"the file holds more than {MAX_NODES} values, aliases counted in full",
                "split it into files in lastgood.d/",
            )

    def _scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        self._grow(1, line)
        stack = self.stack
        if stack and stack[-1].key is None and type(stack[-1].data) is dict:
            self._key(event.value, line)
            return
        plain = event.implicit[0]
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self._tag(event, line)
        value = _plain(event.value) if plain else event.value
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, None, 1, 0)
        self._attach(value, None, line, 0)

    def _key(self, key: str, line: int) -> None:
        frame = self.stack[-1]
        if key in frame.data:
            first = frame.lines[key][0]
            self.problems.append(Problem(self.file, line, f"`{shorten(key)}` stands here twice, first in line {first}"))
        if key == "<<":
            self.problems.append(Problem(self.file, line, "merge keys (<<) are not taken", "repeat the keys"))
        frame.key, frame.key_line = key, line

    def _open(self, event: Any, mapping: bool) -> None:
        line = event.start_mark.line + 1
        self._grow(1, line)
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(line, f"more than {MAX_DEPTH} levels are nested here")
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].data) is dict:
            self._refuse(
                line, "a key must be a text, here it is a list or a mapping", "quote texts that begin with [ or {"
            )
        if event.tag is not None and event.tag != "!":
            self._tag(event, line)
        if mapping:
            self.stack.append(_Frame({}, {}, line, event.anchor, self.count))
        else:
            self.stack.append(_Frame([], [], line, event.anchor, self.count))

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.anchor is not None:
            count = self.count - frame.count + 1
            self.anchors[frame.anchor] = _Anchored(frame.data, frame.lines, count, frame.height)
        self._attach(frame.data, frame.lines, frame.line, frame.height)

    def _alias(self, event: Any) -> None:
        line = event.start_mark.line + 1
        name = shorten(event.anchor)
        if any(frame.anchor == event.anchor for frame in self.stack):
            self._refuse(line, f"the alias *{name} stands inside of what it stands for")
        known = self.anchors.get(event.anchor)
        if known is None:
            self._refuse(line, f"the alias *{name} is not defined above")
        self._grow(known.count, line)
        if len(self.stack) + known.height > MAX_DEPTH:
            self._refuse(line, f"more than {MAX_DEPTH} levels are nested here, aliases counted in full")
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].data) is dict:
            self._refuse(line, "an alias cannot be a key")
        self._attach(known.value, known.lines, line, known.height)

    def _tag(self, event: Any, line: int) -> None:
        self.problems.append(
            Problem(self.file, line, f"the tag {shorten(event.tag)} is not taken", "quote the text to make it a text")
        )

    def _attach(self, value: Any, lines: Lines, line: int, height: int) -> None:
        if not self.stack:
            self.root = Tree(value, (1, lines))
            return
        frame = self.stack[-1]
        if height >= frame.height:
            frame.height = height + 1
        if type(frame.data) is dict:
            key = frame.key
            if key is not None and key not in frame.data:  # of two the first counts; the second is a problem already
                frame.data[key] = value
                frame.lines[key] = (line if lines is None else frame.key_line, lines)
            frame.key = None
        else:
            frame.data.append(value)
            frame.lines.append((line, lines))


def place_at(place: Place, path: tuple[str | int, ...]) -> Place:
    """The place a path leads to, or the last one on it."""
    for part in path:
        lines = place[1]
        if isinstance(lines, dict) and part in lines:
            place = lines[str(part)]
        elif isinstance(lines, list) and isinstance(part, int) and part < len(lines):
            place = lines[part]
        else:
            break
    return place


def line_at(place: Place, path: tuple[str | int, ...]) -> int:
    """The line of the node a path leads to; where the path ends early, the line of the last node on it."""
    return place_at(place, path)[0]
