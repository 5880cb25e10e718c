"""Bringing a clean work tree from one commit to another, or leaving it where it was."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lastgood.effects.git.command import attempt, run
from lastgood.effects.git.obstacles import different
from lastgood.effects.git.worktrees import Change, WorkTree, uncommitted


def bring_forward(work_tree: WorkTree, old: str, new: str, wanted: Sequence[Change]) -> str | None:
    """Write the changed files and the index, as a fast-forward does; None, or git's refusal (then nothing moved).

    What an interrupted update left is put into the index first, for git keeps entries that are new already.
    """
    place = work_tree.place
    left = {u.path for u in uncommitted(place)} & {change.path for change in wanted}
    if left:
        run(place, "update-index", "--add", "--remove", "-z", "--stdin", given=_lines(sorted(left)))
    attempt(place, "update-index", "-q", "--refresh")  # times that changed without the content are no change
    ran = attempt(place, "read-tree", "-m", "-u", old, new)
    if ran.code == 0:
        return None
    _put_back(place, old, wanted)
    return ran.errors.splitlines()[-1] if ran.errors else "git read-tree failed"


def _put_back(place: str, old: str, wanted: Sequence[Change]) -> None:
    """After git gave up half way (a full disk, a failing filter): the files it had written or removed, as they were.

    The index is still the old one, git replaces it last. A file with any other content was written by somebody else.
    """
    others = set(different(place, wanted))
    ours = [change for change in wanted if change.path not in others]
    removed = [change for change in wanted if not os.path.lexists(os.path.join(place, change.path))]
    known = set(run(place, "ls-tree", "-r", "-z", "--name-only", "--full-tree", old).split("\0"))
    for change in ours:
        if change.path not in known and change.oid is not None:
            os.unlink(os.path.join(place, change.path))
    paths = sorted({change.path for change in (*ours, *removed)} & known)
    if paths:
        attempt(place, "checkout-index", "-f", "-u", "-z", "--stdin", given=_lines(paths))


def _lines(paths: Sequence[str]) -> bytes:
    return os.fsencode("\0".join(paths))
