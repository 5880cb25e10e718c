"""The ``Artifacts`` port in a folder: ``DIGEST/bundle`` holds the files, ``DIGEST/seal.json`` says that they are whole.

A bundle is made where it stays, because what builds make (virtual environments) does not survive a move; the seal is
renamed into place at the end, and what has none is rubbish.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from lastgood.effects.artifacts.building import build, marker_for
from lastgood.effects.artifacts.sealing import Listing, first_difference, seal_folder, seal_of, size_bytes
from lastgood.effects.artifacts.unpacking import fetch, unpack
from lastgood.effects.processes.marked import end_all
from lastgood.errors import Damaged, Unavailable
from lastgood.ports import Bundle, Held, Recipe

_SEAL = "seal.json"
_DIGEST_LENGTH = 64


class ArtifactStore:
    """Bundles below ``root`` (0700); logs of builds below ``logs``. ``redact`` takes secrets out of what is told."""

    def __init__(self, root: Path, logs: Path, redact: Callable[[str], str] = str) -> None:
        self._root, self._logs, self._redact = root, logs, redact

    def make(self, recipe: Recipe) -> Bundle:
        """See ``ports.Artifacts``."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone(recipe.digest):
                return self._known(recipe.digest) or self._make(recipe)
        except OSError as error:
            raise _no_room(error, recipe.name, self._root) from None

    def find(self, digest: str, seal: str) -> Bundle:
        """See ``ports.Artifacts``."""
        listing = self._read_seal(digest)
        folder = self._root / digest / "bundle"
        if listing is None:
            raise Unavailable(
                f"the artifact {digest[:12]} is not on this machine",
                where=str(folder),
                next="deploy its revision again: lastgood deploy REVISION",
            )
        difference = "its seal is another one" if seal_of(listing) != seal else first_difference(folder, listing)
        if difference is not None:
            raise Damaged(
                f"the artifact {digest[:12]} is damaged: {difference}",
                where=str(folder),
                next="deploy its revision again, which makes it anew: lastgood deploy REVISION",
            )
        self._touch(digest)
        return Bundle(digest, seal, folder, size_bytes(listing))

    def held(self) -> tuple[Held, ...]:
        """See ``ports.Artifacts``."""
        found = []
        for path in sorted(self._root.glob(f"*/{_SEAL}")):
            listing = self._read_seal(path.parent.name)
            if listing is not None:
                found.append(Held(path.parent.name, path.stat().st_mtime, size_bytes(listing)))
        return tuple(found)

    def remove(self, digest: str) -> None:
        """See ``ports.Artifacts``."""
        with self._alone(digest):
            self._discard(digest)

    def sweep(self) -> int:
        """See ``ports.Artifacts``: folders without a seal, and those that were being removed."""
        count = 0
        for path in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            if path.name.startswith(".gone-"):
                _remove_tree(path)
                count += 1
            elif len(path.name) == _DIGEST_LENGTH and path.is_dir():
                with self._alone(path.name):
                    if not (path / _SEAL).exists():
                        self._discard(path.name)
                        count += 1
        return count

    # --- making ------------------------------------------------------------------------------------------------

    def _known(self, digest: str) -> Bundle | None:
        listing = self._read_seal(digest)
        if listing is None:
            return None
        folder = self._root / digest / "bundle"
        if first_difference(folder, listing) is not None:
            return None  # damaged: it is made anew
        self._touch(digest)
        return Bundle(digest, seal_of(listing), folder, size_bytes(listing))

    def _make(self, recipe: Recipe) -> Bundle:
        place = self._root / recipe.digest
        self._discard(recipe.digest)
        try:
            (place / "bundle").mkdir(mode=0o700, parents=True)
            (place / "scratch").mkdir(mode=0o700)
            self._fill(recipe, place)
            shutil.rmtree(place / "scratch")
            listing = seal_folder(place / "bundle")
            self._write_seal(place, listing)
        except BaseException:
            self._discard(recipe.digest)
            raise
        return Bundle(recipe.digest, seal_of(listing), place / "bundle", size_bytes(listing))

    def _fill(self, recipe: Recipe, place: Path) -> None:
        for file in recipe.files:
            path = place / "bundle" / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
            path.chmod(0o755 if file.executable else 0o644)
        if recipe.archive is not None:
            fetch(recipe.archive, place / "scratch" / "archive")
            unpack(place / "scratch" / "archive", recipe.archive.url, place / "bundle")
        if recipe.build:
            log = self._logs / f"{recipe.name}-{recipe.digest[:8]}.log"
            patience_s, clean = recipe.timeout_s, self._redact
            build(recipe.name, recipe.build, place / "bundle", place / "scratch", log, patience_s, clean)

    def _write_seal(self, place: Path, listing: Listing) -> None:
        temporary = place / f"{_SEAL}.new"
        with temporary.open("w") as file:
            json.dump(listing, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place / _SEAL)
        folder = os.open(place, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    # --- small things --------------------------------------------------------------------------------------------

    def _read_seal(self, digest: str) -> Listing | None:
        try:
            found = json.loads((self._root / digest / _SEAL).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _touch(self, digest: str) -> None:
        try:
            os.utime(self._root / digest / _SEAL)
        except OSError:
            pass  # it only looks older than it is

    def _discard(self, digest: str) -> None:
        place = self._root / digest
        if not place.exists():
            return
        end_all(marker_for(place / "scratch"))
        gone = self._root / f".gone-{digest[:16]}-{token_hex(4)}"
        os.replace(place, gone)
        _remove_tree(gone)

    @contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        """One at a time makes or removes a bundle, in this process and any other."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._root / f".lock-{digest[:16]}"
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _remove_tree(folder: Path) -> None:
    for below, _, _ in os.walk(folder):
        os.chmod(below, 0o700)
    shutil.rmtree(folder)


def _no_room(error: OSError, name: str, root: Path) -> Unavailable:
    what = f"{name}: the artifact cannot be written: {error.strerror or error}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Unavailable(what, where=str(root), next="make room on the disk" if full else "mend its owner or mode")
