"""Layouts with a file for each direction: ``001_name.up.sql``/``.down.sql``, and Diesel's directories."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lastgood.database.drafts import STEM, Draft, Half, read_half
from lastgood.database.migration import Dialect
from lastgood.errors import Problem

_ALIASES = {
    **dict.fromkeys(("postgres", "postgresql", "pg", "pgsql"), "postgresql"),
    **dict.fromkeys(("sqlite", "sqlite3"), "sqlite"),
    **dict.fromkeys(("mysql", "mariadb", "cockroach", "cockroachdb", "mssql", "sqlserver", "oracle"), "other"),
}
_DIRECTORY = re.compile(r"(?P<version>\d[\d\-]*)(?:_(?P<name>.*))?")


def is_pairs(files: Mapping[str, bytes]) -> bool:
    """Whether any file says its direction in its name."""
    return any(".up." in file.lower() or ".down." in file.lower() for file in files)


def is_directories(files: Mapping[str, bytes]) -> bool:
    """Whether there is a folder with an ``up.sql``."""
    return any(path.count("/") == 1 and path.endswith("/up.sql") for path in files)


def read_pairs(
    files: Mapping[str, bytes], dialect: Dialect, problems: list[Problem], notes: list[str], place: str
) -> list[Draft]:
    """Drafts of a flat folder. A file for this dialect beats one for all; those of other dialects are left alone."""
    halves: dict[tuple[str, str], dict[str, tuple[bool, Half]]] = {}
    for file, data in files.items():
        parts = file[: -len(".sql")].split(".")
        words = [part.lower() for part in parts[1:]]
        directions = [word for word in words if word in ("up", "down")]
        stem = ".".join(part for part, word in zip(parts, ["", *words], strict=True) if word not in _SPECIAL)
        match = STEM.fullmatch(stem)
        if len(directions) != 1 or match is None:
            problems.append(_unnamed(place + file))
            continue
        meant = {_ALIASES[word] for word in words if word in _ALIASES}
        if meant and dialect not in meant:
            continue
        half = read_half(data, place + file, problems, transactional="autocommit" not in words)
        if half is None:
            continue
        key = (match["version"], match["name"] or "")
        side = halves.setdefault(key, {})
        before = side.get(directions[0])
        if before and before[0] == bool(meant):
            what = f"version {match['version']} is also the version of {before[1].file}"
            problems.append(Problem(half.file, 0, what, "remove one of them"))
        elif before is None or meant:
            side[directions[0]] = (bool(meant), half)
    return _joined(halves, notes)


_SPECIAL = {*_ALIASES, "up", "down", "autocommit"}


def _joined(halves: Mapping[tuple[str, str], Mapping[str, tuple[bool, Half]]], notes: list[str]) -> list[Draft]:
    """One draft a version; an up and a down of one number under two names belong together when each stands alone."""
    alone: dict[str, list[tuple[str, str]]] = {}
    for version, name in halves:
        alone.setdefault(version, []).append((version, name))
    drafts = []
    for keys in alone.values():
        sides = [halves[key] for key in keys]
        if len(keys) == 2 and {frozenset(side) for side in sides} == {frozenset({"up"}), frozenset({"down"})}:
            up = next(side["up"][1] for side in sides if "up" in side)
            down = next(side["down"][1] for side in sides if "down" in side)
            notes.append(f"{up.file} and {down.file} are taken for a pair although their names differ")
            name = next(key[1] for key in keys if "up" in halves[key])
            drafts.append(Draft(keys[0][0], name, up, down))
            continue
        for key in keys:
            pair = {word: found[1] for word, found in halves[key].items()}
            drafts.append(Draft(*key, pair.get("up"), pair.get("down")))
    return drafts


def _unnamed(file: str) -> Problem:
    hint = "name it 0001_what.up.sql or 0001_what.down.sql, or move it out of the folder"
    return Problem(file, 0, "the name says neither a version nor a direction", hint)


def read_directories(files: Mapping[str, bytes], problems: list[Problem], notes: list[str], place: str) -> list[Draft]:
    """Drafts of folders ``<version>_name`` with ``up.sql`` and ``down.sql``; Diesel sorts with the dashes left out."""
    folders: dict[str, dict[str, Half]] = {}
    for path, data in files.items():
        folder, _, file = path.rpartition("/")
        if file not in ("up.sql", "down.sql") or not _DIRECTORY.fullmatch(folder):
            problems.append(Problem(place + path, 0, "not part of a migration", "move it out of the folder"))
            continue
        half = read_half(data, place + path, problems)
        if half:
            folders.setdefault(folder, {})[file.removesuffix(".sql")] = half
    drafts = []
    for folder, halves in folders.items():
        match = _DIRECTORY.fullmatch(folder)
        if match:
            drafts.append(Draft(match["version"], match["name"] or "", halves.get("up"), halves.get("down")))
    return drafts
