"""What is in a bundle, file by file; the same again later is what ``checked`` means.

A file that was added is no damage: programs leave caches behind where they may write, as root they may everywhere, and
a way back must not fail because of it. What was there has to be there, byte for byte.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lastgood.config.configuration import canonical, digest_of

_CHUNK_BYTES = 1024 * 1024
Listing = dict[str, list[Any]]
"""``{path: ["file", executable, sha256, size_bytes]}`` or ``["link", target]``."""


def seal_folder(folder: Path) -> Listing:
    """List everything below a folder and make it read-only (0444, 0555)."""
    listing: Listing = {}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            listing[name] = ["link", os.readlink(path)]
        elif path.is_file():
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
            listing[name] = ["file", executable, _sha256(path), path.stat().st_size]
            path.chmod(0o555 if executable else 0o444)
    for below, _, _ in os.walk(folder, topdown=False):
        os.chmod(below, 0o555)  # noqa: S103 nobody may write; the state folder above is 0700
    return listing


def seal_of(listing: Listing) -> str:
    """The digest of a listing."""
    return digest_of(canonical(listing))


def first_difference(folder: Path, listing: Listing) -> str | None:
    """The first thing of a listing that is not there as it was, in words; None when all of it is."""
    for name, said in sorted(listing.items()):
        path = folder / name
        try:
            if said[0] == "link":
                same = path.is_symlink() and os.readlink(path) == said[1]
            else:
                seen = path.lstat()
                whole = stat.S_ISREG(seen.st_mode) and seen.st_size == said[3]
                same = whole and bool(seen.st_mode & stat.S_IXUSR) == said[1] and _sha256(path) == said[2]
        except FileNotFoundError:
            return f"{name} is missing"
        if not same:
            return f"{name} is not what it was"
    return None


def size_bytes(listing: Listing) -> int:
    """Bytes of all files."""
    return sum(said[3] for said in listing.values() if said[0] == "file")


def _walk(folder: Path) -> Iterator[Path]:
    for below, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            yield Path(below, name)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
