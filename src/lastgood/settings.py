"""Where this project's state lies, and how it is found from any folder below."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lastgood.errors import Unavailable

STATE_FOLDER = ".lastgood"
CONFIGURATION = "lastgood.yaml"


@dataclass(frozen=True)
class Places:
    """Every path this product uses. ``root`` is the user's repository, ``state`` is ours alone (0700)."""

    root: Path
    state: Path

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.state / "journal.db"

    @property
    def secrets(self) -> Path:
        """The secret store."""
        return self.state / "secrets"

    @property
    def logs(self) -> Path:
        """What the controller and the proxies print."""
        return self.state / "logs"

    @property
    def artifacts(self) -> Path:
        """Immutable bundles of code, by digest."""
        return self.state / "artifacts"

    @property
    def measurements(self) -> Path:
        """What was measured of each release: the evidence of its verdict."""
        return self.state / "measurements"

    @property
    def options(self) -> Path:
        """How the controller was started, for whoever starts it again."""
        return self.state / "options.json"


def find_places(start: Path, state: str | None, environment: Mapping[str, str]) -> Places:
    """From ``--state``, LASTGOOD_STATE, or the nearest folder upwards that has our state or configuration in it."""
    given = state or environment.get("LASTGOOD_STATE")
    root = _root(start.resolve())
    if given:
        folder = Path(given).absolute()
        return Places(root or folder.parent, folder)
    if root is None:
        raise Unavailable(
            "this is not a Lastgood project: no lastgood.yaml and no .lastgood here or above",
            where=str(start),
            next="lastgood init, or --state DIRECTORY",
        )
    return Places(root, root / STATE_FOLDER)


def _root(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / STATE_FOLDER).is_dir() or (folder / CONFIGURATION).is_file():
            return folder
    return None


def _hide(state: Path) -> None:
    """Keep all of it out of Git, in a clone and in a project that nobody initialised, too: it holds secrets."""
    ignored = state / ".gitignore"
    if not ignored.exists():
        ignored.touch(0o600)
        ignored.write_text("*\n")


def prepare(places: Places) -> None:
    """Make the state folders, readable by nobody else and invisible to Git."""
    try:
        for folder in (places.state, places.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(places.state, 0o700)
        _hide(places.state)
    except OSError as error:
        raise Unavailable(
            f"cannot be written: {error.strerror}", where=str(places.state), next="mend its owner, or use --state"
        ) from error
