"""What tries the live release's services on a scratch copy of a database: its code, with the copy's URL for its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastgood.effects.databases.session import Session
    from lastgood.effects.secrets import SecretStore
    from lastgood.operations.loop import Loop
    from lastgood.settings import Places


def try_live_release(
    places: Places,
    secrets: SecretStore,
    urls: Collection[str],
    say: Callable[[str], None] = lambda text: None,
) -> Callable[[Session], Sequence[str]]:
    """What says why a service of the live release does not work on a database; functions have no process to try.

    ``urls``: what stands in the environment of a service that uses the database. Raises ``Refused`` where no release is
    live, or where none of its services is given this database.
    """
    from lastgood.bootstrap.controller import open_journal, read_state
    from lastgood.bootstrap.services import make_launches
    from lastgood.effects.databases.previous import environment_on, try_service, uses
    from lastgood.errors import Refused
    from lastgood.operations.configurations import Configurations

    journal = open_journal(places, read_only=True)
    try:
        live = read_state(journal)[0].live
        if live is None:
            raise Refused("no release is live, so there is none before", next="lastgood deploy")
        configurations = Configurations(journal)
        launches = make_launches(places, configurations, secrets, _nobody)
        found = {name: launches.launch(name, "", live) for name in configurations.of(live).services}
    finally:
        journal.close()
    users = {name: launch for name, launch in found.items() if uses(launch, urls)}
    if not users:
        raise Refused(
            f"no service of r{live} has this database in its environment, so none can be tried on the copy",
            next="give it the URL: environment: { DATABASE_URL: secret:NAME }",
        )

    def try_on(copy: Session) -> list[str]:
        wrong = []
        for name, launch in users.items():
            say(f"trying {name} of r{live} on the new schema")
            why = try_service(name, launch, environment_on(launch, urls, copy.url))
            if why is not None:
                wrong.append(secrets.redactor.redact(f"r{live} does not work on the new schema: {why}"))
        return wrong

    return try_on


def _nobody() -> Loop:
    raise AssertionError("a version is asked for by its release")
