"""Which database, and which migrations, a command line of ``lastgood db`` means."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lastgood.errors import ConfigError, LastgoodError, UsageError

if TYPE_CHECKING:
    from lastgood.config.model import Database as Section
    from lastgood.database.migration import History
    from lastgood.effects.databases.session import Session as Database
    from lastgood.interfaces.cli.session import Session


class Opened:
    """The database and the history that a command line names; closed at its end.

    By ``--url`` (and ``--migrations``), or by a name of the configuration as it stands on the disk, committed or not.
    """

    def __init__(
        self,
        session: Session,
        name: str | None,
        url: str | None,
        migrations: str | None,
        limits: Any = None,
        create: bool = False,
        keep: bool | None = None,
    ) -> None:
        """``keep``: whether what is dropped is put aside, where the command line says so."""
        self.keep = bool(keep)
        self.reference: str | None = None
        self.url = ""
        self._keep = keep
        self._session, self._name, self._url = session, name, url
        self._migrations, self._limits, self._create = migrations, limits, create
        self._database: Database | None = None

    def __enter__(self) -> tuple[Database, History | None]:
        from lastgood.effects.databases.folder import read_folder
        from lastgood.effects.databases.opening import dialect_of, empty_beside, open_session

        url, folder = self._named() if self._url is None else self._said(self._url)
        known = read_folder(folder, dialect_of(url), partial(empty_beside, url)) if folder is not None else None
        self.url = url
        self._database = open_session(url, self._limits, create=self._create)
        return self._database, known

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from lastgood.effects.databases.execution import explain
        from lastgood.effects.databases.session import SqlFailure

        if self._database is None:
            return
        self._database.close()
        if isinstance(error, SqlFailure):
            raise explain(error, self._database.place) from None

    def _said(self, url: str) -> tuple[str, Path | None]:
        from lastgood.effects.databases.opening import located

        if self._name is not None:
            raise UsageError("a name and --url are two databases", next="say one of them")
        root = self._session.around.folder
        if url.startswith("env:"):
            found = self._session.around.environment.get(url[4:])
            if found is None:
                raise UsageError(f"the environment has no {url[4:]}", next=f"export {url[4:]}=postgresql://...")
            url = found
        return located(url, root), root / self._migrations if self._migrations else None

    def _named(self) -> tuple[str, Path | None]:
        from lastgood.effects.databases.opening import located
        from lastgood.effects.secrets import SecretStore

        try:
            places = self._session.places
        except LastgoodError:
            raise UsageError("which database?", next="say --url URL, or go to a project and say its name") from None
        section = _chosen(places.root, self._name)
        self.keep = section.keep_dropped if self._keep is None else self._keep
        reference = self.reference = section.url
        if not reference.startswith("sqlite:"):
            reference = SecretStore(places.secrets).resolve(reference, self._session.around.environment)
        folder = (
            self._session.around.folder / self._migrations if self._migrations else places.root / section.migrations
        )
        return located(reference, places.root), folder


def _chosen(root: Path, name: str | None) -> Section:
    """The database of that name; without a name the only one. Other sections may be half written."""
    found, problems = databases_of(root)
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is not None and name in found:
        return found[name]
    if problems and (name is not None or not found):
        raise ConfigError(problems)
    known = ", ".join(sorted(found)) or "none"
    what = f"there is no database {name} in lastgood.yaml" if name else "which database?"
    raise UsageError(what, next=f"say a name ({known}), or --url URL")


def databases_of(root: Path) -> tuple[dict[str, Section], tuple[Any, ...]]:
    """The databases in the configuration on the disk, and what is wrong with its files."""
    from lastgood.config.model import Database as Section
    from lastgood.config.parse import FOLDER, MAIN_FILE, is_source, parse_file

    found: dict[str, Section] = {}
    problems: list[Any] = []
    more = sorted(path for path in (root / FOLDER).glob("*") if path.is_file())
    for path in (root / MAIN_FILE, *more):
        place = path.relative_to(root).as_posix()
        if not is_source(place) or not path.is_file():
            continue
        fragment = parse_file(place, path.read_bytes())
        problems += fragment.problems
        for entry in fragment.entries.values():
            if isinstance(entry.value, Section):
                found[entry.name] = entry.value
    return found, tuple(problems)


def folder_of(session: Session, name: str | None) -> Path:
    """The folder of migrations of a database of the configuration."""
    return session.places.root / _chosen(session.places.root, name).migrations
