"""Which release has a version of a service or function."""

from __future__ import annotations

from collections.abc import Callable

from lastgood.release.release import services_of
from lastgood.release.state import State
from lastgood.release.wanted import ReleaseOf


class Bearers:
    """The newest release that has a version, looked for once and not at every look at every instance."""

    def __init__(self, state: Callable[[], State], release_of: ReleaseOf) -> None:
        self._state, self._release_of = state, release_of
        self._among: tuple[int, ...] = ()
        self._found: dict[tuple[str, str], int | None] = {}

    def newest(self, name: str, digest: str) -> int | None:
        """Its number; None where no release has the version (any more)."""
        releases = self._state().releases
        if releases is not self._among:
            self._among, self._found = releases, {}
        version = (name, digest)
        if version not in self._found:
            bearers = (n for n in reversed(releases) if services_of(self._release_of(n)).get(name) == digest)
            self._found[version] = next(bearers, None)
        return self._found[version]
