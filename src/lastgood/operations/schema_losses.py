"""What a way back does to schemas: what going down would lose, counted before anything moves; what stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from lastgood.config.change import Change
from lastgood.errors import LastgoodError, Refused
from lastgood.operations.code_changes import is_migration
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import Schemas
from lastgood.operations.rollback import Planned
from lastgood.release.observed import Observed, kind_of
from lastgood.release.plan import Plan
from lastgood.release.strategies.schema import is_ahead


def may_go_down(observed: Observed) -> bool:
    """Whether a plan could take a schema down at all: what was not seen is not known to be ahead of anything."""
    return any(kind_of(part) == "database" for part, _ in observed.facts)


def schema_losses(planned: Planned, configurations: Configurations, schemas: Schemas | None) -> tuple[str, ...]:
    """What the plan's way down of every schema would lose, in words; blocks.

    Raises ``Refused`` where a schema cannot go down, or where nobody can say what that would lose: nothing was
    changed, and the same rollback that leaves its schemas is open.
    """
    found: list[str] = []
    for step in planned.plan.steps:
        if step.verb != "migrate_down" or schemas is None:
            continue
        name = step.part.partition(":")[2]
        database = configurations.of(planned.target.number).databases[name]
        keep = keeps(configurations, name, planned.target.number, planned.source.number)
        try:
            found += [
                f"{loss} in database {name}" for loss in schemas.losses(database.url, str(step.args["to"]), keep=keep)
            ]
        except LastgoodError as error:
            raise Refused(
                f"the schema of {name} cannot go down: {error.what}",
                where=error.where,
                next=f"lastgood rollback r{planned.target.number}{leaving_them(planned.plan)} moves the requests and"
                " leaves the schema",
            ) from None
    return tuple(found)


def losses_or_why_not(
    planned: Planned, configurations: Configurations, schemas: Schemas | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The losses, and why a schema that must go down cannot: a plan shows it as BLOCKED instead of having none."""
    try:
        return schema_losses(planned, configurations, schemas), ()
    except Refused as error:
        if not must_go_down(planned.plan):
            raise
        return (), (f"{error.what}: {error.next}",)


def keeps(configurations: Configurations, name: str, *releases: int) -> bool:
    """Whether one of these releases says that what is dropped in a database is kept."""
    known = [configurations.of(number).databases.get(name) for number in releases]
    return any(database is not None and database.keep_dropped for database in known)


def must_go_down(plan: Plan) -> tuple[str, ...]:
    """The steps that take a schema down because the target cannot live with it, as a person reads them."""
    return tuple(step.shows for step in plan.steps if step.id.startswith("lower:"))


def leaving_them(plan: Plan) -> str:
    """The option that leaves the schemas where they are, where it needs one."""
    return " --keep-schema" if must_go_down(plan) else ""


def refuse_losses(losses: Sequence[str], plan: Plan, *, accept_loss: bool) -> None:
    """Raise ``Refused`` with what would be lost."""
    if losses and not accept_loss and (why := must_go_down(plan)):
        raise Refused(
            f"it has to {'; '.join(why)}; that would lose {', '.join(losses)}; nothing was changed",
            next="lastgood rollback --accept-loss loses these rows; --keep-schema goes back to code that fails on them",
        )
    if losses and not accept_loss:
        raise Refused(
            f"going back with the schema would lose {', '.join(losses)}; nothing was changed",
            next="lastgood rollback alone leaves the schema; --with-schema --accept-loss loses these rows",
        )


def reverted(changes: Sequence[Change], plan: Plan) -> tuple[Change, ...]:
    """Of what differs that which the way back takes back: a migration only where its schema moves."""
    moved = {step.part for step in plan.steps if step.verb in ("migrate_down", "migrate_up")}
    return tuple(one for one in changes if not (is_migration(one) and one.part not in moved))


def stays_ahead(planned: Planned, observed: Observed) -> tuple[str, ...]:
    """Schemas that stay where they are although the release that is gone back to needs less."""
    moved = {step.part for step in planned.plan.steps if step.verb == "migrate_down"}
    return tuple(
        f"the schema of {name} at {observed.value(f'database:{name}', 'schema')} (--with-schema takes it to"
        f" {version or 'empty'})"
        for name, version in sorted(planned.target.schemas.items())
        if f"database:{name}" not in moved and is_ahead(observed, name, version)
    )
