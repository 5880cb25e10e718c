"""A folder of migration files: on the disk, or as a commit has it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from lastgood.database.migration import Dialect, History
from lastgood.database.reader import read_history
from lastgood.database.script import LIMIT_BYTES
from lastgood.effects.databases.opening import Scratch, empty_beside
from lastgood.errors import ConfigError, Problem, Unavailable

READ = (".sql", ".plan")
_ALEMBIC = ("env.py", "versions/")


def read_folder(folder: Path, dialect: Dialect, scratch: Scratch | None = None) -> History:
    """The history in a folder; raises ``ConfigError`` for what is wrong, ``Unavailable`` when there is none.

    ``scratch`` makes an empty database, for revisions of Alembic that ask while they run.
    """
    if not folder.is_dir():
        raise Unavailable("there is no such folder", where=str(folder), next="name the folder of the migrations")
    if (folder / "env.py").exists() and (folder / "versions").is_dir():
        from lastgood.effects.databases.alembic_environment import render_history

        return render_history(folder, dialect, _given(scratch, dialect, str(folder)))
    files = {}
    try:
        for name in _files_below(str(folder)):
            with open(os.path.join(folder, name), "rb") as handle:  # a byte too many is enough to refuse a huge file
                files[name] = handle.read(LIMIT_BYTES + 1)
    except OSError as error:
        what, place = f"cannot be read: {error.strerror}", str(error.filename)
        raise Unavailable(what, where=place, next="let this user read the whole folder") from None
    return read_history(files, dialect, str(folder))


def _files_below(folder: str, below: str = "") -> Iterator[str]:
    """Paths below a folder of what may be a migration; links to folders are not followed, as by ``rglob``."""
    with os.scandir(os.path.join(folder, below)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(folder, f"{below}{entry.name}/")
            elif os.path.splitext(entry.name)[1] in READ and entry.is_file():
                yield below + entry.name


def _given(scratch: Scratch | None, dialect: Dialect, place: str) -> Scratch:
    """A file will do for SQLite; nothing but a server will do for PostgreSQL."""
    if scratch is not None:
        return scratch
    if dialect == "sqlite":
        return partial(empty_beside, "sqlite:////nowhere")

    def missing() -> NoReturn:
        what = "a revision asks the database while it runs, and no server is known to try it on"
        raise Unavailable(what, where=place, next="say the database: --url postgresql://...")

    return missing


def is_alembic(paths: Mapping[str, object]) -> bool:
    """Whether these paths below a folder are an Alembic environment."""
    return _ALEMBIC[0] in paths and any(path.startswith(_ALEMBIC[1]) for path in paths)


def read_committed(files: Mapping[str, bytes], dialect: Dialect, place: str, scratch: Scratch | None = None) -> History:
    """The history in the files of a commit (path below ``place``: content); ``scratch`` as above.

    An Alembic environment is written out first: its revisions are programs, and they are run to be written down.
    """
    if not is_alembic(files):
        return read_history({path: data for path, data in files.items() if path.endswith(READ)}, dialect, place)
    from lastgood.effects.databases.alembic_environment import render_history

    with tempfile.TemporaryDirectory(prefix="lg-alembic-") as folder:
        for path, data in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        try:
            return _told_of(render_history(Path(folder), dialect, _given(scratch, dialect, place)), folder, place)
        except ConfigError as error:
            raise ConfigError(
                tuple(
                    Problem(p.file.replace(folder, place), p.line, p.what.replace(folder, place), p.hint)
                    for p in error.problems
                )
            ) from None


def _told_of(history: History, folder: str, place: str) -> History:
    """The same, as of files of the repository: the digest of a release must not hold a temporary path."""
    from dataclasses import replace

    migrations = []
    for migration in history.migrations:
        up = replace(migration.up, source=migration.up.source.replace(folder, place))
        down = migration.down and replace(migration.down, source=migration.down.source.replace(folder, place))
        migrations.append(replace(migration, up=up, down=down))
    return replace(history, migrations=tuple(migrations))
