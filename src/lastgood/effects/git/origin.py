"""Which commit gave a path its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pygit2

from lastgood.effects.git.revisions import commit_at, revision_of
from lastgood.effects.git.trees import check_path
from lastgood.ports import Revision

_MOST_STEPS = 20_000


def introduced(native: pygit2.Repository, revision: str, paths: Sequence[str]) -> Mapping[str, Revision | None]:
    """As ``git log -1 REVISION -- PATH``: follow whichever parent has the same content, until none has.

    A path that is not at the revision gives the commit that removed it, or None. In a shallow clone, or beyond 20,000
    commits, the oldest one seen is given.
    """
    start = commit_at(native, revision)
    seen: dict[tuple[pygit2.Oid, str], str | None] = {}
    return {path: _origin(start, check_path(path.rstrip("/")), seen) for path in paths}


def _origin(start: pygit2.Commit, path: str, seen: dict[tuple[pygit2.Oid, str], str | None]) -> Revision | None:
    commit, content = start, _content(start, path, seen)
    for _ in range(_MOST_STEPS):
        try:
            parents = commit.parents
        except (KeyError, pygit2.GitError):
            break  # the edge of a shallow clone
        same = next((parent for parent in parents if _content(parent, path, seen) == content), None)
        if same is None:
            return None if content is None and not parents else revision_of(commit)
        commit = same
    return revision_of(commit)


def _content(commit: pygit2.Commit, path: str, seen: dict[tuple[pygit2.Oid, str], str | None]) -> str | None:
    key = (commit.tree_id, path)
    if key not in seen:
        try:
            entry = commit.tree[path]
            seen[key] = f"{int(entry.filemode):o} {entry.id}"
        except KeyError:
            seen[key] = None
    return seen[key]
