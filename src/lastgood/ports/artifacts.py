"""Immutable bundles of code: what a service or a function runs from, kept for as long as a way back may need it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from lastgood.config.configuration import canonical, digest_of


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file of a bundle: path from the bundle's root (with ``/``), hex SHA-256 of its bytes, and how to get them."""

    path: str
    executable: bool
    sha256: str
    read: Callable[[], bytes] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A prepared archive (``.tar``, ``.tar.gz``, ``.tar.xz``, ``.zip``, ``.whl``) at a ``file:`` or ``https:`` URL."""

    url: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """What a bundle is made of; ``name`` says whose it is, in logs and errors, and is no part of its digest.

    ``build`` (argv) runs once, in the folder that holds the files and nothing else; empty: there is nothing to build.
    """

    name: str
    files: Sequence[BundleFile] = ()
    archive: ArchiveSource | None = None
    build: tuple[str, ...] = ()
    timeout_s: float = 600.0

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all that decides what comes out; known before anything is fetched or built."""
        files = sorted((file.path, file.executable, file.sha256) for file in self.files)
        archive = self.archive.sha256 if self.archive else None
        return digest_of(canonical({"files": files, "archive": archive, "build": self.build}))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on this machine. ``seal`` is the digest of what is in ``folder``, built files included."""

    digest: str
    seal: str
    folder: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MadeOf:
    """Which bundle something of a release runs from; kept with the release as ``artifact:NAME``."""

    digest: str
    seal: str

    def to_json(self) -> bytes:
        """For the journal."""
        return canonical({"digest": self.digest, "seal": self.seal})

    @classmethod
    def from_json(cls, content: bytes) -> MadeOf:
        """The inverse of :meth:`to_json`."""
        raw = json.loads(content)
        return cls(raw["digest"], raw["seal"])


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle that takes up room; ``used_s`` is when (wall clock) it was made or last asked for."""

    digest: str
    used_s: float
    size_bytes: int


ARTIFACT = "artifact"
"""The kind of attachment that says which bundle a service of a release runs from."""


class Artifacts(Protocol):
    """Bundles by digest. Every call blocks: call it on a thread."""

    def make(self, recipe: Recipe) -> Bundle:
        """The bundle of a recipe: fetched and built once, then only looked up.

        Raises ``Refused`` with the end of the log when the build fails or takes too long, ``Unavailable`` when
        something cannot be fetched or there is no room; then nothing half made is left.
        """
        ...

    def find(self, digest: str, seal: str) -> Bundle:
        """A bundle that was made before, checked against its seal. Never builds, fetches or asks Git.

        Raises ``Unavailable`` where it is gone, ``Damaged`` where it is not what it was.
        """
        ...

    def held(self) -> tuple[Held, ...]:
        """Every whole bundle, by digest."""
        ...

    def remove(self, digest: str) -> None:
        """Free its room; one that is not there is no error."""
        ...

    def sweep(self) -> int:
        """Remove what a controller that was killed left half made; how many. Waits for what is being made now."""
        ...
