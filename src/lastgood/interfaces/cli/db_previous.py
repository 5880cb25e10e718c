"""``db prove --previous``: the live release's services, tried on the migrated scratch copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lastgood.errors import UsageError

if TYPE_CHECKING:
    from lastgood.database.proof import Proof
    from lastgood.effects.databases.session import Session as Database
    from lastgood.interfaces.cli.db_where import Opened
    from lastgood.interfaces.cli.session import Session


def tried_on(session: Session, opened: Opened) -> Callable[[Database], Sequence[str]]:
    """What says why a service of the live release does not work on a database; raises ``Refused`` where none can."""
    from lastgood.bootstrap import try_live_release
    from lastgood.effects.secrets import SecretStore

    if opened.reference is None:
        raise UsageError("--previous needs a database of the configuration", next="say its name instead of --url")
    secrets = SecretStore(session.places.secrets)
    return try_live_release(session.places, secrets, {opened.reference, opened.url}, lambda text: session.say([text]))


def condemned(proof: Proof) -> Proof:
    """Who asks whether the release before lives with a schema is told ``broken`` where it does not."""
    reasons = tuple(f"migration {version}: {why}" for version, why in proof.breaks.items())
    return replace(proof, verdict="broken", reasons=(*reasons, *proof.reasons)) if reasons else proof
