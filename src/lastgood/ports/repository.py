"""The user's repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a revision: path from the root with ``/``, content address, and how to get its bytes when needed."""

    path: str
    blob_id: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class TreeFile(SourceFile):
    """A file as a tree lists it. ``mode`` is Git's (0o100644, 0o100755, 0o120000 link, 0o160000 submodule)."""

    mode: int
    size: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit; ``branch`` when it was named by one. Texts are safe to print (control characters replaced)."""

    oid: str
    subject: str
    author: str
    committed_at_s: int
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What is checked out: a branch, or a bare commit (``branch`` None: detached); ``oid`` None: no commit yet."""

    branch: str | None
    oid: str | None


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """A path whose content a deployment of HEAD would not contain."""

    path: str
    state: Literal["staged", "modified", "deleted", "untracked", "conflicted"]


@dataclass(frozen=True, slots=True)
class RevertOrder:
    """Take the change from ``target`` to ``bad`` (commit ids) out of ``branch``.

    ``message`` is subject and body without trailers; ``release`` (``r12``) names the branch aside, ``deployment``
    (``d31``) makes a repetition harmless; ``keep_paths`` (files or folders: applied migrations) stay as they are.
    """

    branch: str
    bad: str
    target: str
    message: str
    release: str
    deployment: str
    keep_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reverted:
    """What became of a revert. ``commit`` None: there was nothing to do, the branch holds this content already.

    ``branch`` is where the commit is: the one ``asked`` for, or ``aside`` (``lastgood/revert-r12``); then ``why`` says
    why and ``commands`` what a person types next.
    """

    commit: str | None
    branch: str
    asked: str
    aside: str
    updated_work_tree: bool = False
    conflicts: tuple[str, ...] = ()
    why: str = ""
    commands: tuple[str, ...] = ()
    remote: tuple[str, str] | None = None
    """Remote and branch there that the commit was made for: the change never was on the branch here."""

    @property
    def conflict(self) -> bool:
        """Whether the branch has later changes to the same lines, which a person has to put together."""
        return bool(self.conflicts)


@dataclass(frozen=True)
class Pushed:
    """What became of a push: the remote branch that has the commit (None: none has), and why not the one asked for."""

    remote: str
    branch: str | None
    why: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BranchHead:
    """Where a branch was seen: ``branch`` is ``main``, or ``origin/main`` for what was fetched."""

    branch: str
    oid: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The branch is where it was."""

    head: BranchHead


@dataclass(frozen=True, slots=True)
class Moved:
    """The branch went forward; ``commits`` (oldest first, the newest 1,000 at most) are new since the last look."""

    new: BranchHead
    commits: tuple[Revision, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Force-pushed or reset: what was seen before is no longer part of the branch."""

    old: BranchHead
    new: BranchHead


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such branch (any more)."""

    branch: str
    old: BranchHead | None


BranchNews = Unchanged | Moved | Rewritten | Gone


class Repository(Protocol):
    """The user's Git repository. Calls block; ``revert``, ``push``, ``fetch`` start processes: call them in a thread.

    ``revision`` arguments are full commit ids, as ``resolve`` returns them. Paths are relative to the root, with ``/``.
    """

    def head(self) -> Head:
        """What is checked out."""
        ...

    def resolve(self, text: str) -> Revision:
        """The commit a person means: branch, tag, sha prefix, ``HEAD~1``. Raises ``UsageError``, ``Unavailable``."""
        ...

    def files(self, revision: str, under: str = "") -> Sequence[TreeFile]:
        """Every file below a folder (or the one file of that path), by path; empty when there is none."""
        ...

    def read(self, revision: str, path: str) -> bytes:
        """A plain file. Raises ``Refused`` for links, submodules, large files; ``Unavailable`` when it is not there."""
        ...

    def tree_id(self, revision: str, path: str = "") -> str | None:
        """The content address of a folder or file; equal ids mean equal content."""
        ...

    def uncommitted(self, paths: Sequence[str] = ()) -> tuple[Uncommitted, ...]:
        """Which files at or below these paths (none given: all) differ from HEAD; nothing in a bare repository."""
        ...

    def introduced(self, revision: str, paths: Sequence[str]) -> Mapping[str, Revision | None]:
        """For each path the commit that gave it the content it has at the revision; None: it was never there."""
        ...

    def poll(self, branch: str, previous: BranchHead | None) -> BranchNews:
        """What happened to a branch since the last look; cheap enough for every second."""
        ...

    def fetch(self, remote: str, branch: str) -> BranchHead | None:
        """Get a branch of a remote as ``remote/branch``; None: it has no such branch. Raises ``Unavailable``."""
        ...

    def revert(self, order: RevertOrder) -> Reverted:
        """Write the revert commit; the same order again is harmless."""
        ...

    def push(self, reverted: Reverted) -> Pushed | None:
        """Publish a revert where its branch goes to; None: that branch follows no remote. Raises ``Unavailable``."""
        ...
