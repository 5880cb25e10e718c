"""Text for people: nothing in it can move their cursor, and numbers carry their unit. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, and those that turn the direction of writing: a commit's subject may hold any of them."""
_BREAK = re.compile(r" *\n[ \n]*")
"""Where a reason of several lines, as the end of a log, goes into the one line of a table."""
_PAINTED = re.compile(
    r"\b(?P<red>LOOSENS|UNJOURNALED|HALTED|BLOCKED|NOT RESTORED)\b|^(?P<error>error|fail)\b|^(?P<warn>warn(?:ing)?)\b"
)


def escaped(text: object) -> str:
    """The text in one line, ``a / b`` for two, with each unsafe character written out, as ``\\x1b``."""
    one_line = _BREAK.sub(" / ", str(text).strip("\n"))
    return _UNSAFE.sub(lambda found: ascii(found.group())[1:-1], one_line)


def painted(line: str) -> str:
    """An escaped line with its alarming words in colour."""

    def paint(found: re.Match[str]) -> str:
        return f"\x1b[{'1;33' if found.group('warn') else '1;31'}m{found.group()}\x1b[0m"

    return _PAINTED.sub(paint, line)


def milliseconds(value: float) -> str:
    """``1.9 ms``, ``52 ms``, ``3.2 s``."""
    if value < 10:
        return f"{value:.1f} ms"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s"


def lasting(seconds: float) -> str:
    """``9m58s``, ``2h``, ``0.2s``: two units at most."""
    if seconds < 10:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count and len(parts) < 2:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def listed(words: Iterable[object], nothing: str = "none") -> str:
    """``a, b and c``."""
    texts = [str(word) for word in words]
    if not texts:
        return nothing
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def counted(number: int, noun: str) -> str:
    """``1 proxy``, ``3 proxies``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows as aligned columns; the last one is as long as it is."""
    widths = [
        max((len(row[i]) for row in rows if i < len(row) - 1), default=0) for i in range(max(map(len, rows), default=0))
    ]
    made = []
    for row in rows:
        cells = [cell.ljust(widths[i]) if i < len(row) - 1 else cell for i, cell in enumerate(row)]
        made.append(indent + "  ".join(cells).rstrip())
    return made


def moment(iso: str | None) -> str:
    """``2026-03-01 12:00:05Z`` from the API's form."""
    return "" if iso is None else iso[:10] + " " + iso[11:19] + "Z"
