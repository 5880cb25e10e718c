"""What every layout yields before the rules that hold for all of them: texts with their places, not yet statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lastgood.database.migration import Dialect, Migration, Script, version_key
from lastgood.database.script import decode, irreversible_mark, make_script
from lastgood.errors import Problem

STEM = re.compile(r"[vV]?(?P<version>\d+)(?:[_.\-]+(?P<name>.*))?")


@dataclass(frozen=True, slots=True)
class Half:
    """One direction: ``(first line, text)`` sections in the order in which they run, and the file they stand in."""

    file: str
    sections: tuple[tuple[int, str], ...]
    transactional: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """A migration as its files say it."""

    version: str
    name: str
    up: Half | None
    down: Half | None

    @property
    def file(self) -> str:
        """Where to point at."""
        half = self.up or self.down
        return half.file if half else ""


def read_half(data: bytes, file: str, problems: list[Problem], *, transactional: bool = True) -> Half | None:
    """A whole file as one direction; None when it is no text (the problem is noted)."""
    text = decode(data, file)
    if isinstance(text, Problem):
        problems.append(text)
        return None
    return Half(file, ((1, text),), transactional)


def finished(
    drafts: Iterable[Draft], dialect: Dialect, problems: list[Problem], notes: list[str], *, ordered: bool
) -> tuple[Migration, ...]:
    """Migrations in order; problems and notes are added to the lists. ``ordered``: the drafts' own order counts."""
    kept = list(drafts) if ordered else sorted(drafts, key=lambda draft: (version_key(draft.version), draft.file))
    _find_doubles(kept, problems)
    _find_gaps(kept, notes)
    found = []
    for draft in kept:
        if draft.up is None:
            hint = "add the up file, or remove this one"
            problems.append(
                Problem(draft.file, 0, f"migration {draft.version} has a down script and no up script", hint)
            )
            continue
        up, down = _script(draft.up, dialect, problems), _script(draft.down, dialect, problems)
        if up is None or (draft.down and down is None):
            continue
        reason = irreversible_mark(up.text, down.text if down else "")
        migration = Migration(draft.version, draft.name, up, down, reason)
        if up.does_nothing and up.empty_because is None:
            notes.append(f"{up.source}: the up script does nothing")
        if migration.no_way_back and reason is None:
            notes.append(f"{draft.file}: {migration.label} cannot be undone: {migration.no_way_back}")
        found.append(migration)
    return tuple(found)


def _script(half: Half | None, dialect: Dialect, problems: list[Problem]) -> Script | None:
    if half is None:
        return None
    script = make_script(half.sections, dialect, half.file, transactional=half.transactional)
    if isinstance(script, Problem):
        problems.append(script)
        return None
    return script


def _find_doubles(drafts: Sequence[Draft], problems: list[Problem]) -> None:
    seen: dict[tuple[int, int, str], Draft] = {}
    for draft in drafts:
        first = seen.setdefault(version_key(draft.version), draft)
        if first is not draft:
            what = f"version {draft.version} is also the version of {first.file}"
            problems.append(Problem(draft.file, 0, what, "give the newer of the two a new number"))


def _find_gaps(drafts: Sequence[Draft], notes: list[str]) -> None:
    """Numbers in sequence should have none; dates always do."""
    numbers = [int(draft.version) for draft in drafts if draft.version.isdigit()]
    for before, after in pairwise(numbers):
        if after - before > 1 and after < 1_000_000:
            missing = f"{before + 1}" if after - before == 2 else f"{before + 1} to {after - 1}"
            notes.append(f"no migration has the number {missing}")
