"""``lastgood db``: the schema of one database, by hand. The release engine calls the same functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lastgood.errors import Failed, UsageError
from lastgood.interfaces.cli.db_care import add_care
from lastgood.interfaces.cli.db_text import (
    log_lines,
    outcome_lines,
    outcome_value,
    plan_lines,
    plan_value,
    proof_lines,
    proof_value,
    standing_lines,
    standing_value,
)
from lastgood.interfaces.cli.db_where import Opened, folder_of
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.verb import group, verb

if TYPE_CHECKING:
    from lastgood.database.migration import History
    from lastgood.effects.databases.moving import Consent
    from lastgood.effects.databases.session import Limits

app = group("The schema of a database: what is applied, forward, back, and proof of the way back.")

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A database of the configuration.")]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="sqlite:///PATH, postgresql://..., or env:VARIABLE that has it."),
]
Folder = Annotated[str | None, typer.Option("--migrations", metavar="DIR", help="The folder of the migrations.")]
To = Annotated[str | None, typer.Option("--to", metavar="VERSION", help="Up to this version (default: the newest).")]
BackTo = Annotated[str, typer.Option("--to", metavar="VERSION", help="Undo all that is newer; 0 undoes everything.")]
Loss = Annotated[bool, typer.Option("--accept-loss", help="Rows that are named in the refusal may go.")]
Drift = Annotated[bool, typer.Option("--accept-drift", help="Go on although the schema was changed by hand.")]
OutOfOrder = Annotated[
    bool, typer.Option("--out-of-order", help="Apply what stands before migrations already applied.")
]
Keep = Annotated[
    bool | None,
    typer.Option("--keep-dropped/--drop", help="Put aside what is dropped (default: what the configuration says)."),
]
Use = Annotated[
    str | None,
    typer.Option("--use", metavar="stored|checkout", help="Which scripts count where a file was edited since."),
]
Settle = Annotated[
    str | None,
    typer.Option("--settle", metavar="done|again", help="Whether the statement of a killed run took effect."),
]
LockTimeout = Annotated[float, typer.Option("--lock-timeout", metavar="SECONDS", help="For one lock, before a retry.")]
RetryFor = Annotated[float, typer.Option("--retry-for", metavar="SECONDS", help="For locks in all.")]
StatementTimeout = Annotated[float, typer.Option("--statement-timeout", metavar="SECONDS", help="For one statement.")]
Rows = Annotated[
    str, typer.Option("--rows", metavar="live|generated|none", help="What stands in the tables meanwhile.")
]


@verb(app, "status")
def status(session: Session, name: Name = None, url: Url = None, migrations: Folder = None) -> int:
    """Which migrations are applied, pending, ahead of this checkout, edited or half done. Exit code 6: not healthy."""
    from lastgood.effects.databases.runner import status as look

    with Opened(session, name, url, migrations) as (database, history):
        standing = look(database, history)
    session.give(standing_value(standing), standing_lines(standing))
    return 0 if standing.healthy else Failed.exit_code


@verb(app, "plan")
def plan(
    session: Session,
    name: Name = None,
    url: Url = None,
    migrations: Folder = None,
    to: To = None,
    back: Annotated[bool, typer.Option("--down", help="The way back to --to, not the way up.")] = False,
    use: Use = None,
    keep: Keep = None,
) -> None:
    """What up (or down) would run and lock, what it takes away, and how many rows stand there. Changes nothing."""
    from lastgood.effects.databases.lint import remarks
    from lastgood.effects.databases.runner import preview

    direction: Literal["up", "down"] = "down" if back else "up"
    if back and to is None:
        raise UsageError("--down needs a version to go back to", next="say --to VERSION; 0 undoes everything")
    opened = Opened(session, name, url, migrations, keep=keep)
    with opened as (database, history):
        found = preview(database, history, direction, to, replace(_consent(use=use), keep=opened.keep))
        kind = database.dialect
    said = {move.migration.version: remarks(move.script, kind) for move in found.moves}
    session.give(plan_value(found, kind, said), plan_lines(found, kind, said))


@verb(app, "up")
def up(
    session: Session,
    name: Name = None,
    url: Url = None,
    migrations: Folder = None,
    to: To = None,
    accept_loss: Loss = False,
    accept_drift: Drift = False,
    out_of_order: OutOfOrder = False,
    settle: Settle = None,
    keep: Keep = None,
    create: Annotated[bool, typer.Option("--create", help="Make a SQLite file that is not there.")] = False,
    lock_timeout: LockTimeout = 0.5,
    retry_for: RetryFor = 60.0,
    statement_timeout: StatementTimeout = 900.0,
) -> None:
    """Apply what is pending; a migration that an earlier run left half done is finished first."""
    from lastgood.effects.databases.runner import up as go

    limits = _limits(lock_timeout, retry_for, statement_timeout)
    consent = _consent(accept_loss, accept_drift, out_of_order, None, settle)
    opened = Opened(session, name, url, migrations, limits, create, keep)
    with opened as (database, history):
        consent = replace(consent, keep=opened.keep)
        outcome = go(database, _needed(history), to=to, consent=consent, report=lambda line: session.say([line]))
    session.give(outcome_value(outcome), outcome_lines(outcome))


@verb(app, "down")
def down(
    session: Session,
    to: BackTo,
    name: Name = None,
    url: Url = None,
    migrations: Folder = None,
    accept_loss: Loss = False,
    accept_drift: Drift = False,
    use: Use = None,
    settle: Settle = None,
    keep: Keep = None,
    lock_timeout: LockTimeout = 0.5,
    retry_for: RetryFor = 60.0,
    statement_timeout: StatementTimeout = 900.0,
) -> int:
    """Undo all that is newer than --to, by the scripts stored when it went up. Exit code 6: it is not what it was."""
    from lastgood.effects.databases.runner import down as go

    limits = _limits(lock_timeout, retry_for, statement_timeout)
    consent = _consent(accept_loss, accept_drift, False, use, settle)
    opened = Opened(session, name, url, migrations, limits, keep=keep)
    with opened as (database, history):
        consent = replace(consent, keep=opened.keep)
        outcome = go(database, history, to=to, consent=consent, report=lambda line: session.say([line]))
    session.give(outcome_value(outcome), outcome_lines(outcome))
    return 0 if outcome.came_back else Failed.exit_code


@verb(app, "verify")
def verify(session: Session, name: Name = None, url: Url = None) -> int:
    """Whether the schema is what the last migration left. Exit code 6: somebody changed it by hand."""
    from lastgood.effects.databases.runner import verify as look

    with Opened(session, name, url, None) as (database, _):
        found = look(database)
    if found is None:
        session.give({"likeness": None, "differences": []}, ["there is no image of the schema to compare with"])
        return 0
    differences = [str(difference) for difference in found.differences]
    session.give(
        {"likeness": found.likeness, "differences": differences}, [f"the schema is {found.likeness}", *differences]
    )
    return Failed.exit_code if found.likeness == "different" else 0


@verb(app, "prove")
def prove(
    session: Session,
    name: Name = None,
    url: Url = None,
    migrations: Folder = None,
    to: To = None,
    rows: Rows = "live",
    keep: Keep = None,
    previous: Annotated[
        bool, typer.Option("--previous", help="Try the live release's services on the new schema too.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--all", help="The whole history, each migration alone, from nothing on.")
    ] = False,
) -> int:
    """Rehearse the way back on a scratch copy: up, down, compare, up again. Exit code 6: it does not come back."""
    from lastgood.effects.databases.proving import prove_history, prove_pending
    from lastgood.interfaces.cli.db_previous import condemned, tried_on

    chosen = _one_of("--rows", rows, ("live", "generated", "none"))
    opened = Opened(session, name, url, migrations, keep=keep)
    with opened as (database, history):
        try_on = tried_on(session, opened) if previous else lambda copy: ()
        if whole:
            proofs = prove_history(database, _needed(history), rows="none" if chosen == "none" else "generated")
        else:
            found = prove_pending(database, _needed(history), to=to, rows=chosen, keep=opened.keep, try_on=try_on)  # type: ignore[arg-type]
            proofs = (condemned(found),) if found else ()
    session.give({"proofs": [proof_value(proof) for proof in proofs]}, proof_lines(proofs))
    return 0 if all(proof.holds for proof in proofs) else Failed.exit_code


@verb(app, "history")
def history(session: Session, name: Name = None, url: Url = None) -> None:
    """Everything that was done to the schema, oldest first."""
    from lastgood.effects.databases.books import Books

    with Opened(session, name, url, None) as (database, _):
        found = Books(database).log()
    session.give({"log": found}, log_lines(found))


@verb(app, "adopt")
def adopt(
    session: Session,
    name: Name = None,
    url: Url = None,
    migrations: Folder = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="The version it has, without a state table.")
    ] = None,
) -> None:
    """Take over a database from dbmate, golang-migrate, goose, Alembic, Diesel, Sqitch or sql-migrate, as it is."""
    from lastgood.effects.databases.adopting import adopt as take

    with Opened(session, name, url, migrations) as (database, checkout):
        found = take(database, _needed(checkout), to=to)
    newest = found.versions[-1] if found.versions else "0"
    line = f"{len(found.versions)} migrations taken over from {found.tool}; the schema is at {newest}"
    session.give({"tool": found.tool, "versions": list(found.versions)}, [line])


@verb(app, "new")
def new(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="What it does, in a few words.")],
    migrations: Folder = None,
    name: Annotated[str | None, typer.Option("--for", metavar="NAME", help="A database of the configuration.")] = None,
    dialect: Annotated[str, typer.Option("--dialect", metavar="sqlite|postgresql", help="Which SQL it is.")] = "sqlite",
) -> None:
    """Make the files of the next migration, numbered and laid out as the others."""
    from datetime import UTC, datetime

    from lastgood.effects.databases.folder import read_folder
    from lastgood.effects.databases.scaffolding import new_migration

    folder = session.around.folder / migrations if migrations is not None else folder_of(session, name)
    folder.mkdir(parents=True, exist_ok=True)
    kind = _one_of("--dialect", dialect, ("sqlite", "postgresql"))
    known = read_folder(folder, "sqlite" if kind == "sqlite" else "postgresql")
    files = new_migration(folder, known, what, datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    session.give({"files": [str(file) for file in files]}, [str(file) for file in files])


def _needed(found: History | None) -> History:
    if found is None:
        raise UsageError("which migrations?", next="say --migrations DIR")
    return found


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"{option} {value} is unknown", next=f"say one of {', '.join(allowed)}")
    return value


def _limits(lock: float, retry: float, statement: float) -> Limits:
    """Seconds that each database can count; 0 would be no limit to one of them, and no time at all to the other."""
    from lastgood.effects.databases.session import Limits

    given = (("--lock-timeout", lock, 0.001), ("--retry-for", retry, 0.0), ("--statement-timeout", statement, 0.001))
    for option, value, least in given:
        if not least <= value <= 1_000_000:
            raise UsageError(f"{option} {value:g} is no time to wait", next=f"say seconds from {least:g} to 1000000")
    return Limits(lock, retry, statement)


def _consent(
    loss: bool = False,
    drift: bool = False,
    out_of_order: bool = False,
    use: str | None = None,
    settle: str | None = None,
) -> Consent:
    from lastgood.effects.databases.moving import Consent

    given: dict[str, Any] = {"loss": loss, "drift": drift, "out_of_order": out_of_order}
    if use is not None:
        given["use"] = _one_of("--use", use, ("stored", "checkout"))
    if settle is not None:
        given["settle"] = _one_of("--settle", settle, ("done", "again"))
    return Consent(**given)


add_care(app)
