"""One digest for many named ones, whatever their order, which costs what changed since the last time.

A Merkle tree of two levels: names fall into buckets by a checksum of theirs; the digest covers the digests of the
buckets, each of which covers its names and their digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from lastgood.config.configuration import digest_of

BUCKETS = 256
_EMPTY = digest_of(b"")


@dataclass(frozen=True, slots=True)
class Moved:
    """A digest, the names that are new or have another one, and those that are gone."""

    digest: str
    changed: Mapping[str, str]
    gone: frozenset[str]


class Digests:
    """Remembers the buckets of the last mapping it saw. One thread."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._buckets: list[dict[str, str]] = [{} for _ in range(BUCKETS)]
        self._digests = [_EMPTY] * BUCKETS

    def of(self, named: Mapping[str, str]) -> str:
        """The digest of ``{name: digest}``; the same from a new object, only later."""
        return self.moved(named).digest

    def moved(self, named: Mapping[str, str]) -> Moved:
        """The digest, and what is not as it was the last time."""
        seen = self._seen
        changed = {name: digest for name, digest in named.items() if seen.get(name) != digest}
        added = sum(name not in seen for name in changed)
        gone = seen.keys() - named.keys() if len(seen) + added != len(named) else set()
        dirty = set()
        for name, digest in changed.items():
            bucket = crc32(name.encode()) % BUCKETS
            self._buckets[bucket][name] = digest
            dirty.add(bucket)
        for name in gone:
            bucket = crc32(name.encode()) % BUCKETS
            del self._buckets[bucket][name]
            dirty.add(bucket)
        for bucket in dirty:
            inside = self._buckets[bucket]
            self._digests[bucket] = digest_of("".join(f"{inside[name]} {name}\0" for name in sorted(inside)).encode())
        self._seen = dict(named)
        return Moved(digest_of("".join(self._digests).encode()), changed, frozenset(gone))


def digest_of_names(named: Mapping[str, str]) -> str:
    """The same digest, from nothing that was seen before."""
    return Digests().of(named)
