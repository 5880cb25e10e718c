"""The versions of functions that are kept: a small file for each, beside the bundles that they run from.

Written whole or not at all. Of more than the newest one's ``keep_versions`` the oldest go, never one with a tag.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lastgood.config.configuration import canonical
from lastgood.errors import Unavailable, UsageError
from lastgood.ports import FunctionVersion, MadeOf

KEPT = 100
SHORTEST = 4
"""Digits by which a version may be called."""


class VersionStore:
    """``root/NAME/DIGEST.json``. ``kept`` versions of a function whose settings do not say how many."""

    def __init__(self, root: Path, kept: int = KEPT, now_s: Callable[[], float] = time.time) -> None:
        self._root, self._kept, self._now_s = root, kept, now_s

    def keep(
        self,
        name: str,
        digest: str,
        settings: Mapping[str, object],
        made_of: MadeOf,
        size_bytes: int = 0,
        awake: Callable[[str], bool] = lambda digest: False,
    ) -> FunctionVersion:
        """Remember a version, for the first time or again (then it counts as new). Raises ``Unavailable``."""
        with self._alone():
            known = self._read(name, digest)
            version = FunctionVersion(
                name, digest, self._now_s(), dict(settings), known[0].tags if known else (), size_bytes
            )
            self._write(version, made_of)
            for old in self.of(name)[int(str(settings.get("keep_versions", self._kept))) :]:
                if not old.tags and old.digest != digest and not awake(old.digest):
                    (self._root / name / f"{old.digest}.json").unlink(missing_ok=True)
        return version

    def names(self) -> list[str]:
        """Every function of which there is a version."""
        return sorted(path.name for path in self._root.iterdir() if path.is_dir()) if self._root.is_dir() else []

    def of(self, name: str) -> list[FunctionVersion]:
        """The versions of a function, the newest first."""
        found = [self._read(name, path.stem) for path in (self._root / name).glob("*.json")]
        return sorted((one[0] for one in found if one), key=lambda each: (-each.at_s, each.digest))

    def find(self, name: str, text: str) -> tuple[FunctionVersion, MadeOf]:
        """The version a person means: a digest, its beginning, a tag, or ``latest``. Raises ``UsageError``."""
        versions = self.of(name)
        if not versions:
            there = ", ".join(self.names()) or "none: lastgood function upload NAME"
            raise UsageError(f"there is no function {name!r}", next=f"functions with versions: {there}")
        found = [each for each in versions if text in each.tags] or [
            each for each in versions if len(text) >= SHORTEST and each.digest.startswith(text)
        ]
        if text == "latest" and not found:
            found = versions[:1]
        if len(found) != 1:
            what = f"{text!r} could be {len(found)} versions" if found else f"{name} has no version {text!r}"
            some = ", ".join(each.digest[:12] for each in (found or versions)[:8])
            raise UsageError(what, next=f"versions: {some} (lastgood function list {name})")
        one = self._read(name, found[0].digest)
        if one is None:
            raise UsageError(f"{name} {found[0].digest[:12]} went meanwhile", next=f"lastgood function list {name}")
        return one

    def tag(self, name: str, text: str, tag: str) -> FunctionVersion:
        """Give a version a tag, which leaves whatever version had it."""
        with self._alone():
            chosen, made_of = self.find(name, text)
            for other in self.of(name):
                if tag in other.tags and other.digest != chosen.digest:
                    theirs = self._read(name, other.digest)
                    if theirs is not None:
                        self._write(_with_tags(theirs[0], set(theirs[0].tags) - {tag}), theirs[1])
            tagged = _with_tags(chosen, {*chosen.tags, tag})
            self._write(tagged, made_of)
            return tagged

    def bundles(self) -> set[str]:
        """The digests of all bundles that a kept version runs from."""
        found = set()
        for name in self.names():
            for path in (self._root / name).glob("*.json"):
                one = self._read(name, path.stem)
                if one is not None:
                    found.add(one[1].digest)
        return found

    def _read(self, name: str, digest: str) -> tuple[FunctionVersion, MadeOf] | None:
        try:
            raw = json.loads((self._root / name / f"{digest}.json").read_bytes())
            settings, tags = dict(raw["settings"]), tuple(raw["tags"])
            version = FunctionVersion(name, digest, float(raw["at_s"]), settings, tags, int(raw["size_bytes"]))
            return version, MadeOf(raw["artifact"], raw["seal"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # torn by a machine that stopped: its release, or another upload, brings it again

    def _write(self, version: FunctionVersion, made_of: MadeOf) -> None:
        folder = self._root / version.name
        content = {
            "at_s": version.at_s,
            "settings": version.settings,
            "tags": sorted(version.tags),
            "size_bytes": version.size_bytes,
            "artifact": made_of.digest,
            "seal": made_of.seal,
        }
        temporary = folder / f".{version.digest[:16]}.{os.getpid()}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(canonical(content))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, folder / f"{version.digest}.json")
        except OSError as error:
            temporary.unlink(missing_ok=True)
            what = f"the version {version.digest[:12]} of {version.name} cannot be written: {error.strerror}"
            raise Unavailable(what, where=str(folder), next="make room on the disk, or mend its owner") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._root / ".lock").open("w")
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise Unavailable(what, where=str(self._root), next="make room on the disk, or mend its owner") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _with_tags(version: FunctionVersion, tags: set[str]) -> FunctionVersion:
    return FunctionVersion(
        version.name, version.digest, version.at_s, version.settings, tuple(sorted(tags)), version.size_bytes
    )
