"""``lastgood deploy``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lastgood.interfaces.cli import render_changes, render_rehearsal
from lastgood.interfaces.cli.asking import only_controller
from lastgood.interfaces.cli.client import DRAFT_S
from lastgood.interfaces.cli.following import finish
from lastgood.interfaces.cli.options import AcceptBlocked, AcceptLoss, Basis, Goal, NoWait, Why, percentage, seconds
from lastgood.interfaces.cli.session import Session, without_nothing


def deploy(
    session: Session,
    revision: Annotated[str, typer.Argument(metavar="[REVISION]", help="A branch, tag or commit.")] = "HEAD",
    confirm_within: Annotated[
        str | None,
        typer.Option(
            "--confirm-within", metavar="TIME", help="Go back by itself unless `lastgood confirm` comes in time (10m)."
        ),
    ] = None,
    percent: Annotated[
        str,
        typer.Option("--percent", metavar="N", help="Hold at this share of the requests; `promote` moves the rest."),
    ] = "100",
    why: Why = "",
    force: Annotated[
        bool, typer.Option("--force", help="Deploy content that is held because it made a release bad; needs -m.")
    ] = False,
    accept_loss: AcceptLoss = False,
    accept_blocked: AcceptBlocked = False,
    basis: Basis = None,
    wait: Annotated[
        Goal,
        typer.Option(
            "--wait", help="Until the proxies have it, until it counts as good, or until nothing is left to do."
        ),
    ] = "converged",
    no_wait: NoWait = False,
) -> int:
    """Deploy a commit; if it fails, the requests go back by themselves.

    It is checked, tried on a proxy without traffic, loaded beside what runs, gets the requests, and has to prove
    itself. The exit code is 6 when it went back.
    """
    body = without_nothing(
        {
            "revision": revision,
            "by": session.person,
            "why": why,
            "percent": percentage(percent),
            "confirm_within_s": seconds(confirm_within, "--confirm-within"),
            "force": force,
            "accept_loss": accept_loss or None,
            "accept_blocked": accept_blocked or None,
            "basis": basis,
        }
    )
    answer = only_controller(session, lambda controller: controller.post("/v1/deploy", body, DRAFT_S))
    session.say(begun(answer))
    if answer["deployment"] is None:
        session.give(answer, nothing_to_do(answer, armed=confirm_within is not None))
        return 0
    return finish(session, answer, goal=wait, no_wait=no_wait)


def nothing_to_do(answer: Mapping[str, Any], *, armed: bool) -> list[str]:
    """Nothing moves; what is no part of what serves (``bake``) waits for the next release that does."""
    lines = [
        f"r{answer['release']} is live already and serves exactly this: nothing to do",
        "what else may differ (bake) counts from the next release that changes what is served",
    ]
    return [*lines, "no dead-man switch was armed: there is nothing to confirm"] if armed else lines


def begun(answer: Mapping[str, Any]) -> list[str]:
    """What is being deployed, and what that changes."""
    lines = render_changes.revision_notes(answer)
    if answer["deployment"] is None:
        return lines
    lines.append(f"d{answer['deployment']}: deploying r{answer['release']}, {render_changes.revision(answer)}")
    lines += render_changes.ends(answer)
    if answer.get("same_as") is not None:
        lines.append(f"its content is that of r{answer['same_as']}, which is good: it needs no trial")
    nothing = "" if answer.get("restarts") else "  what it serves is not different"
    lines += [*render_changes.changes(answer["changes"], nothing), *render_changes.restarts(answer)]
    if answer.get("forecast"):
        lines.append(answer["forecast"])
    back = answer.get("way_back")
    return lines if back is None else [*lines, *render_rehearsal.way_back(back)]
