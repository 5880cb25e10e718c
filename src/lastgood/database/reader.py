"""A folder of migration files, in any of the layouts, as a history.

Layouts: ``NNN_name.up.sql`` pairs (golang-migrate, Soda, ``V0001.Name.up.sql``),
``<version>_name/{up,down}.sql`` (Diesel), one file with sections (dbmate, goose, sql-migrate), a Sqitch plan.
"""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.database.drafts import Draft, finished
from lastgood.database.migration import Dialect, History
from lastgood.database.paired import is_directories, is_pairs, read_directories, read_pairs
from lastgood.database.sections import read_sections
from lastgood.database.sqitch import PLAN, read_plan
from lastgood.errors import ConfigError, Problem


def read_history(files: Mapping[str, bytes], dialect: Dialect, folder: str = "") -> History:
    """The history in ``files`` (path below the folder: content); ``folder`` is put before paths in messages.

    Raises :class:`ConfigError` with every problem: two files with one version, a down without an up, unknown layout,
    what is not text, what does not parse.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    scripts = {path: data for path, data in sorted(files.items()) if path.endswith(".sql")}
    place = folder.rstrip("/") + "/" if folder else ""
    drafts: list[Draft]
    ordered = False
    if PLAN in files:
        drafts, ordered = read_plan(files, problems, place), True
    elif is_directories(scripts):
        drafts = read_directories(scripts, problems, notes, place)
    else:
        flat = {path: data for path, data in scripts.items() if "/" not in path}
        if len(flat) < len(scripts):
            notes.append(
                f"{len(scripts) - len(flat)} .sql files in folders below {folder or 'the folder'} are not read"
            )
        if is_pairs(flat):
            drafts = read_pairs(flat, dialect, problems, notes, place)
        else:
            drafts = read_sections(flat, problems, place)
    migrations = finished(drafts, dialect, problems, notes, ordered=ordered)
    if problems:
        raise ConfigError(tuple(sorted(problems, key=lambda problem: (problem.file, problem.line))))
    return History(dialect, migrations, tuple(notes))
