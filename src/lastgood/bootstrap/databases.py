"""How databases are joined to a controller: opened by their references, moved by the scripts of the journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.database.migration import History
    from lastgood.effects.databases.driver import DatabasesDriver
    from lastgood.effects.databases.managed import ManagedDatabases
    from lastgood.effects.databases.session import Session
    from lastgood.effects.secrets import SecretStore
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.loop import Loop
    from lastgood.release.step import Step
    from lastgood.settings import Places


def make_databases(places: Places, secrets: SecretStore) -> ManagedDatabases:
    """The databases of a project, by the references in its configuration."""
    from lastgood.bootstrap.previous import try_live_release
    from lastgood.effects.databases.managed import ManagedDatabases
    from lastgood.errors import Refused

    def try_previous(urls: Collection[str]) -> Callable[[Session], Sequence[str]]:
        try:
            return try_live_release(places, secrets, urls)
        except Refused:
            return lambda copy: ()  # nothing is live, or nothing of it uses this database: nothing to try

    return ManagedDatabases(secrets.resolve, places.root, try_previous)


def make_database_driver(
    databases: ManagedDatabases, configurations: Configurations, loop: Callable[[], Loop]
) -> DatabasesDriver:
    """What moves schemas: by the scripts of the journal, so that the repository is not needed."""
    from lastgood.effects.databases.driver import DatabasesDriver
    from lastgood.operations.database_maker import stored_history, stored_verdicts
    from lastgood.operations.schema_losses import keeps
    from lastgood.release.ledger import leaving_now, live_now

    def references() -> dict[str, str]:
        state = loop().state
        numbers = dict.fromkeys(n for n in (leaving_now(state), live_now(state)) if n is not None)
        return {
            name: database.url for number in numbers for name, database in configurations.of(number).databases.items()
        }

    def open_named(name: str, step: Step | None) -> Session:
        if step is None:
            return databases.open(references()[name])
        return databases.open(configurations.of(int(step.args["release"])).databases[name].url)

    def history(step: Step) -> History | None:
        return stored_history(configurations, int(step.args["release"]), step.part.partition(":")[2])

    def keeps_dropped(step: Step) -> bool:
        state = loop().state  # on the way back the release that is left may be the only one that says so
        numbers = [n for n in (int(step.args["release"]), live_now(state), leaving_now(state)) if n is not None]
        return keeps(configurations, step.part.partition(":")[2], *numbers)

    def proven(step: Step) -> Mapping[str, str]:
        return stored_verdicts(configurations, int(step.args["release"]), step.part.partition(":")[2])

    return DatabasesDriver(lambda: sorted(references()), open_named, history, keeps_dropped, proven)


def migrations_of(configurations: Configurations) -> Callable[[int, Mapping[str, str]], list[str]]:
    """The folders of migrations of a release; of a database that goes down to a version, the files up to it."""
    from lastgood.operations.database_maker import files_up_to, stored_history

    def paths(release: int, lowered: Mapping[str, str]) -> list[str]:
        found: list[str] = []
        for name, database in configurations.of(release).databases.items():
            history = stored_history(configurations, release, name) if name in lowered else None
            found += [database.migrations] if history is None else files_up_to(history, lowered[name])
        return found

    return paths
