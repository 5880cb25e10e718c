"""Take the secrets out of text before it goes to a log, an error, a journal or a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 4
"""Shorter values are left alone: they would take letters out of every other word."""
_SHORTEST_LINE = 16


class Redactor:
    """Knows values, and how they look escaped in JSON and URLs; of several lines (PEM) also each long line."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._needles: set[str] = set()
        for value in values:
            self.add(value)

    def __repr__(self) -> str:
        """Without the values."""
        return f"Redactor({len(self._needles)} forms)"

    def add(self, value: str) -> None:
        """From now on this value is taken out."""
        self._needles.update(_forms(value))

    def redact(self, text: str) -> str:
        """The text with every known value replaced; values that overlap in it go together."""
        pieces, end = [], 0
        for start, stop in _merged(self._spans(text)):
            pieces += [text[end:start], REDACTED]
            end = stop
        return "".join([*pieces, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for needle in self._needles:
            at = text.find(needle)
            while at >= 0:
                yield at, at + len(needle)
                at = text.find(needle, at + 1)


def _forms(value: str) -> Iterator[str]:
    lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
    for raw in (value, value.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)):
        escaped = (json.dumps(raw)[1:-1], json.dumps(raw, ensure_ascii=False)[1:-1], repr(raw)[1:-1])
        # What cannot be encoded (a lone surrogate) stands in no URL.
        quoted = (
            quote(raw, errors="replace"),
            quote(raw, safe="", errors="replace"),
            quote_plus(raw, errors="replace"),
        )
        for form in (raw, *escaped, *quoted):
            if len(raw) >= SHORTEST and len(form) >= SHORTEST:
                yield form


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
