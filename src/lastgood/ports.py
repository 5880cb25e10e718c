"""The world as this product sees it: what the operations ask of it, and nothing of how it is done.

Each port has a contract suite in ``lastgood.testing.contracts`` which the fake in ``lastgood.testing`` and the real
one in ``lastgood.effects`` both pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lastgood.errors import LastgoodError
from lastgood.gateway.snapshot import Traffic
from lastgood.process import ProcessSpec as ProcessSpec
from lastgood.process import ProcessState as ProcessState
from lastgood.release.events import Body, Event
from lastgood.release.observed import Fact
from lastgood.release.release import Release
from lastgood.release.step import Step
from lastgood.stamp import Stamp as Stamp


class Clock(Protocol):
    """Time; the only source of it."""

    def now(self) -> Stamp: ...
    async def sleep(self, seconds: float) -> None: ...


class JournalFull(LastgoodError):
    """There is no room to write; the push goes out all the same, the entry follows when there is room."""

    code = "journal-full"


@dataclass(frozen=True, slots=True)
class Lease:
    """Which controller may act: its epoch, who it is, when it was seen last (boot-time clock)."""

    epoch: int
    holder: str
    boot_id: str
    seen_s: float


class Journal(Protocol):
    """What happened, for ever; and the store of releases."""

    epoch: int

    def append(self, at: Stamp, bodies: Sequence[tuple[int | None, Body]]) -> list[Event]:
        """Write these together, durably. Raises ``Fenced`` when a newer controller took over, ``JournalFull``."""
        ...

    def next_seq(self) -> int:
        """The number the next event will have."""
        ...

    def read(self, after: int = 0) -> Iterator[Event]:
        """Events after a number; raises ``Damaged`` where the chain of hashes breaks."""
        ...

    def put_release(self, release: Release, contents: Mapping[str, bytes]) -> str:
        """Store a release and the content of its entries by digest; returns the digest of the record."""
        ...

    def release(self, number: int) -> Release:
        """A stored release."""
        ...

    def contents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Stored contents by digest."""
        ...

    def take_over(self, holder: str, at: Stamp, *, is_alive: bool) -> int:
        """Become the one controller and get a new epoch; raises ``Conflict`` while another one lives."""
        ...

    def renew(self, at: Stamp) -> None:
        """Say that this controller is alive; raises ``Fenced`` when it was replaced."""
        ...

    def check_fence(self) -> None:
        """Raise ``Fenced`` when a newer controller has taken over: asked before every effect."""
        ...


class Driver(Protocol):
    """Moves one kind of part. The engine knows nothing else of gateways, services, functions or databases."""

    async def observe(self) -> Sequence[Fact]:
        """What is there now. Raises ``Unavailable`` when that cannot be said."""
        ...

    async def perform(self, step: Step, key: str) -> Mapping[str, Any]:
        """Carry a step out; the same key again is harmless. What it returns is journalled (no secrets).

        Raises ``LastgoodError`` when it did not work. A cancelled call stops as soon as it can.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProxyState:
    """One proxy: its node id, whether it is connected, the snapshot it has acknowledged, its own words if it refused."""

    name: str
    connected: bool
    acknowledged: str | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Convergence:
    """Proof that a push is in effect: milliseconds from the push to the last acknowledgement, and by whom."""

    digest: str
    acknowledged: tuple[str, ...]
    away: tuple[str, ...] = ()
    took_ms: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


class Proxies(Protocol):
    """All proxies of the gateway together."""

    async def preflight(self, traffic: Traffic) -> None:
        """Try a state on a proxy without traffic; raises ``Rejected`` with its words. The answer is cached by content."""
        ...

    async def serve(self, traffic: Traffic) -> Convergence:
        """Bring every proxy to this state, new things before old ones go; a mere change of percent is one tiny push.

        Returns once every connected proxy has acknowledged. A refusal by any of them: the last accepted state is
        pushed to all again, then ``Rejected`` is raised.
        """
        ...

    async def requests(self) -> Mapping[int, int]:
        """Requests routed so far by each release's generation of routes, summed over the proxies that can be asked."""
        ...

    def states(self) -> tuple[ProxyState, ...]:
        """Every proxy that is expected or connected."""
        ...


# --- the user's repository -------------------------------------------------------------------------------------------


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
    """The branch went forward; ``commits`` (oldest first, at most 1,000, the newest kept) are new since the last look."""

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
    """The user's Git repository. Calls block; ``revert``, ``push`` and ``fetch`` start processes: call them in a thread.

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
        """Get a branch of a remote as ``remote/branch``; None: the remote has no such branch. Raises ``Unavailable``."""
        ...

    def revert(self, order: RevertOrder) -> Reverted:
        """Write the revert commit; the same order again is harmless."""
        ...

    def push(self, reverted: Reverted) -> Pushed | None:
        """Publish a revert where its branch goes to; None: that branch follows no remote. Raises ``Unavailable``."""
        ...


# --- processes -------------------------------------------------------------------------------------------------------


class Processes(Protocol):
    """Processes that outlive us, kept running by something small.

    Every call may be refused, may time out (``Unavailable``; it may have taken effect all the same: repeat it), and its
    answer may be out of date when it arrives: whether a process is able to work, only its health check tells.
    """

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """Have it running; returns once its program has been executed, not once it is ready.

        Idempotent by key: the same spec again changes nothing but brings its secrets, another spec replaces the process
        (stop, then start). One that ended with ``restart="never"`` is not run again: stop its key first. Raises
        ``Failed`` when it cannot be executed, ``Fenced``, ``Refused``, ``UsageError``.
        """
        ...

    async def stop(self, key: str, grace_s: float | None = None) -> bool:
        """SIGTERM to it and all it started, SIGKILL after the grace (default: its spec's); returns when they are gone.

        False: there was none. Raises ``Failed`` when it does not end even so.
        """
        ...

    async def list(self) -> tuple[ProcessState, ...]:
        """Every process that is kept, and those that ended and were not stopped, by key."""
        ...
