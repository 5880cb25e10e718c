"""What differs between releases, worked out once: a release never changes, and a way back must not wait for this."""

from __future__ import annotations

from collections import OrderedDict

from lastgood.config.change import Change
from lastgood.config.diff import diff
from lastgood.operations.configurations import Configurations

KEPT = 64


class Comparisons:
    """Differences by release numbers. May be asked from any thread; at worst two work out the same."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations
        self._known: OrderedDict[tuple[int | None, int], tuple[Change, ...]] = OrderedDict()

    def between(self, old: int | None, new: int) -> tuple[Change, ...]:
        """What changes on the way from one release to another; from ``None`` everything is new."""
        found = self._known.get((old, new))
        if found is None:
            before = self._configurations.of(old) if old is not None else None
            found = diff(before, self._configurations.of(new))
            self._known[old, new] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def prepare(self, live: int | None, coming: int) -> tuple[Change, ...]:
        """The way forward; the way back, which a failure asks for in a hurry, is then known too."""
        changes = self.between(live, coming)
        if live is not None:
            self.between(coming, live)
        return changes
