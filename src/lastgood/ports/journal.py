"""The record of what happened, and the store of releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lastgood.errors import LastgoodError
from lastgood.release.events import Body, Event
from lastgood.release.release import Release
from lastgood.stamp import Stamp


class JournalFull(LastgoodError):
    """There is no room to write; the push goes out all the same, the entry follows when there is room."""

    exit_code = 7
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
    seen_before_s: float | None
    """When the controller before was last known to live, by the boot-time clock of its boot."""

    def append(self, at: Stamp, bodies: Sequence[tuple[int | None, Body]], *, back: bool = False) -> list[Event]:
        """Write these together, durably; ``back``: the room that is kept for the way back may be used.

        Raises ``Fenced`` when a newer controller took over, ``JournalFull``.
        """
        ...

    def next_seq(self) -> int:
        """The number the next event will have."""
        ...

    def read(self, after: int = 0) -> Iterator[Event]:
        """Events after a number; raises ``Damaged`` where the chain of hashes breaks."""
        ...

    def of_deployment(self, number: int) -> list[Event]:
        """The events of one deployment."""
        ...

    def put_contents(self, contents: Mapping[str, bytes]) -> None:
        """Store contents by digest; may be called from another thread."""
        ...

    def put_release(self, release: Release, entries: Mapping[str, str]) -> str:
        """Store a release and its manifest (entry key: content digest); returns the digest of the record."""
        ...

    def entries(self, number: int) -> dict[str, str]:
        """The manifest of a release."""
        ...

    def release(self, number: int) -> Release:
        """A stored release."""
        ...

    def contents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Stored contents by digest."""
        ...

    def take_over(self, holder: str, at: Stamp, *, is_alive: bool, above: int = 0) -> int:
        """Become the one controller, with an epoch higher than any and than ``above``; ``Conflict`` while one lives."""
        ...

    def renew(self, at: Stamp) -> None:
        """Say that this controller is alive; raises ``Fenced`` when it was replaced."""
        ...

    def check_fence(self) -> None:
        """Raise ``Fenced`` when a newer controller has taken over: asked before every effect."""
        ...
