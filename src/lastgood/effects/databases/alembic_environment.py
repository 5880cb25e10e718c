"""An Alembic environment rendered as pairs of up and down SQL, by Alembic as a library (an extra).

Each revision's ``upgrade()`` and ``downgrade()`` run against a context that only writes SQL down (Alembic's offline
mode); ``env.py`` is not run, so that neither the application nor its database is needed. What asks the live database
while it runs cannot be written down, and is refused by name.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lastgood.database.drafts import Draft, Half, finished
from lastgood.database.migration import Dialect, History
from lastgood.errors import ConfigError, Problem, Unavailable


def render_history(folder: Path, dialect: Dialect) -> History:
    """The history of an environment (the folder with ``env.py``), oldest first; branches in topological order.

    ``pass`` as a downgrade gives a down script that does nothing; ``raise`` gives an irreversible migration. Raises
    ``ConfigError`` naming every revision that cannot be rendered.
    """
    try:
        from alembic.script import ScriptDirectory
    except ImportError:
        then = "pip install 'lastgood[alembic]'"
        raise Unavailable("reading an Alembic environment needs Alembic", where=str(folder), next=then) from None
    locations = _locations(folder, dialect)
    directory = ScriptDirectory(str(folder), version_locations=[str(location) for location in locations])
    problems: list[Problem] = []
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        revisions = _revisions(directory, folder)
        drafts = [_draft(revision, dialect, problems) for revision in revisions]
    if problems:
        raise ConfigError(tuple(problems))
    migrations = finished(drafts, dialect, problems, notes, ordered=True)
    if problems:
        raise ConfigError(tuple(problems))
    return History(dialect, migrations, tuple(notes))


def _locations(folder: Path, dialect: Dialect) -> list[Path]:
    """Folders of revisions: ``versions``, or its part for this dialect where each dialect has its own."""
    versions = folder / "versions"
    own = versions / dialect
    found = own if own.is_dir() else versions
    if not any(found.glob("*.py")):
        then = "name the folder that holds env.py and versions/*.py"
        raise Unavailable("no revision was found", where=str(found), next=then)
    return [found]


def _revisions(directory: Any, folder: Path) -> list[Any]:
    from alembic.util import CommandError

    try:
        return list(reversed(list(directory.walk_revisions())))
    except ImportError as error:
        then = "run lastgood where the application is installed: its revisions import it"
        raise Unavailable(f"a revision cannot be imported: {error}", where=str(folder), next=then) from None
    except (CommandError, KeyError) as error:  # a KeyError is how Alembic says that a parent is missing
        what = f"the revisions do not form a history: {error}"
        raise ConfigError((Problem(str(folder), 0, what),)) from None


def _draft(revision: Any, dialect: Dialect, problems: list[Problem]) -> Draft:
    file = str(Path(revision.path))
    up = _render(revision.module, "upgrade", dialect, file, problems)
    down = _render(revision.module, "downgrade", dialect, file, problems)
    name = re.sub(r"\W+", "_", (revision.doc or "").strip()).strip("_")
    return Draft(str(revision.revision), name, up, down)


def _render(module: Any, direction: str, dialect: Dialect, file: str, problems: list[Problem]) -> Half:
    buffer = io.StringIO()
    work = getattr(module, direction, None)
    try:
        with _context(dialect, buffer):
            if work is not None:
                work()
    except RuntimeError as error:  # how downgrades say "no way back"; anything else is refused below
        if direction == "downgrade":
            return Half(file, ((1, f"-- lastgood:irreversible {error or 'downgrade() raises'}\n"),))
        problems.append(_problem(file, direction, error))
    except Exception as error:  # whatever a user's script raises, it is that script's problem
        problems.append(_problem(file, direction, error))
    return Half(file, ((1, buffer.getvalue()),))


def _problem(file: str, direction: str, error: BaseException) -> Problem:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    words = str(error).strip().splitlines()
    what = f"{direction}() cannot be written down as SQL: {type(error).__name__}{': ' + words[0] if words else ''}"
    return Problem(file, line, what, "render it by hand into an .up.sql/.down.sql pair")


@contextmanager
def _context(dialect: Dialect, buffer: io.StringIO) -> Iterator[None]:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", ".")
    with EnvironmentContext(config, ScriptDirectory("."), as_sql=True) as environment:
        environment.configure(
            dialect_name=dialect,
            output_buffer=buffer,
            literal_binds=True,
            transactional_ddl=False,
            dialect_opts={"paramstyle": "named"},
        )
        from alembic.operations import Operations

        with Operations.context(environment.get_context()):
            yield
