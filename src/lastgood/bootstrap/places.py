"""Where the parts of a project lie: the supervisor's folder, sockets, options."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastgood.errors import Unavailable

if TYPE_CHECKING:
    from lastgood.settings import Places

LONGEST_FOLDER = 75
"""Bytes; the names of sockets in it need the rest of the 107 that a Unix socket's path may have."""


@dataclass(frozen=True)
class Options:
    """How the controller was started; kept on disk for whoever starts it again."""

    proxies: int = 1
    follow: str | None = None
    concurrency: int = 1
    env: tuple[str, ...] = ()
    """Names of the variables that ``env:`` secrets refer to; their values are never written down."""

    def save(self, path: Path) -> None:
        """Write, whole or not at all; what is written already needs no room. Raises ``Unavailable``."""
        if path.exists() and Options.load(path) == self:
            return
        temporary = path.with_suffix(".new")
        try:
            temporary.touch(0o600)
            temporary.write_text(json.dumps(asdict(self)))
            os.replace(temporary, path)
        except OSError as error:
            what = f"how it is started cannot be written: {error.strerror}"
            raise Unavailable(
                what, where=str(path), next="make room, or mend who may write there; then again"
            ) from error

    @classmethod
    def load(cls, path: Path) -> Options:
        """Read what was saved; the defaults where nothing was."""
        try:
            raw: Mapping[str, Any] = json.loads(path.read_text())
            return cls(**{**raw, "env": tuple(raw.get("env", ()))})
        except (OSError, ValueError, TypeError):
            return cls()


def run_root(places: Places) -> Path:
    """The supervisor's directory."""
    return places.state / "run"


def socket_folder(places: Places) -> Path:
    """A 0700 folder whose path is short enough for the sockets in it."""
    from lastgood.effects.processes.run_directory import open_run_directory, private_directory

    run = open_run_directory(str(run_root(places)))
    if len(os.fsencode(run.root)) <= LONGEST_FOLDER:
        return Path(run.root)
    short = f"/tmp/lastgood-{os.getuid()}-{run.run_id}"  # noqa: S108 verified: ours, 0700, no link
    private_directory(short)
    return Path(short)


def api_socket(places: Places) -> Path:
    """Where the controller answers."""
    return socket_folder(places) / "api.sock"


def why_private(places: Places, path: str) -> str | None:
    """Why a Unix socket must not be an upstream: it is one of ours, or lies where a commit could put a link to one."""
    real = os.path.realpath(path)
    ours = {os.path.realpath(folder) for folder in (places.state, socket_folder(places), run_root(places))}
    if any(os.path.commonpath([real, folder]) == folder for folder in ours) or "/lastgood-" in real:
        return "is a socket of Lastgood's own"
    if "/.lastgood/" in real or _is_one_of(real, ours):
        return "is a socket of Lastgood's own, by another name or of another project"
    root = os.path.realpath(places.root)
    if os.path.commonpath([os.path.abspath(path), root]) == root or os.path.commonpath([real, root]) == root:
        return "lies inside of the repository"
    return None


def _is_one_of(path: str, folders: Iterable[str]) -> bool:
    """A hard link is the same socket by another name."""
    try:
        wanted = os.stat(path)
    except OSError:
        return False
    if wanted.st_nlink < 2:
        return False
    stats = (
        entry.stat(follow_symlinks=False) for folder in folders if os.path.isdir(folder) for entry in os.scandir(folder)
    )
    return any((each.st_dev, each.st_ino) == (wanted.st_dev, wanted.st_ino) for each in stats)


def is_ours(places: Places, pid: int) -> bool:
    """Whether a process was started by this project's supervisor."""
    from lastgood.effects.processes.identity import marker_of
    from lastgood.effects.processes.run_directory import open_run_directory

    return (marker_of(pid) or "").startswith(f"{open_run_directory(str(run_root(places))).run_id}/")


def supervisor_epoch(places: Places) -> int:
    """The highest epoch the supervisor has seen: a journal that was made anew must not start below it."""
    try:
        return int((run_root(places) / "epoch").read_text())
    except (OSError, ValueError):
        return 0
