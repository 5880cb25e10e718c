"""``lastgood plan`` and ``lastgood check``: everything about a move, before anything moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood.interfaces.cli import render_changes, render_plan
from lastgood.interfaces.cli.client import DRAFT_S, NotRunning
from lastgood.interfaces.cli.options import KeepSchema, Only, WithSchema
from lastgood.interfaces.cli.session import Session, without_nothing
from lastgood.interfaces.cli.text import counted
from lastgood.interfaces.cli.verb import group, verb

if TYPE_CHECKING:
    from lastgood.operations.rollback import RollbackAsk
    from lastgood.operations.verbs import Verbs

Revision = Annotated[str, typer.Argument(metavar="[REVISION]", help="A branch, tag or commit.")]
plans = group("Show what a deployment or a rollback would do; nothing changes.")


@verb(plans, "deploy")
def plan_deploy(session: Session, revision: Revision = "HEAD") -> int:
    """What deploying REVISION would change."""
    try:
        found = session.controller.post("/v1/plan/deploy", {"revision": revision}, DRAFT_S)
    except NotRunning:
        from lastgood.interfaces.alone import with_verbs_read_only

        async def action(verbs: Verbs) -> dict[str, Any]:
            return await verbs.plan_deploy(revision)

        found = with_verbs_read_only(session.places, action)
    session.give(found, render_plan.way_forward(found))
    return 0


@verb(plans, "rollback")
def plan_rollback(
    session: Session,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="`previous`, r12, r12~1, a tag or a commit; nothing: the last known good."
        ),
    ] = None,
    only: Only = None,
    with_schema: WithSchema = False,
    keep_schema: KeepSchema = False,
) -> int:
    """What `lastgood rollback` would do: REVERTS, KEEPS, LOOSENS, LOSES, BLOCKED."""
    schemas = {"with_schema": with_schema or None, "keep_schema": keep_schema or None}
    return show_way_back(session, without_nothing({"target": target, "only": only, **schemas}))


def show_way_back(session: Session, body: dict[str, Any]) -> int:
    """Print the plan of a rollback."""
    found = plan_back(session, body)
    session.give(found, render_plan.way_back(found))
    return 0


def plan_back(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """The plan of a rollback, from the controller or from the journal."""
    try:
        return session.controller.post("/v1/plan/rollback", body)
    except NotRunning:
        from lastgood.interfaces.alone import with_verbs_read_only

        async def action(verbs: Verbs) -> dict[str, Any]:
            return await verbs.plan_rollback(rollback_ask(body))

        return with_verbs_read_only(session.places, action)


def rollback_ask(body: dict[str, Any]) -> RollbackAsk:
    """The body of the HTTP API as the operation's request."""
    from lastgood.operations.rollback import RollbackAsk

    return RollbackAsk(**{"by": "cli", **body})


def check(session: Session, revision: Revision = "HEAD") -> int:
    """Check a commit's configuration. Every problem is told, with its file and line."""
    try:
        found = session.controller.post("/v1/check", {"revision": revision}, DRAFT_S)
    except NotRunning:
        found = _check_here(session, revision)
    said = f"{counted(found['routes'], 'route')}, no problem"
    session.give(found, [*render_changes.revision_notes(found), f"{render_changes.revision(found)}: {said}"])
    return 0


def _check_here(session: Session, revision: str) -> dict[str, Any]:
    """Without a controller, and before there ever was one: only the repository is needed."""
    from lastgood.bootstrap import make_drafting
    from lastgood.errors import Unavailable
    from lastgood.operations.reporting import drafted

    drafting, why = make_drafting(session.places)
    if drafting is None:
        raise Unavailable(why, where=str(session.places.root), next="lastgood init, or git init, makes a repository")
    return drafted(drafting.draft_and_look(revision))
