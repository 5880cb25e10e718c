"""The configurations of releases, read back from the journal without Git; what releases share is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import RLock

from lastgood.config.configuration import Configuration, Entry, is_entry, read_entry
from lastgood.errors import Damaged
from lastgood.operations.makers import attachment_digest
from lastgood.ports import Journal

KEPT = 6


class Configurations:
    """Configurations by release number. May be asked from any thread; the lock is never held while one is read."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recent: OrderedDict[int, Configuration] = OrderedDict()
        self._lock = RLock()

    def of(self, number: int) -> Configuration:
        """What a release says; raises ``Damaged`` where its content does not fit its digests."""
        found = self.at_hand(number)
        if found is None:
            found = self._read(number)
            self.remember(number, found)
        return found

    def at_hand(self, number: int) -> Configuration | None:
        """The same where nothing has to be read for it."""
        with self._lock:
            found = self._recent.get(number)
            if found is not None:
                self._recent.move_to_end(number)
            return found

    def remember(self, number: int, configuration: Configuration) -> None:
        """Keep a configuration that is at hand anyway."""
        with self._lock:
            self._recent[number] = configuration
            while len(self._recent) > KEPT:
                self._recent.popitem(last=False)

    def attached(self, number: int, kind: str) -> dict[str, bytes]:
        """What a release keeps beside its configuration: ``{key: bytes}`` of the attachments of a kind."""
        return self._checked(number, _of_kind(self._journal.entries(number), kind))

    def _checked(self, number: int, listed: Mapping[str, str]) -> dict[str, bytes]:
        contents = self._journal.contents(listed.values())
        for key, digest in listed.items():
            if attachment_digest(key, contents[digest]) != digest:
                raise Damaged(f"{key} of r{number} is damaged", next="lastgood doctor")
        return {key: contents[digest] for key, digest in listed.items()}

    def kept(self, number: int) -> dict[str, bytes | str]:
        """The same of ``code``, and of everything else its digest: what two releases are compared by."""
        listed = {key: made for key, made in self._journal.entries(number).items() if not is_entry(key)}
        return {**listed, **self._checked(number, _of_kind(listed, "code"))}

    def _known(self) -> dict[str, Entry]:
        """The entries of the configurations at hand by digest: releases share most of them."""
        with self._lock:
            recent = list(self._recent.values())
        return {entry.digest: entry for configuration in recent for entry in configuration.entries.values()}

    def _read(self, number: int) -> Configuration:
        manifest = {key: digest for key, digest in self._journal.entries(number).items() if is_entry(key)}
        known = self._known()
        contents = self._journal.contents(digest for digest in manifest.values() if digest not in known)
        entries = {}
        for key, digest in manifest.items():
            entry = known.get(digest) or read_entry(key, contents[digest])
            if entry.digest != digest:
                raise Damaged(f"{key} of r{number} is damaged", next="lastgood doctor")
            entries[key] = entry
        return Configuration(self._journal.release(number).project, entries)


def _of_kind(entries: Mapping[str, str], kind: str) -> dict[str, str]:
    return {key: made for key, made in entries.items() if key.partition(":")[0] == kind}
