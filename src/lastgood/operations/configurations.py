"""The configurations of releases, read back from the journal without Git; what releases share is read once."""

from __future__ import annotations

from collections import OrderedDict

from lastgood.config.configuration import Configuration, is_entry, read_entry
from lastgood.errors import Damaged
from lastgood.operations.makers import attachment_digest
from lastgood.ports import Journal

KEPT = 6


class Configurations:
    """Configurations by release number."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recent: OrderedDict[int, Configuration] = OrderedDict()

    def of(self, number: int) -> Configuration:
        """What a release says; raises ``Damaged`` where its content does not fit its digests."""
        if number not in self._recent:
            self.remember(number, self._read(number))
        self._recent.move_to_end(number)
        return self._recent[number]

    def at_hand(self, number: int) -> Configuration | None:
        """The same where nothing has to be read for it."""
        return self._recent.get(number)

    def remember(self, number: int, configuration: Configuration) -> None:
        """Keep a configuration that is at hand anyway."""
        self._recent[number] = configuration
        while len(self._recent) > KEPT:
            self._recent.popitem(last=False)

    def attached(self, number: int, kind: str) -> dict[str, bytes]:
        """What a release keeps beside its configuration: ``{key: bytes}`` of the attachments of a kind."""
        listed = {key: made for key, made in self._journal.entries(number).items() if key.partition(":")[0] == kind}
        contents = self._journal.contents(listed.values())
        for key, digest in listed.items():
            if attachment_digest(key, contents[digest]) != digest:
                raise Damaged(f"{key} of r{number} is damaged", next="lastgood doctor")
        return {key: contents[digest] for key, digest in listed.items()}

    def _read(self, number: int) -> Configuration:
        manifest = {key: digest for key, digest in self._journal.entries(number).items() if is_entry(key)}
        known = {entry.digest: entry for recent in self._recent.values() for entry in recent.entries.values()}
        missing = [digest for digest in manifest.values() if digest not in known]
        contents = self._journal.contents(missing)
        entries = {}
        for key, digest in manifest.items():
            entry = known.get(digest) or read_entry(key, contents[digest])
            if entry.digest != digest:
                raise Damaged(f"{key} of r{number} is damaged", next="lastgood doctor")
            entries[key] = entry
        return Configuration(self._journal.release(number).project, entries)
