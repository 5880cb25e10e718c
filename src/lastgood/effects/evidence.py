"""What was measured of each release, line by line, in files of its own: the journal holds their digests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lastgood.errors import Unavailable
from lastgood.ports import JournalFull


class EvidenceFiles:
    """``ports.Evidence``: ``r12.jsonl`` for each release, in a folder of our own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, release: int, line: str) -> None:
        """See ``ports.Evidence``. A line that a crash cut off is ended first, so that no two become one."""
        path = self._path(release)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _cut(descriptor)
                _write_whole(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise JournalFull(f"cannot be written: {error.strerror}", where=str(path), next="df -h; ls -l") from error

    def keep(self, release: int) -> None:
        """See ``ports.Evidence``."""
        try:
            descriptor = os.open(self._path(release), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lines(self, release: int) -> Sequence[str]:
        """See ``ports.Evidence``."""
        try:
            text = self._path(release).read_text()
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"the evidence cannot be read: {error}", where=str(self._path(release))) from error
        whole = text[: text.rfind("\n") + 1]
        return tuple(whole.splitlines(keepends=True))

    def remove(self, release: int) -> None:
        """See ``ports.Evidence``."""
        self._path(release).unlink(missing_ok=True)

    def releases(self) -> Sequence[int]:
        """See ``ports.Evidence``."""
        try:
            files = os.listdir(self._folder)  # thousands, at every deployment: ten times as fast as their paths
        except FileNotFoundError:
            return ()
        names = [name[1:-6] for name in files if name.startswith("r") and name.endswith(".jsonl")]
        return tuple(sorted((int(name) for name in names if name.isdigit()), reverse=True))

    def _path(self, release: int) -> Path:
        return self._folder / f"r{release}.jsonl"


def _write_whole(descriptor: int, line: bytes) -> None:
    """All of it or nothing: what did not fit is taken back."""
    before = os.fstat(descriptor).st_size
    written = os.write(descriptor, line)
    if written < len(line):
        os.ftruncate(descriptor, before)
        raise OSError(28, "No space left on device")


def _cut(descriptor: int) -> None:
    """Take a last line without an end away: its reading is a gap."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, min(size, 65536), max(0, size - 65536))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
