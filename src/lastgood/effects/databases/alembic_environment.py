"""An Alembic environment rendered as pairs of up and down SQL, by Alembic as a library (an extra).

Each revision's ``upgrade()`` and ``downgrade()`` run against a context that only writes SQL down (Alembic's offline
mode); ``env.py`` is not run, so that neither the application nor its database is needed. What asks the database while
it runs is run on an empty scratch database instead, and written down as what it did there (``alembic_recording``).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lastgood.database.drafts import Draft, Half, finished
from lastgood.database.migration import Dialect, History
from lastgood.effects.databases.alembic_recording import CannotRecord, Recorder
from lastgood.effects.databases.opening import Scratch
from lastgood.errors import ConfigError, Problem, Unavailable

_CATCHES = re.compile(
    r"except\b[^\n:]*\b(?:\w+\.exc\b|SQLAlchemyError|DBAPIError|(?:Operational|Programming|Integrity|Database|NoSuchTable)Error)"
)
"""A failure that a revision expects never comes where nothing runs."""
_KNOWS_MODE = re.compile(r"\bis_offline_mode\b|\bas_sql\b")
_READS = re.compile(r"(?is)\s*(?:select|with|show|pragma)\b")


BASE = "base.sql"
"""Beside ``env.py``: the schema that the first revision finds, where that is not an empty one."""


def render_history(folder: Path, dialect: Dialect, scratch: Scratch) -> History:
    """The history of an environment (the folder with ``env.py``), oldest first; branches in topological order.

    ``pass`` as a downgrade gives a down script that does nothing; ``raise`` gives an irreversible migration, and a
    downgrade that goes wrong one that has no way back.
    ``scratch`` makes an empty database, for revisions that ask one. Raises ``ConfigError`` naming every revision that
    cannot be rendered.
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
        with _Rendering(dialect, scratch, _base(folder)) as rendering:
            drafts = [rendering.draft(revision, problems) for revision in revisions]
    if problems:
        raise ConfigError(tuple(problems))
    migrations = finished(drafts, dialect, problems, notes, ordered=True)
    if problems:
        raise ConfigError(tuple(problems))
    return History(dialect, migrations, tuple(notes))


def _base(folder: Path) -> str:
    path = folder / BASE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


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


class _Rendering(ExitStack):
    """Renders revisions in their order; the scratch database is made for the first one that needs it."""

    def __init__(self, dialect: Dialect, scratch: Scratch, base: str) -> None:
        super().__init__()
        self._dialect, self._scratch = dialect, scratch
        self._recorder: Recorder | None = None
        self._behind = [(BASE, base)] if base else []

    def draft(self, revision: Any, problems: list[Problem]) -> Draft:
        """Both directions of the next revision; what is wrong is added to ``problems``."""
        file = str(Path(revision.path))
        up = self._half(revision, "upgrade", file, problems)
        self._behind.append((str(revision.revision), up.sections[0][1]))
        down = self._half(revision, "downgrade", file, problems)
        name = re.sub(r"\W+", "_", (revision.doc or "").strip()).strip("_")
        return Draft(str(revision.revision), name, up, down)

    def _half(self, revision: Any, direction: str, file: str, problems: list[Problem]) -> Half:
        work = getattr(revision.module, direction, None)
        if work is None:
            return Half(file, ((1, ""),))
        source = Path(file).read_text(encoding="utf-8", errors="replace")
        text: str | None = None
        try:
            if not _KNOWS_MODE.search(source) and not _CATCHES.search(source):
                text = _written_offline(work, self._dialect)
        except RuntimeError as error:  # how downgrades say "no way back"; anything else asks, or is wrong
            if direction == "downgrade":
                return _irreversible(file, error)
        except Exception:  # noqa: S110  # whatever a script raises for want of a database
            pass
        if text is None and problems:
            return Half(file, ((1, ""),))  # where an earlier one is wrong, nothing stands to ask
        try:
            return Half(file, ((1, self._recorded(work, source) if text is None else text),))
        except RuntimeError as error:
            if direction == "downgrade":
                return _irreversible(file, error)
            problems.append(_problem(file, direction, error))
        except Exception as error:  # whatever a user's script raises, it is that script's problem
            problem = _problem(file, direction, error)
            if direction == "downgrade" and not problems:  # no reason to refuse what does not need it
                return Half(file, ((1, f"-- lastgood:unwritten {problem.line}: {problem.what}\n"),))
            problems.append(problem)
        return Half(file, ((1, ""),))

    def _recorded(self, work: Callable[[], None], source: str) -> str:
        if self._recorder is None:
            self._recorder = Recorder(self.enter_context(self._scratch()))
            self.callback(self._recorder.close)
        while self._behind:
            label, text = self._behind.pop(0)
            self._recorder.advance(text, label)
        return self._recorder.record(work, lambda connection: _context(connection=connection), source)


def _irreversible(file: str, error: BaseException) -> Half:
    words = " ".join(str(error).split())
    return Half(file, ((1, f"-- lastgood:irreversible {words or 'downgrade() raises'}\n"),))


def _written_offline(work: Callable[[], None], dialect: Dialect) -> str:
    buffer = io.StringIO()
    with _context(
        as_sql=True,
        dialect_name=dialect,
        output_buffer=buffer,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    ) as context:
        context.impl.connection = _Unasked(context.impl.connection)
        work()
    return buffer.getvalue()


class _Unasked:
    """The connection of the offline mode, which gives no answers: whoever reads is not to go on without one."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def execute(self, construct: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(construct, "is_select", False) or _READS.match(str(construct)):
            raise LookupError("it asks the database")
        return self._plain.execute(construct, *args, **kwargs)


def _problem(file: str, direction: str, error: BaseException) -> Problem:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    words = str(error).strip().splitlines()
    said = words[0] if words else ""
    if not isinstance(error, CannotRecord):
        said = f"{type(error).__name__}{': ' + said if said else ''}"
    what = f"{direction}() cannot be written down as SQL: {said}"
    return Problem(file, line, what, "render it by hand into an .up.sql/.down.sql pair")


@contextmanager
def _context(*, as_sql: bool = False, **options: Any) -> Iterator[Any]:
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", ".")
    with EnvironmentContext(config, ScriptDirectory("."), as_sql=as_sql) as environment:
        environment.configure(transactional_ddl=False, **options)
        context = environment.get_context()
        with Operations.context(context):
            yield context
