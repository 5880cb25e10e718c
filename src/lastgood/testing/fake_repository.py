"""A Git repository in memory: commits, branches, one work tree that is clean or not. Merges by whole files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lastgood.effects.git.follow import news
from lastgood.effects.git.trees import check_path
from lastgood.errors import Unavailable, UsageError
from lastgood.ports import (
    BranchHead,
    BranchNews,
    Head,
    Pushed,
    Reverted,
    RevertOrder,
    Revision,
    TreeFile,
    Uncommitted,
)


@dataclass(frozen=True)
class FakeCommit:
    """A commit of the fake: its files by path."""

    revision: Revision
    files: Mapping[str, bytes]
    parent: str | None
    deployment: str | None = None


class FakeRepository:
    """Implements ``Repository``; a test moves it with ``commit``, ``reset``, ``remove_branch`` and ``dirty``."""

    def __init__(self, branch: str = "main") -> None:
        self.commits: dict[str, FakeCommit] = {}
        self.branches: dict[str, str] = {}
        self.remote: dict[str, dict[str, str]] = {}
        self.follows: dict[str, str] = {}
        self.refuses_push: str | None = None
        self.checked_out = branch
        self.dirty: dict[str, Uncommitted] = {}
        self._clock_s = 1_700_000_000

    def commit(self, files: Mapping[str, bytes | None], message: str, branch: str | None = None) -> str:
        """Commit changes (None removes a file) on a branch; returns the id."""
        branch = branch or self.checked_out
        parent = self.branches.get(branch)
        before = self.commits[parent].files if parent else {}
        content = {path: data for path, data in {**before, **files}.items() if data is not None}
        self.branches[branch] = self._write(content, message, parent)
        return self.branches[branch]

    def reset(self, branch: str, oid: str) -> None:
        """Point a branch anywhere: what a force-push does."""
        self.branches[branch] = oid

    def remove_branch(self, branch: str) -> None:
        """Delete a branch."""
        del self.branches[branch]

    def head(self) -> Head:
        """What is checked out."""
        return Head(self.checked_out, self.branches.get(self.checked_out))

    def resolve(self, text: str) -> Revision:
        """Branches (``refs/heads/NAME`` too), ``HEAD``, ids and their beginnings, each with ``~N``."""
        if not text or text.startswith("-") or any(bad in text for bad in ("..", " ", ":")):
            raise UsageError(f"{text!r} is not a revision")
        text = text.removeprefix("refs/heads/")
        name, _, steps = text.partition("~")
        if not self.branches:
            raise Unavailable("the repository has no commit yet")
        name = self.checked_out if name in ("HEAD", "@") else name
        fitting = [self.branches[name]] if name in self.branches else [o for o in self.commits if o.startswith(name)]
        if len(fitting) > 1:
            raise UsageError(f"{text!r} fits more than one object")
        oid: str | None = fitting[0] if fitting else None
        for _ in range(int(steps or 1) if "~" in text else 0):
            oid = self.commits[oid].parent if oid else None
        if oid is None:
            raise UsageError(f"there is no revision {text!r}")
        is_branch = text in self.branches or text in ("HEAD", "@")
        return replace(self.commits[oid].revision, branch=name if is_branch else None)

    def files(self, revision: str, under: str = "") -> tuple[TreeFile, ...]:
        """Every file below a folder."""
        content = self._at(revision).files
        wanted = under.rstrip("/")
        if wanted:
            check_path(wanted)
        chosen = sorted(p for p in content if not wanted or p == wanted or p.startswith(wanted + "/"))
        return tuple(_tree_file(path, content[path]) for path in chosen)

    def read(self, revision: str, path: str) -> bytes:
        """A file's bytes."""
        content = self._at(revision).files
        if check_path(path) not in content:
            raise Unavailable("there is no such file", where=path)
        return content[path]

    def tree_id(self, revision: str, path: str = "") -> str | None:
        """A digest of what is at or below a path."""
        found = self.files(revision, path)
        if len(found) == 1 and found[0].path == path.rstrip("/"):
            return found[0].blob_id
        return _digest(repr([(f.path[len(path) :], f.blob_id) for f in found]).encode()) if found else None

    def uncommitted(self, paths: Sequence[str] = ()) -> tuple[Uncommitted, ...]:
        """What the test put into ``dirty``."""
        chosen = [u for p, u in sorted(self.dirty.items()) if not paths or any(_below(p, given) for given in paths)]
        return tuple(chosen)

    def introduced(self, revision: str, paths: Sequence[str]) -> Mapping[str, Revision | None]:
        """The commit that gave each path its content."""
        return {path: self._origin(self._at(revision), check_path(path)) for path in paths}

    def poll(self, branch: str, previous: BranchHead | None) -> BranchNews:
        """What happened to a branch since the last look."""
        return news(branch, previous, self.branches.get(branch), self._between)

    def fetch(self, remote: str, branch: str) -> BranchHead | None:
        """Take a branch over from ``remote``."""
        if remote not in self.remote:
            raise UsageError(f"{remote!r} is not a remote of this repository")
        oid = self.remote[remote].get(branch)
        if oid is None:
            self.branches.pop(f"{remote}/{branch}", None)
            return None
        self.branches[f"{remote}/{branch}"] = oid
        return BranchHead(f"{remote}/{branch}", oid)

    def revert(self, order: RevertOrder) -> Reverted:
        """A three-way merge by whole files."""
        if order.branch not in self.branches:
            raise Unavailable(f"there is no branch {order.branch!r}")
        head, bad, target = (self._at(oid) for oid in (self.branches[order.branch], order.bad, order.target))
        aside = f"lastgood/revert-{order.release}"
        merged, conflicts = _merge(bad.files, head.files, target.files, order.keep_paths)
        if not conflicts and merged == head.files:
            earlier = next((c for c in self._history(head) if c.deployment == order.deployment), None)
            oid = earlier.revision.oid if earlier else None
            return Reverted(oid, order.branch, order.branch, aside, why="the branch holds this content already")
        parent, content = (bad, _kept(target.files, bad.files, order.keep_paths)) if conflicts else (head, merged)
        dirty = bool(self.dirty) and self.checked_out == order.branch
        beside = bool(conflicts) or dirty
        if beside and aside in self.branches and self._at(aside_oid := self.branches[aside]).files == content:
            commit = aside_oid
        else:
            commit = self._write(content, order.message, parent.revision.oid, order.deployment)
        self.branches[aside if beside else order.branch] = commit
        if not beside:
            return Reverted(commit, order.branch, order.branch, aside, self.checked_out == order.branch)
        why = "the branch has later changes" if conflicts else "the work tree has uncommitted changes"
        return Reverted(commit, aside, order.branch, aside, False, conflicts, why, (f"git merge {aside}",))

    def push(self, reverted: Reverted) -> Pushed | None:
        """To the remote the branch follows; ``refuses_push`` is what that remote says to anything but asides."""
        remote = self.follows.get(reverted.asked)
        if remote is None or reverted.commit is None:
            return None
        refused = self.refuses_push if reverted.branch == reverted.asked else None
        there = reverted.aside if refused else reverted.branch
        self.remote.setdefault(remote, {})[there] = reverted.commit
        return Pushed(remote, there, refused or reverted.why)

    def _write(self, content: Mapping[str, bytes], message: str, parent: str | None, key: str | None = None) -> str:
        self._clock_s += 1
        oid = _digest(repr((sorted(content.items()), message, parent, self._clock_s)).encode())
        subject = message.partition("\n")[0]
        self.commits[oid] = FakeCommit(Revision(oid, subject, "Somebody", self._clock_s), dict(content), parent, key)
        return oid

    def _at(self, oid: str) -> FakeCommit:
        if oid not in self.commits:
            raise Unavailable(f"there is no revision {oid!r}")
        return self.commits[oid]

    def _history(self, commit: FakeCommit) -> list[FakeCommit]:
        found = [commit]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found

    def _between(self, old: str, new: str) -> tuple[Revision, ...] | None:
        ids = [commit.revision.oid for commit in self._history(self.commits[new])]
        if old not in ids:
            return None
        return tuple(self.commits[oid].revision for oid in reversed(ids[: ids.index(old)]))

    def _origin(self, start: FakeCommit, path: str) -> Revision | None:
        content, found = start.files.get(path), start
        for commit in self._history(start):
            if commit.files.get(path) != content:
                return found.revision
            found = commit
        return found.revision if content is not None else None


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _tree_file(path: str, data: bytes) -> TreeFile:
    return TreeFile(path, _digest(data), lambda: data, 0o100644, lambda: len(data))


def _below(path: str, given: str) -> bool:
    return path == given or path.startswith(given.rstrip("/") + "/")


def _kept(files: Mapping[str, bytes], source: Mapping[str, bytes], keep: Sequence[str]) -> dict[str, bytes]:
    kept = {p: d for p, d in source.items() if any(_below(p, k) for k in keep)}
    return {p: d for p, d in files.items() if not any(_below(p, k) for k in keep)} | kept


def _merge(
    base: Mapping[str, bytes], ours: Mapping[str, bytes], theirs: Mapping[str, bytes], keep: Sequence[str]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    merged, conflicts = dict(ours), []
    for path in sorted({*base, *theirs}):
        if base.get(path) == theirs.get(path) or ours.get(path) == theirs.get(path):
            continue
        if any(_below(path, kept) for kept in keep):
            continue
        if ours.get(path) != base.get(path):
            conflicts.append(path)
        elif path in theirs:
            merged[path] = theirs[path]
        else:
            del merged[path]
    return merged, tuple(conflicts)
