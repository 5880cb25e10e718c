"""Bundles that are only said to exist: the ``Artifacts`` port in memory, with levers for what goes wrong."""

from __future__ import annotations

from pathlib import Path

from lastgood.config.configuration import canonical, digest_of
from lastgood.errors import Damaged, Refused, Unavailable
from lastgood.ports import Bundle, Held, Recipe

FOLDER = Path("/bundles")


class FakeArtifacts:
    """Knows two builds: one whose program is ``false`` fails, any other works.

    ``built`` are the digests of recipes that were built, one for each time; ``damaged`` those whose files changed.
    """

    def __init__(self) -> None:
        self.built: list[str] = []
        self.damaged: set[str] = set()
        self._bundles: dict[str, Bundle] = {}
        self._moment_s = 0.0
        self._used_s: dict[str, float] = {}

    def make(self, recipe: Recipe) -> Bundle:
        """See ``ports.Artifacts``."""
        if recipe.digest not in self._bundles or recipe.digest in self.damaged:
            self._bundles.pop(recipe.digest, None)
            size_bytes = sum(len(file.read()) for file in recipe.files)
            if recipe.build:
                self.built.append(recipe.digest)
                if recipe.build[0].rpartition("/")[2] == "false":
                    raise Refused(f"{recipe.name}: the build failed with 1", next="mend it; nothing was changed")
            self.damaged.discard(recipe.digest)
            seal = digest_of(canonical(["seal", recipe.digest]))
            self._bundles[recipe.digest] = Bundle(recipe.digest, seal, FOLDER / recipe.digest, size_bytes)
        self._use(recipe.digest)
        return self._bundles[recipe.digest]

    def find(self, digest: str, seal: str) -> Bundle:
        """See ``ports.Artifacts``."""
        bundle = self._bundles.get(digest)
        if bundle is None:
            raise Unavailable(f"the artifact {digest[:12]} is not on this machine", next="lastgood deploy REVISION")
        if digest in self.damaged or bundle.seal != seal:
            raise Damaged(f"the artifact {digest[:12]} is damaged", next="lastgood deploy REVISION")
        self._use(digest)
        return bundle

    def held(self) -> tuple[Held, ...]:
        """See ``ports.Artifacts``."""
        bundles = sorted(self._bundles.items())
        return tuple(Held(digest, self._used_s[digest], bundle.size_bytes) for digest, bundle in bundles)

    def remove(self, digest: str) -> None:
        """See ``ports.Artifacts``."""
        self._bundles.pop(digest, None)
        self.damaged.discard(digest)

    def sweep(self) -> int:
        """See ``ports.Artifacts``; nothing is ever half made in memory."""
        return 0

    def _use(self, digest: str) -> None:
        self._moment_s += 1.0
        self._used_s[digest] = self._moment_s
