"""What differs between releases, worked out once: a release never changes, and a way back must not wait for this."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from lastgood.config.change import Change
from lastgood.config.configuration import Configuration
from lastgood.config.diff import diff
from lastgood.operations.code_changes import Kept, code_changes
from lastgood.operations.configurations import Configurations
from lastgood.operations.drafting import Drafted

KEPT = 64
SIDES = 4
"""What was live and what comes are asked for again by the next deployment."""


@dataclass(frozen=True)
class Side:
    """What is compared: a configuration, and what is kept beside it."""

    configuration: Configuration
    kept: Kept


def differences(old: Side | None, new: Side) -> tuple[Change, ...]:
    """Of the configuration, then of code and migrations; against nothing everything is new."""
    if old is None:
        return diff(None, new.configuration)
    told = diff(old.configuration, new.configuration)
    return (*told, *code_changes(old.kept, new.kept, new.configuration.entries))


def side_of(drafted: Drafted) -> Side:
    """A revision that is not released."""
    kept: dict[str, bytes | str] = dict(drafted.draft.entries)
    for key, digest in drafted.draft.entries.items():
        if key.startswith("code:"):
            kept[key] = drafted.contents[digest]
    return Side(drafted.configuration, kept)


class Comparisons:
    """Differences by release numbers. May be asked from any thread; at worst two work out the same."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations
        self._known: OrderedDict[tuple[int | None, int], tuple[Change, ...]] = OrderedDict()
        self._kept: OrderedDict[int, Kept] = OrderedDict()

    def between(self, old: int | None, new: int) -> tuple[Change, ...]:
        """What changes on the way from one release to another; from ``None`` everything is new."""
        found = self._known.get((old, new))
        if found is None:
            found = differences(self.side(old) if old is not None else None, self.side(new))
            self._known[old, new] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def side(self, number: int) -> Side:
        """A release."""
        kept = self._kept.get(number)
        if kept is None:
            kept = self._kept[number] = self._configurations.kept(number)
            while len(self._kept) > SIDES:
                self._kept.popitem(last=False)
        return Side(self._configurations.of(number), kept)

    def with_draft(self, live: int | None, drafted: Drafted) -> tuple[Change, ...]:
        """What a revision would change."""
        return differences(self.side(live) if live is not None else None, side_of(drafted))

    def prepare(self, live: int | None, coming: int) -> tuple[Change, ...]:
        """The way forward; the way back, which a failure asks for in a hurry, is then known too."""
        changes = self.between(live, coming)
        if live is not None:
            self.between(coming, live)
        return changes
