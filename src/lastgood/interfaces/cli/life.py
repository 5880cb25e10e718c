"""Beginning, starting, stopping: init, up, stop, down, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lastgood.errors import Refused
from lastgood.interfaces.cli import render_status
from lastgood.interfaces.cli.looking import look_at_status
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.starting import begin_project


def init(
    session: Session,
    folder: Annotated[
        str, typer.Argument(metavar="[DIR]", help="The root of the repository; made if it is not there.")
    ] = ".",
    project: Annotated[
        str | None, typer.Option("--project", metavar="NAME", help="Default: the folder's name.")
    ] = None,
) -> int:
    """Write a first lastgood.yaml. Where there is no Git repository, one is made."""
    made = begin_project((session.around.folder / folder).resolve(), project)
    went = "" if Path(made["folder"]) == session.around.folder.resolve() else f"cd {made['folder']} && "
    commit = (
        [] if made["committed"] else ["not committed: git add lastgood.yaml && git commit -m 'Begin with Lastgood'"]
    )
    session.give(
        made,
        [
            f"{made['folder']}/lastgood.yaml is written{' and committed' if made['committed'] else ''}",
            *commit,
            "next, after a look at that file:",
            f"  {went}lastgood up --detach",
            "  lastgood deploy",
        ],
    )
    return 0


def up(
    session: Session,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once it is up; it runs on in the background.")
    ] = False,
    follow: Annotated[
        str | None,
        typer.Option(
            "--follow", metavar="BRANCH", help="Deploy new commits of this branch (main, origin/main) by itself."
        ),
    ] = None,
    proxies: Annotated[int, typer.Option("--proxies", min=1, max=64, help="How many proxies serve.")] = 1,
) -> int:
    """Start the controller and the gateway's proxies. The proxies go on when the controller stops."""
    from lastgood.interfaces import lifecycle

    places = session.places
    try:
        lifecycle.up(places, proxies=proxies, follow=follow)
        found = look_at_status(session)
        session.give(found, ["up", *render_status.status(found)])
        if not detach:
            session.note("Ctrl-C stops the controller, not the proxies")
            lifecycle.stay(places)
    except KeyboardInterrupt:
        if detach:
            raise
        lifecycle.stop(places)
    return 0


def stop(session: Session) -> int:
    """Stop the controller only: the proxies serve on. Nothing watches them until the next `lastgood up`."""
    from lastgood.interfaces import lifecycle

    lifecycle.stop(session.places)
    session.give({"stopped": "controller"}, ["the controller has stopped; the proxies were left running"])
    return 0


def down(
    session: Session,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Stop everything: no request is answered any more."""
    from lastgood.interfaces import lifecycle

    places = session.places
    if not yes:
        if not session.can_ask:
            raise Refused(
                "it would stop the proxies, and every request is refused from then on", next="lastgood down --yes"
            )
        if not session.ask(f"Stop the gateway of {places.root}? Every request is refused from then on."):
            raise Refused("nothing was stopped", next="lastgood stop ends the controller only")
    lifecycle.down(places)
    again = lifecycle.how_it_was_started(places, session.state)
    session.give({"stopped": "everything", "again": again}, [f"everything has stopped; as it was again: {again}"])
    return 0


def demo(session: Session) -> int:
    """See it at work, in a folder of its own."""
    from lastgood.interfaces.demo import main

    return main()
