"""The work trees of a repository: who has a branch checked out, what is uncommitted, what is to be changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2

from lastgood.effects.git.command import run
from lastgood.effects.git.merging import entries
from lastgood.ports import Uncommitted


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A work tree that has a branch checked out: its folder, and its own part of the Git folder."""

    place: str
    git_folder: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a path is to become: object id and mode, or None for both when it goes."""

    path: str
    oid: str | None
    mode: int | None


def changes(native: pygit2.Repository, old: str, new: str) -> tuple[Change, ...]:
    """The paths in which two commits differ, with their new content."""
    before = {path: (oid, mode) for path, oid, mode in entries(native[old].peel(pygit2.Tree))}
    after = {path: (oid, mode) for path, oid, mode in entries(native[new].peel(pygit2.Tree))}
    touched = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return tuple(Change(path, *after.get(path, (None, None))) for path in touched)


def holders(common: str, branch: str) -> tuple[WorkTree, ...]:
    """The work trees that have a branch checked out, those in the middle of rebasing it included.

    A linked work tree whose folder is away counts only when it is locked (it is on a disk that comes back).
    """
    found = []
    for folder in (Path(common), *sorted((Path(common) / "worktrees").glob("*"))):
        if not _has_branch(folder, branch):
            continue
        if folder == Path(common):
            native = pygit2.Repository(common)
            if not native.is_bare:
                found.append(WorkTree(str(Path(native.workdir)), str(folder)))
            continue
        place = Path((folder / "gitdir").read_text().rstrip("\n")).parent
        if place.is_dir() or (folder / "locked").exists():
            found.append(WorkTree(str(place), str(folder)))
    return tuple(found)


def uncommitted(place: str, paths: Sequence[str] = (), untracked: str = "all") -> tuple[Uncommitted, ...]:
    """What ``git status`` says of a work tree (its filters, attributes and sparse patterns included)."""
    flags = ["--porcelain=v2", "-z", f"--untracked-files={untracked}", "--no-renames", "--ignore-submodules=dirty"]
    text = run(place, "status", *flags, "--", *paths)
    return tuple(sorted({u.path: u for u in _parsed(text)}.values(), key=lambda u: u.path))


def _has_branch(folder: Path, branch: str) -> bool:
    reference = f"refs/heads/{branch}"
    try:
        if (folder / "HEAD").read_text().strip() == f"ref: {reference}":
            return True
    except OSError:
        return False
    for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
        file = folder / name
        if file.exists() and file.read_text().strip() == reference:
            return True
    return False


def _parsed(text: str) -> Iterator[Uncommitted]:
    for line in filter(None, text.split("\0")):
        match line[0]:
            case "1":
                _, state, _, _, _, _, _, _, path = line.split(" ", 8)
                if "D" in state:
                    yield Uncommitted(path, "deleted")
                else:
                    yield Uncommitted(path, "staged" if state[1] == "." else "modified")
            case "u":
                yield Uncommitted(line.split(" ", 10)[10], "conflicted")
            case "?":
                yield Uncommitted(line[2:], "untracked")
