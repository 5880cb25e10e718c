"""``lastgood rehearse``: the way back, proven before a release takes requests."""

from __future__ import annotations

from typing import Annotated

import typer

from lastgood.errors import Refused
from lastgood.interfaces.cli import render_rehearsal
from lastgood.interfaces.cli.asking import only_controller
from lastgood.interfaces.cli.client import REHEARSE_S
from lastgood.interfaces.cli.session import Session


def rehearse(
    session: Session,
    revision: Annotated[
        str, typer.Argument(metavar="[REVISION]", help="A branch, tag or commit; `live`: from what serves now.")
    ] = "HEAD",
    quick: Annotated[
        bool, typer.Option("--quick", help="Start nothing; look only at what every deployment looks at.")
    ] = False,
) -> int:
    """Prove the way back from REVISION before it takes requests; nothing is moved.

    Its builds and schemas are proven, the release to go back to is shown to a proxy without traffic, and versions of it
    that do not run are started aside and ended again. The exit code is 4 when the way back is blocked.
    """
    body = {"revision": revision, "quick": quick}
    answer = only_controller(session, lambda controller: controller.post("/v1/rehearse", body, REHEARSE_S))
    found = answer["way_back"]
    if found is None:
        live = answer["live"]
        why = "nothing is live yet, so that there is nothing to go back to: lastgood deploy"
        if live is not None:
            why = f"r{live} is live and is the same; its own way back: lastgood rehearse live"
        session.give(answer, [f"nothing to rehearse: {why}"])
        return 0
    session.give(answer, render_rehearsal.way_back(found))
    return 0 if found["ready"] else Refused.exit_code
