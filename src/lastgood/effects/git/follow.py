"""What happened to a branch since the last look: values in, news out."""

from __future__ import annotations

from collections.abc import Callable

import pygit2

from lastgood.effects.git.revisions import check_branch_name, revision_of
from lastgood.ports import BranchHead, BranchNews, Gone, Moved, Revision, Rewritten, Unchanged

MOST_COMMITS = 1000


def news(
    branch: str,
    previous: BranchHead | None,
    now: str | None,
    between: Callable[[str, str], tuple[Revision, ...] | None],
) -> BranchNews:
    """Compare two looks at a branch. ``between(old, new)`` lists what is new, or None if old is no part of new."""
    if now is None:
        return Gone(branch, previous)
    head = BranchHead(branch, now)
    if previous is None:
        return Moved(head)
    if previous.oid == now:
        return Unchanged(head)
    commits = between(previous.oid, now)
    return Rewritten(previous, head) if commits is None else Moved(head, commits)


def head_of_branch(native: pygit2.Repository, branch: str) -> str | None:
    """Where a local branch, or ``origin/main`` as last fetched, points to. One small file is read: 10 microseconds."""
    check_branch_name(branch)
    for place in ("refs/heads/", "refs/remotes/"):
        reference = native.references.get(place + branch)
        if reference is not None:
            return str(reference.resolve().target)
    return None


def commits_between(native: pygit2.Repository, old: str, new: str) -> tuple[Revision, ...] | None:
    """The commits of new that are not in old, oldest first, at most 1,000; None when old is no ancestor of new."""
    try:
        if not native.descendant_of(new, old):
            return None
    except (KeyError, ValueError, pygit2.GitError):
        return None  # the old commit was rewritten and collected
    walker = native.walk(new, pygit2.enums.SortMode.TOPOLOGICAL)
    walker.hide(old)
    newest = [revision_of(commit) for commit, _ in zip(walker, range(MOST_COMMITS), strict=False)]
    return tuple(reversed(newest))
