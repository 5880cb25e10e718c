"""Where the supervisor keeps what it needs: a 0700 directory, and a socket whose path is short enough.

A Unix socket's path may have 107 bytes (unix(7)), a state directory deep in a home may have more.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

SOCKET_PATH_LIMIT_BYTES = 100


class UnsafeDirectory(OSError):
    """A directory that others could have put there or could change."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths below ``root`` (absolute, exists, 0700). ``run_id`` tells it from every other on this machine."""

    root: str
    run_id: str
    socket_path: str

    @property
    def lock_path(self) -> str:
        """Held with flock by the supervisor as long as it lives; contains its pid."""
        return os.path.join(self.root, "supervisor.lock")

    @property
    def log_path(self) -> str:
        """What the supervisor itself has to say."""
        return os.path.join(self.root, "supervisor.log")

    @property
    def epoch_path(self) -> str:
        """The highest epoch that asked for anything."""
        return os.path.join(self.root, "epoch")

    @property
    def records_path(self) -> str:
        """One file for each process."""
        return os.path.join(self.root, "processes")


def open_run_directory(root: str) -> RunDirectory:
    """Make the directories that are missing and verify the others. Raises ``OSError``, ``UnsafeDirectory`` included."""
    root = os.path.abspath(root)
    os.makedirs(os.path.dirname(root), mode=0o700, exist_ok=True)
    private_directory(root)
    private_directory(os.path.join(root, "processes"))
    seen = os.stat(root)
    # Device and inode instead of a hash of the path: they survive a rename, see through links, and need no hashlib,
    # which would take 3.7 MB of the supervisor's memory.
    run_id = f"{seen.st_dev:x}-{seen.st_ino:x}"
    path = os.path.join(root, "supervisor.sock")
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT_BYTES:
        path = os.path.join(_short_directory(run_id), "supervisor.sock")
    return RunDirectory(root, run_id, path)


def _short_directory(run_id: str) -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not (os.path.isdir(runtime) and len(os.fsencode(runtime)) <= 40):
        runtime = "/tmp"  # noqa: S108  verified below: ours, 0700, no link
    path = os.path.join(runtime, f"lastgood-{os.getuid()}-{run_id}")
    private_directory(path)
    return path


def private_directory(path: str) -> None:
    """Make the directory, or verify that it is one, is ours and nobody else can read or write it."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode):
        raise UnsafeDirectory(f"{path} is not a directory (or a link to one); remove it")
    if seen.st_uid != os.getuid():
        raise UnsafeDirectory(f"{path} belongs to uid {seen.st_uid}, not to {os.getuid()}; remove it or choose another")
    if seen.st_mode & 0o077:
        raise UnsafeDirectory(f"{path} is open to others: chmod 700 {path}")
