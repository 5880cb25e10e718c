"""``lastgood drill``: the way back for practice."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from lastgood.errors import Failed, Refused
from lastgood.interfaces.cli import render_drill, render_rehearsal
from lastgood.interfaces.cli.asking import only_controller
from lastgood.interfaces.cli.client import REHEARSE_S
from lastgood.interfaces.cli.options import Why
from lastgood.interfaces.cli.session import Session

LOOK_S = 0.1
INTERRUPTED = 130


def drill(
    session: Session,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what the way back needs, as `lastgood rehearse live --quick`.")
    ] = False,
    why: Why = "",
    accept_loosening: Annotated[
        bool, typer.Option("--accept-loosening", help="Go even where the release to go back to loosens security.")
    ] = False,
) -> int:
    """Go back to the last release known to be good and forward again, for real, and record the times.

    For a quiet moment: users are served by the older release meanwhile. Nothing is marked bad, held or reverted, and
    schemas stay. The exit code is 6 when it did not come back.
    """
    body = {"revision": "live", "quick": True}
    rehearsed = only_controller(session, lambda controller: controller.post("/v1/rehearse", body, REHEARSE_S))
    found = rehearsed["way_back"]
    if found is not None:
        session.say(render_rehearsal.way_back(found))
    if dry_run:
        session.give(rehearsed, ["nothing was moved"])
        return 0 if found is None or found["ready"] else Refused.exit_code
    if not yes:
        _ask(session, found)
    ask = {"by": session.person, "why": why, "accept_loosening": accept_loosening}
    begun = session.controller.post("/v1/drill", ask, REHEARSE_S)
    session.say([f"d{begun['deployment']}: drilling r{begun['from']} -> r{begun['release']} -> r{begun['from']}"])
    try:
        return _conclude(session, _followed(session, begun))
    except KeyboardInterrupt:
        session.note(f"detached: it goes forward to r{begun['from']} by itself; lastgood status")
        return INTERRUPTED


def _ask(session: Session, found: dict[str, Any] | None) -> None:
    if not session.can_ask:
        raise Refused("users would be served by an older release for a moment", next="lastgood drill --yes")
    where = f"r{found['to']}" if found is not None else "the last known good release"
    if not session.ask(f"Serve everybody by {where} for a moment, and then go forward again?"):
        raise Refused("nothing was moved", next="lastgood drill --dry-run")


def _followed(session: Session, begun: dict[str, Any]) -> dict[str, Any]:
    """Until it is over, for good or bad; a line for each half that is."""
    said: set[str] = set()
    while True:
        found: dict[str, Any] = session.controller.get("/v1/status")["drill"]
        for way, name, release in (("back", "went back to", found["to"]), ("forth", "went forward to", found["of"])):
            leg = found[way]
            if leg is not None and leg["took_s"] is not None and way not in said:
                said.add(way)
                session.say([render_drill.leg(leg, name, release)])
        mine = found["back"]["deployment"] == begun["deployment"]
        if not mine or found["standing"] in ("done", "halted", "superseded"):
            return found
        time.sleep(LOOK_S)


def _conclude(session: Session, found: dict[str, Any]) -> int:
    if found["standing"] != "done":
        raise Failed(f"the drill did not come back: {render_drill.told(found)}", next="lastgood status")
    session.give({"drill": found}, [f"r{found['of']} is live again, as before; {render_drill.told(found)}"])
    return 0
