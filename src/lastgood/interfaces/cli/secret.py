"""``lastgood secret``: values come from a prompt or a pipe, never from the command line, and are never shown."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.errors import LastgoodError, Refused
from lastgood.interfaces.cli.client import NotRunning
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.text import columns, moment
from lastgood.interfaces.cli.verb import group, verb
from lastgood.settings import prepare

if TYPE_CHECKING:
    from lastgood.effects.secrets import SecretStore

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in secret:NAME in the configuration.")]
secrets = group("Values that a configuration names and Git never sees.")


@verb(secrets, "set")
def set_secret(session: Session, name: Name) -> int:
    """Store a value: asked for without echo, or read from a pipe (one newline at its end is not part of it).

    No option takes it: every user of the machine sees command lines, and the shell's history keeps them.
    """
    prepare(session.places)
    store = _store(session)
    store.set(name, _value(session, name))
    told = _bring_up_to_date(session, f"{name} is stored")
    session.give({"secret": name, "in_effect": told != ""}, [f"{name} is stored{told or '; no controller is running'}"])
    return 0


@verb(secrets, "list")
def list_secrets(session: Session) -> int:
    """Names and since when; never a value."""
    found = [
        {"secret": one.name, "revoked": one.revoked, "changed_at": _iso(one.changed_s)}
        for one in _store(session).list()
    ]
    rows = [
        [str(one["secret"]), "revoked" if one["revoked"] else "set", moment(str(one["changed_at"]))] for one in found
    ]
    session.give({"secrets": found}, columns(rows) if rows else ["no secret is stored"])
    return 0


@verb(secrets, "revoke")
def revoke_secret(session: Session, name: Name) -> int:
    """Forget a value for good: no rollback brings it back."""
    _store(session).revoke(name)
    told = _bring_up_to_date(session, f"{name} is revoked")
    session.give(
        {"secret": name, "in_effect": told != ""}, [f"{name} is revoked{told or '; no controller is running'}"]
    )
    return 0


def _store(session: Session) -> SecretStore:
    from lastgood.effects.secrets import SecretStore

    return SecretStore(session.places.secrets)


def _value(session: Session, name: str) -> str:
    if session.around.stdin.isatty():
        if not session.around.interactive:
            raise Refused("the value cannot be asked for here", next=f"lastgood secret set {name} < FILE")
        return getpass.getpass(f"value of {name} (it is not shown): ")
    return session.around.stdin.read().removesuffix("\n")


def _bring_up_to_date(session: Session, done: str) -> str:
    """Have the controller read it again; what was done stays done when that fails, and the error says so."""
    try:
        session.controller.post("/v1/refresh", {})
    except NotRunning:
        return ""
    except LastgoodError as error:
        error.what = f"{done} here, but what is served could not be brought up to date: {error.what}"
        raise
    return ", and what is served is up to date"


def _iso(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
