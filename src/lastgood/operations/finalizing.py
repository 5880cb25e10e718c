"""When what migrations dropped may really go: once the live release is known good, and no kept release needs it."""

from __future__ import annotations

import json
from collections.abc import Collection

from lastgood.database.migration import plain_version
from lastgood.errors import Refused
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import SCHEMA
from lastgood.release.state import State


def refuse_unproven_release(state: State) -> None:
    """Raise ``Refused`` while something is under way, or while what is live is not known to be good."""
    if state.deployment is not None:
        raise Refused(f"{state.deployment.name} is not over", next="wait for its end: lastgood status --watch")
    if state.live is not None and state.verdict(state.live).name != "good":
        verdict = state.verdict(state.live).name
        raise Refused(f"r{state.live} is live and {verdict}: a way back may need what is kept", next="lastgood status")


def needed_by(
    version: str, name: str, applied: Collection[str], kept: Collection[int], configurations: Configurations
) -> tuple[int, ...]:
    """The kept releases that need what a migration of a database put aside.

    Applied: those that do not have the migration, for they need what it dropped. Undone: those that have it, for going
    forward again attaches what its way down dropped.
    """
    mine = plain_version(version)
    is_applied = mine in {plain_version(other) for other in applied}
    return tuple(
        number
        for number in sorted(kept)
        if (known := _versions(configurations, number, name)) is not None and (mine in known) != is_applied
    )


def _versions(configurations: Configurations, number: int, name: str) -> set[str] | None:
    listed = configurations.attached(number, SCHEMA).get(f"{SCHEMA}:{name}")
    return None if listed is None else {plain_version(version) for version in json.loads(listed)["versions"]}
