"""``lastgood db repair`` and ``lastgood db finalize``: what is not done every day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.errors import Refused
from lastgood.interfaces.cli.db_where import Opened
from lastgood.interfaces.cli.options import seconds
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.verb import verb

if TYPE_CHECKING:
    from lastgood.effects.databases.books import Kept

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A database of the configuration.")]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="sqlite:///PATH, postgresql://..., or env:VARIABLE that has it."),
]
Settle = Annotated[
    str | None,
    typer.Option("--settle", metavar="done|again", help="Whether the statement of a killed run took effect."),
]


def add_care(app: typer.Typer) -> None:
    """Register both."""
    verb(app, "repair")(repair)
    verb(app, "finalize")(finalize)


def repair(session: Session, name: Name = None, url: Url = None, settle: Settle = None) -> None:
    """Finish or revert what a killed run left half done, and build invalid indexes again."""
    from lastgood.effects.databases.repairing import repair as mend

    with Opened(session, name, url, None) as (database, _):
        done = mend(database, settle, report=lambda line: session.say([line]))
    lines = [f"index {index} is built again and valid" for index in done.rebuilt]
    lines += [f"index {index} was left over and is removed" for index in done.removed]
    value = {"resumed": done.resumed, "rebuilt": list(done.rebuilt), "removed": list(done.removed)}
    session.give(value, ["there was nothing to repair"] if done.nothing else lines)


def finalize(
    session: Session,
    name: Name = None,
    url: Url = None,
    keep_releases: Annotated[
        int, typer.Option("--keep-releases", metavar="N", min=1, help="What the newest N releases need stays.")
    ] = 20,
    keep_for: Annotated[
        str, typer.Option("--keep-for", metavar="TIME", help="What was live within this time stays (30d).")
    ] = "30d",
    yes: Annotated[bool, typer.Option("--yes", help="Drop it without asking.")] = False,
) -> int:
    """Drop for good what migrations put aside and no kept or tagged release needs any more. Asks first."""
    from lastgood.effects.databases.books import Books
    from lastgood.effects.databases.execution import explain
    from lastgood.effects.databases.keeping import finalize as drop
    from lastgood.effects.databases.session import SqlFailure

    with Opened(session, name, url, None) as (database, _):
        books = Books(database)
        try:
            kept = books.kept()
            applied = [version for version, _ in books.versions()]
            age_s = seconds(keep_for, "--keep-for") or 0.0
            needs = _needs(session, name, url, kept, applied, keep_releases, age_s) if kept else {}
            stays = {one.number: needs.get(one.version, ()) for one in kept}
            goes = [one for one in kept if not stays[one.number]]
            if goes and not yes:
                _ask(session, goes)
            with database.lock():
                gone, _ = drop(database, books, lambda one: one not in goes)
        except SqlFailure as failure:
            raise explain(failure, database.place) from None
    held = [(one, stays[one.number]) for one in kept if one not in goes]
    value = {
        "dropped": [str(one.thing) for one in gone],
        "kept": [{"thing": str(one.thing), "needed_by": list(who)} for one, who in held],
    }
    lines = [f"dropped {one.thing}" for one in gone]
    lines += [f"kept {one.thing}: needed by {', '.join(f'r{number}' for number in who)}" for one, who in held]
    session.give(value, lines or ["nothing is put aside"])
    return 0


def _ask(session: Session, goes: list[Kept]) -> None:
    what = ", ".join(str(one.thing) for one in goes)
    if not session.can_ask:
        raise Refused(f"this would drop {what}, with its rows, for good", next="add --yes")
    if not session.ask(f"Drop {what}, with its rows, for good?"):
        raise Refused("nothing was dropped")


def _needs(
    session: Session,
    name: str | None,
    url: str | None,
    kept: Sequence[Kept],
    applied: Sequence[str],
    count: int,
    age_s: float,
) -> dict[str, tuple[int, ...]]:
    """Which kept releases need what a version put aside; by ``--url``, or without a journal, nobody is known to."""
    from lastgood.bootstrap import open_journal, read_state
    from lastgood.interfaces.cli.db_where import databases_of
    from lastgood.operations.configurations import Configurations
    from lastgood.operations.finalizing import needed_by, refuse_unproven_release
    from lastgood.release.retention import kept_releases

    if url is not None or not session.places.journal.exists():
        return {}
    places = session.places
    journal = open_journal(places, read_only=True)
    try:
        state, damage = read_state(journal)
        if damage is not None:
            raise damage
        refuse_unproven_release(state)
        retained = kept_releases(state, journal.release, (), time.time(), count=count, age_s=age_s)
        known = name or next(iter(databases_of(places.root)[0]))
        configurations = Configurations(journal)
        versions = {one.version for one in kept}
        return {version: needed_by(version, known, applied, retained, configurations) for version in versions}
    finally:
        journal.close()
