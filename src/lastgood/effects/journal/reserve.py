"""Room on the disk that is kept for the way back."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024


class Reserve:
    """A file of real blocks, given up when the disk is full so that a rollback can still be journalled."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def fill(self) -> bool:
        """Book the room; False when there is none left (which is no reason not to go on)."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
            return True
        except OSError:
            self._path.unlink(missing_ok=True)
            return False

    def release(self) -> bool:
        """Give the room up; False when it was given up before."""
        try:
            self._path.unlink()
            return True
        except OSError:
            return False
