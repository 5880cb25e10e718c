"""Functions where they run: immutable versions, and which of them is awake. This machine is one place, others follow.

What a remote platform has to do is this and no more; ``functions`` and ``function_traffic`` of
``lastgood.testing.contracts`` say it as tests. Lambda has versions, an alias with a weight for a second one, and the
state of a version; Cloudflare has versions with preview addresses, and deployments of up to two of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lastgood.errors import UsageError

Standing = Literal["absent", "asleep", "starting", "awake", "failed"]
"""``absent``: nothing of the version runs, not even what would wake it; ``asleep``: the next request starts it.

A platform that keeps all its versions ready knows ``awake`` and ``failed`` alone.
"""


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """An immutable version. ``digest`` (hex SHA-256) covers code, settings and the names of secrets, not their values.

    ``settings`` are JSON values as the configuration has them; ``at_s`` is the wall clock when it was first seen.
    """

    name: str
    digest: str
    at_s: float
    settings: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FunctionRequest:
    """A request to one version. ``path`` begins with a slash and has the query."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a version answered, and how long that took, its start included."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    took_ms: float


class Functions(Protocol):
    """One platform's functions. Every call blocks; ``version`` is a digest, the beginning of one (4 or more) or a tag.

    What is asked of a version that is not kept raises ``UsageError`` naming those that are.
    """

    def upload(self, name: str, settings: Mapping[str, object], origin: Path) -> FunctionVersion:
        """Make a version of a folder or an archive; the same again is the same version.

        Raises ``Refused`` for what cannot be built or would leave its folder, ``Unavailable`` without room. The oldest
        beyond the number that is kept go, save those that have a tag or are awake.
        """
        ...

    def versions(self, name: str | None = None) -> tuple[FunctionVersion, ...]:
        """Every kept version, by name, the newest first."""
        ...

    def find(self, name: str, version: str) -> FunctionVersion:
        """The version that is meant; ``latest`` is the one that was made, or made again, last."""
        ...

    def tag(self, name: str, version: str, tag: str) -> FunctionVersion:
        """Keep a version under a name of its own; the tag leaves whatever version had it."""
        ...

    def activate(self, name: str, version: str) -> str:
        """Have a version awake; returns its preview address (``http://HOST:PORT``). Harmless when it is.

        Raises ``Failed`` with the end of its log when it does not start, ``Unavailable`` when something of it is gone.
        """
        ...

    def address(self, name: str, version: str) -> str | None:
        """The preview address that :meth:`activate` gave, as long as it leads to the version; asking wakes nobody."""
        ...

    def observe(self, name: str, version: str) -> Standing:
        """How a version is now; asking wakes nobody."""
        ...

    def invoke(self, name: str, version: str, request: FunctionRequest) -> FunctionAnswer:
        """Ask one version, whatever has traffic. Raises what :meth:`activate` raises, ``Failed`` without an answer."""
        ...


class FunctionTraffic(Protocol):
    """Which versions of a function its users meet. On this machine the gateway moves them; a remote platform does it.

    Every call blocks; versions are named by their whole digests.
    """

    def shift(self, name: str, shares: Mapping[str, float]) -> None:
        """Give all requests to one version (100) or to two (percent, together 100); harmless when it is so.

        In one move: no request fails of it, and once this returned none goes to a version that was left. Raises
        ``UsageError`` for other shares and versions that are not kept, ``Failed`` for one that does not start: then
        nothing has moved.
        """
        ...

    def shares(self, name: str) -> Mapping[str, float]:
        """The percent of the requests by version as the platform has it; empty where none has any."""
        ...

    def ask(self, name: str, request: FunctionRequest) -> FunctionAnswer:
        """Ask as its users do, whichever version is drawn. Raises ``UsageError`` where none has traffic."""
        ...


def refuse_odd(shares: Mapping[str, float]) -> None:
    """Raise ``UsageError`` unless one or two versions share all requests."""
    if not 1 <= len(shares) <= 2 or min(shares.values()) <= 0 or sum(shares.values()) != 100:
        raise UsageError(f"{dict(shares)} are no shares", next="name one version with 100 or two with 100 together")
