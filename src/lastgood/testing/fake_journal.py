"""A journal in memory that outlives the controllers of a test; it can be full, and it can be read by the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lastgood.config.configuration import canonical, digest_of
from lastgood.errors import Conflict, Damaged, Fenced
from lastgood.ports import JournalFull, Lease, Stamp
from lastgood.release.events import Body, Event, read_body, write_body
from lastgood.release.release import Release

LEASE_S = 5.0


class Pages:
    """What would lie on the disk."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.releases: dict[int, Release] = {}
        self.manifests: dict[int, dict[str, str]] = {}
        self.contents: dict[str, bytes] = {}
        self.lease: Lease | None = None
        self.full = False


class FakeJournal:
    """One controller's hold on the pages."""

    def __init__(self, pages: Pages | None = None) -> None:
        self.pages = pages or Pages()
        self.epoch = 0
        self.seen_before_s: float | None = None

    def append(self, at: Stamp, bodies: Sequence[tuple[int | None, Body]], *, back: bool = False) -> list[Event]:
        """See :class:`lastgood.ports.Journal`."""
        self.check_fence()
        if self.pages.full:
            raise JournalFull("the disk is full", where="memory", next="make room")
        made = []
        for seq, (deployment, body) in enumerate(bodies, self.next_seq()):
            read = read_body(write_body(body))
            made.append(Event(seq, self.epoch, deployment, at, read, digest_of(canonical([seq, write_body(body)]))))
        self.pages.events += made
        return made

    def next_seq(self) -> int:
        """See :class:`lastgood.ports.Journal`."""
        return len(self.pages.events) + 1

    def read(self, after: int = 0) -> Iterator[Event]:
        """See :class:`lastgood.ports.Journal`."""
        yield from self.pages.events[after:]

    def of_deployment(self, number: int) -> list[Event]:
        """See :class:`lastgood.ports.Journal`."""
        return [event for event in self.pages.events if event.deployment == number]

    def put_contents(self, contents: Mapping[str, bytes]) -> None:
        """See :class:`lastgood.ports.Journal`."""
        self.pages.contents.update(contents)

    def put_release(self, release: Release, entries: Mapping[str, str]) -> str:
        """See :class:`lastgood.ports.Journal`."""
        self.check_fence()
        self.pages.releases[release.number] = release
        self.pages.manifests[release.number] = dict(entries)
        return digest_of(canonical([release.number, dict(release.parts), dict(entries)]))

    def release(self, number: int) -> Release:
        """See :class:`lastgood.ports.Journal`."""
        if number not in self.pages.releases:
            raise Damaged(f"release r{number} is not in the journal", next="lastgood doctor")
        return self.pages.releases[number]

    def entries(self, number: int) -> dict[str, str]:
        """See :class:`lastgood.ports.Journal`."""
        return dict(self.pages.manifests[number])

    def contents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """See :class:`lastgood.ports.Journal`."""
        try:
            return {digest: self.pages.contents[digest] for digest in digests}
        except KeyError:
            raise Damaged("contents are missing", next="lastgood doctor") from None

    def take_over(self, holder: str, at: Stamp, *, is_alive: bool, above: int = 0) -> int:
        """See :class:`lastgood.ports.Journal`."""
        lease = self.pages.lease
        if (
            lease
            and is_alive
            and lease.seen_s >= 0
            and lease.boot_id == at.boot_id
            and at.boot_s - lease.seen_s < LEASE_S
        ):
            raise Conflict(f"a controller is running ({lease.holder})", next="lastgood status")
        self.seen_before_s = abs(lease.seen_s) if lease else None
        self.epoch = max(lease.epoch if lease else 0, above) + 1
        self.pages.lease = Lease(self.epoch, holder, at.boot_id, at.boot_s)
        return self.epoch

    def renew(self, at: Stamp) -> None:
        """See :class:`lastgood.ports.Journal`."""
        self.check_fence()
        assert self.pages.lease is not None
        self.pages.lease = Lease(self.epoch, self.pages.lease.holder, at.boot_id, at.boot_s)

    def check_fence(self) -> None:
        """See :class:`lastgood.ports.Journal`."""
        if self.pages.lease is not None and self.pages.lease.epoch != self.epoch:
            raise Fenced("another controller has taken over", next="lastgood status")
