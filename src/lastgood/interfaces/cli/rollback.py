"""``lastgood rollback``: with the controller, or without one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lastgood.errors import LastgoodError, Refused
from lastgood.interfaces.cli.asking import IsBack, controller_for_emergency
from lastgood.interfaces.cli.client import Controller
from lastgood.interfaces.cli.following import finish
from lastgood.interfaces.cli.options import AcceptLoss, Basis, KeepSchema, NoWait, Only, Why, WithSchema
from lastgood.interfaces.cli.planning import plan_back, show_way_back
from lastgood.interfaces.cli.render_plan import begun_back, meant
from lastgood.interfaces.cli.session import Session, without_nothing

Body = dict[str, Any]


def rollback(
    session: Session,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="`previous`, r12, r12~1, a tag or a commit; nothing: the last known good."
        ),
    ] = None,
    only: Only = None,
    why: Why = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would do, as `lastgood plan rollback`.")
    ] = False,
    accept_loosening: Annotated[
        bool, typer.Option("--accept-loosening", help="Go back even where that loosens security.")
    ] = False,
    with_schema: WithSchema = False,
    keep_schema: KeepSchema = False,
    accept_loss: AcceptLoss = False,
    accept_blocked: Annotated[
        bool, typer.Option("--accept-blocked", help="Try it even where something could not be started.")
    ] = False,
    no_revert_commit: Annotated[
        bool,
        typer.Option("--no-revert-commit", help="Leave Git alone; a branch that is followed still has the bad commit."),
    ] = False,
    basis: Basis = None,
    no_wait: NoWait = False,
) -> int:
    """Go back to the last release known to be good, or to TARGET.

    Requests first, then Git; before them only a schema that TARGET cannot live with.
    Works without a controller, without the repository and without Git.
    """
    body = without_nothing(
        {
            "target": target,
            "only": only,
            "by": session.person,
            "why": why,
            "accept_loosening": accept_loosening,
            "with_schema": with_schema or None,
            "keep_schema": keep_schema or None,
            "accept_loss": accept_loss or None,
            "accept_blocked": accept_blocked or None,
            "revert_commit": not no_revert_commit,
            "basis": basis,
        }
    )
    if dry_run:
        return show_way_back(session, body)
    controller = controller_for_emergency(session)
    try:
        return _go(session, controller, body, no_wait)
    except Refused as refusal:
        if not session.can_ask:
            raise _naming_the_flag(refusal, session, body) from None
        return _go(session, controller, _answered(session, body, refusal), no_wait)


def _go(session: Session, controller: Controller | None, body: Body, no_wait: bool) -> int:
    if controller is None:
        from lastgood.interfaces.cli.rolling_back_alone import roll_back_alone

        try:
            return roll_back_alone(session, body)
        except IsBack:
            session.note("the controller is back: it rolls back")
            controller = session.controller
    answer = controller.post("/v1/rollback", body)
    session.say(begun_back(answer))
    if (why := answer.get("no_revert_commit")) is not None:
        session.say([f"Git is left alone: {why}"])
    return finish(session, answer, goal="ended", no_wait=no_wait)


# --- questions ---------------------------------------------------------------------------------------------------


def _answered(session: Session, body: Body, refusal: Refused) -> Body:
    """The request with a person's answer to the question it was refused with; raises the refusal on a no."""
    try:
        plan = plan_back(session, body)
    except Refused:
        return _offer_previous(session, body, refusal)
    if not plan["loosens"] or body["accept_loosening"]:
        raise refusal
    session.say([f"going back to r{plan['to']} loosens security:", *(f"  LOOSENS  {text}" for text in plan["loosens"])])
    if not session.ask("Accept that and go back?"):
        raise refusal
    return {**body, "target": f"r{meant(plan)}", "accept_loosening": True, "basis": plan["basis"]}


def _offer_previous(session: Session, body: Body, refusal: Refused) -> Body:
    """Nothing is known good: offer the release that was live before, named as what it is."""
    if body.get("target") is not None or body.get("only") is not None:
        raise refusal
    try:
        plan = plan_back(session, {**body, "target": "previous"})
    except LastgoodError:
        raise refusal from None
    if plan.get("verdict") == "bad":  # then the refusal names where to go instead
        raise refusal
    session.say([f"{refusal.what}", *(f"  LOOSENS  {text}" for text in plan["loosens"])])
    loosens = " which loosens security," if plan["loosens"] else ""
    if not session.ask(f"Go back to r{plan['to']},{loosens} without proof that it is good?"):
        raise refusal
    accepted = body["accept_loosening"] or bool(plan["loosens"])
    return {**body, "target": f"r{plan['to']}", "accept_loosening": accepted, "basis": plan["basis"]}


def _naming_the_flag(refusal: Refused, session: Session, body: Body) -> Refused:
    """Nobody is there to ask: the same refusal, with the flag that answers the question."""
    if body["accept_loosening"]:
        return refusal
    try:
        plan = plan_back(session, body)
    except LastgoodError:
        return refusal
    if not plan["loosens"]:
        return refusal
    only = f" --only {plan['only']['part']}" if plan.get("only") else ""
    return Refused(refusal.what, where=refusal.where, next=f"lastgood rollback r{meant(plan)}{only} --accept-loosening")
