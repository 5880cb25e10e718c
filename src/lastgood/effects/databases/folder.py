"""A folder of migrations on the disk."""

from __future__ import annotations

from pathlib import Path

from lastgood.database.migration import Dialect, History
from lastgood.database.reader import read_history
from lastgood.database.script import LIMIT_BYTES
from lastgood.errors import Unavailable


def read_folder(folder: Path, dialect: Dialect) -> History:
    """The history in a folder; raises ``ConfigError`` for what is wrong, ``Unavailable`` when there is none."""
    if not folder.is_dir():
        raise Unavailable("there is no such folder", where=str(folder), next="name the folder of the migrations")
    if (folder / "env.py").exists() and (folder / "versions").is_dir():
        from lastgood.effects.databases.alembic_environment import render_history

        return render_history(folder, dialect)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".sql", ".plan"):
            with path.open("rb") as handle:  # one byte more than allowed is enough to refuse a huge file
                files[path.relative_to(folder).as_posix()] = handle.read(LIMIT_BYTES + 1)
    return read_history(files, dialect, str(folder))
