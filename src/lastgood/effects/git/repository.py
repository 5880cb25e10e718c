"""The user's Git repository behind the port: objects by pygit2, everything with a network or a work tree by git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pygit2

from lastgood.effects.git import follow, opening, origin, remotes, reverting, revisions, worktrees
from lastgood.effects.git.command import REMOTE_TIMEOUT_S
from lastgood.effects.git.trees import LARGEST_FILE, Trees, check_path
from lastgood.errors import Unavailable
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


class GitRepository:
    """One repository, opened once. Every call that is not plain reading opens it anew, so threads do not meet."""

    def __init__(
        self, git_folder: str, *, largest_file: int = LARGEST_FILE, remote_timeout_s: float = REMOTE_TIMEOUT_S
    ) -> None:
        self._folder = git_folder
        self._native = opening.open_native(git_folder)
        self._trees = Trees(self._native, largest_file)
        self._remote_timeout_s = remote_timeout_s

    def _see(self) -> None:
        """An open repository answers from memory for a while after its folder went away."""
        if not Path(self._folder, "HEAD").exists():
            raise Unavailable(
                f"the repository is gone: there is no {self._folder}",
                next="put it back where it was; lastgood rollback needs no repository",
            )

    @property
    def root(self) -> Path:
        """Where paths start: the work tree, or the bare repository's own folder."""
        return opening.root_of(self._native)

    @property
    def bare(self) -> bool:
        """Whether there is no work tree."""
        return bool(self._native.is_bare)

    def head(self) -> Head:
        """What is checked out; ``branch`` None means detached."""
        self._see()
        return revisions.head_of(self._native)

    def resolve(self, text: str) -> Revision:
        """The commit a person means."""
        self._see()
        return revisions.resolve(self._native, text)

    def files(self, revision: str, under: str = "") -> tuple[TreeFile, ...]:
        """Every file below a folder; listed once per content. See ``Trees``."""
        return self._trees.files(revision, under)

    def read(self, revision: str, path: str) -> bytes:
        """A plain file's bytes."""
        return self._trees.read(revision, path)

    def tree_id(self, revision: str, path: str = "") -> str | None:
        """The object id of a folder or file."""
        return self._trees.tree_id(revision, path)

    def uncommitted(self, paths: Sequence[str] = ()) -> tuple[Uncommitted, ...]:
        """What a deployment of HEAD would not contain."""
        if self.bare:
            return ()
        return worktrees.uncommitted(str(self.root), [check_path(path.rstrip("/")) for path in paths])

    def introduced(self, revision: str, paths: Sequence[str]) -> Mapping[str, Revision | None]:
        """The commit that gave each path its content."""
        return origin.introduced(self._fresh(), revision, paths)

    def poll(self, branch: str, previous: BranchHead | None) -> BranchNews:
        """What happened to a branch since the last look."""
        self._see()
        now = follow.head_of_branch(self._native, branch)
        return follow.news(branch, previous, now, lambda old, new: follow.commits_between(self._fresh(), old, new))

    def fetch(self, remote: str, branch: str) -> BranchHead | None:
        """Bring a branch of a remote up to date."""
        return remotes.fetch(self._fresh(), remote, branch, self._remote_timeout_s)

    def revert(self, order: RevertOrder) -> Reverted:
        """Write the revert commit."""
        return reverting.revert(self._fresh(), order)

    def push(self, reverted: Reverted) -> Pushed | None:
        """Publish it."""
        return remotes.push(self._fresh(), reverted, self._remote_timeout_s)

    def _fresh(self) -> pygit2.Repository:
        return opening.open_native(self._folder)
