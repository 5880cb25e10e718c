"""Every release of a journal, read once: found by its number, or by what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lastgood.release.release import Part, Release


class Releases:
    """``releases(12)`` is r12. Releases never change and none goes away, so that nothing here grows old."""

    def __init__(self, read: Callable[[int], Release]) -> None:
        self._read = read
        self._known: dict[int, Release] = {}
        self._newest: dict[frozenset[tuple[Part, str]], int] = {}
        self._indexed = 0

    def __call__(self, number: int) -> Release:
        """A release; raises what reading it raises."""
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._read(number)
        return found

    def newest_with(self, parts: Mapping[Part, str], numbers: Sequence[int]) -> int | None:
        """The newest with exactly this content; ``numbers`` are all there are, and only ever get longer."""
        for number in numbers[self._indexed :]:
            self._newest[frozenset(self(number).parts.items())] = number
        self._indexed = len(numbers)
        return self._newest.get(frozenset(parts.items()))
