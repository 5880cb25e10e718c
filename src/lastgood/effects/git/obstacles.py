"""Whether a work tree may be brought forward under its user.

Clean means: no tracked file differs from HEAD in index or work tree, no merge, rebase or bisect is under way, and no
untracked file (ignored or not) lies where one has to be written. Any such difference makes the whole work tree dirty,
also in files the change does not touch: somebody is in the middle of something there. The one exception is content
that is already what we are about to write: that is what an interrupted update of ours leaves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pygit2

from lastgood.effects.git.command import run
from lastgood.effects.git.worktrees import Change, WorkTree, uncommitted

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a git revert",
    "BISECT_LOG": "a bisect",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
_LINK, _PLAIN, _EXECUTABLE = 0o120000, 0o100644, 0o100755


def obstacle(work_tree: WorkTree, wanted: Sequence[Change]) -> str | None:
    """Why a work tree may not be brought forward, in a person's words; None when it may."""
    if not Path(work_tree.place).is_dir():
        return f"the work tree {work_tree.place} is away"
    for name, what in _UNDER_WAY.items():
        if (Path(work_tree.git_folder) / name).exists():
            return f"{what} is under way in {work_tree.place}"
    if (Path(work_tree.git_folder) / "index.lock").exists():
        return f"another git command is at work in {work_tree.place} (or left index.lock there)"
    by_path = {change.path: change for change in wanted}
    dirty = [u.path for u in uncommitted(work_tree.place, untracked="no")]
    foreign = sorted(set(dirty) - by_path.keys())
    foreign += different(work_tree.place, [by_path[path] for path in dirty if path in by_path])
    if foreign:
        return f"{work_tree.place} has uncommitted changes: {_few(foreign)}"
    blocked = _in_the_way(work_tree.place, wanted)
    return f"untracked files in {work_tree.place} are in the way: {_few(blocked)}" if blocked else None


def different(place: str, wanted: Sequence[Change]) -> list[str]:
    """Which of the paths hold something else on the disk than they are to become."""
    odd, plain = [], []
    for change in wanted:
        full = os.path.join(place, change.path)
        is_plain = os.path.isfile(full) and not os.path.islink(full)
        if change.oid is None:
            same = not os.path.lexists(full)
        elif change.mode == _LINK:
            same = os.path.islink(full) and str(pygit2.hash(os.fsencode(os.readlink(full)))) == change.oid
        else:
            mode = _EXECUTABLE if is_plain and os.access(full, os.X_OK) else _PLAIN
            same = is_plain and mode == change.mode and "\n" not in change.path
            plain += [change] if same else []
        odd += [] if same else [change.path]
    if plain:  # by git itself: line endings and filters count
        given = os.fsencode("\n".join(change.path for change in plain) + "\n")
        hashes = run(place, "hash-object", "--stdin-paths", given=given).split()
        odd += [change.path for change, found in zip(plain, hashes, strict=True) if found != change.oid]
    return sorted(odd)


def _in_the_way(place: str, wanted: Sequence[Change]) -> list[str]:
    """Paths to be written at which there is something Git does not know, with other content."""
    written = [change for change in wanted if change.oid is not None]
    tracked = set(run(place, "ls-files", "-z").split("\0"))
    folders = {folder for path in tracked for folder in _folders(path)}
    blocked = []
    for change in written:
        full = os.path.join(place, change.path)
        for above in _folders(change.path):
            outer = os.path.join(place, above)
            if os.path.lexists(outer) and (os.path.islink(outer) or not os.path.isdir(outer)) and above not in tracked:
                blocked.append(above)
        if change.path in tracked or not os.path.lexists(full):
            continue
        if os.path.isdir(full) and not os.path.islink(full):
            inside = {os.path.relpath(os.path.join(d, f), place) for d, _, names in os.walk(full) for f in names}
            blocked += sorted(inside - tracked)
        elif change.path not in folders:
            blocked += different(place, [change])
    return sorted(set(blocked))


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
