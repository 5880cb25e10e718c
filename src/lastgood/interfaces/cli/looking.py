"""The verbs that only look: status, history, diff, report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from lastgood.interfaces.cli import render_changes, render_history, render_html, render_report, render_status
from lastgood.interfaces.cli.asking import look
from lastgood.interfaces.cli.client import NoAnswer
from lastgood.interfaces.cli.session import Session

LOOK_AGAIN_S = 0.5
Form = Literal["text", "markdown", "html"]


def status(
    session: Session,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl-C.")] = False,
) -> int:
    """What is live, what is under way, and what every proxy has."""
    if watch:
        return _watch(session)
    found = look_at_status(session)
    session.give(found, render_status.status(found))
    return 0


def look_at_status(session: Session) -> dict[str, Any]:
    """The status; ``controller`` is None where it is the journal that tells it."""
    return look(
        session, lambda controller: controller.get("/v1/status"), lambda verbs: {**verbs.status(), "controller": None}
    )


def _watch(session: Session) -> int:
    """Redraws on a terminal; in a pipe it prints anew what has changed (with ``--json`` one object a line)."""
    shown: list[str] = []
    try:
        while True:
            try:
                found = look_at_status(session)
                lines = [json.dumps(found)] if session.as_json else render_status.status(found)
            except NoAnswer as error:
                lines = [f"warning: {error.what}"]
            if lines != shown:
                shown = lines
                _draw(session, lines)
            time.sleep(LOOK_AGAIN_S)
    except KeyboardInterrupt:
        return 0


def _draw(session: Session, lines: list[str]) -> None:
    if session.as_json:
        print(*lines, file=session.around.stdout, flush=True)
        return
    if session.around.stdout.isatty():
        session.around.stdout.write("\x1b[H\x1b[2J")
    session.say([*lines, ""])


def history(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many of each.")] = 20,
) -> int:
    """Releases and their verdicts, deployments and their outcomes. The newest comes first."""
    found = look(
        session, lambda controller: controller.get("/v1/history", limit=limit), lambda verbs: verbs.history(limit)
    )
    session.give(found, render_history.history(found))
    return 0


def diff(
    session: Session,
    old: Annotated[str, typer.Argument(metavar="OLD", help="r12, a tag, `live` or a commit.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="r13, a tag, `live` or a commit.")],
) -> int:
    """What changes from one release or commit to another. What loosens security comes first."""
    found = look(
        session, lambda controller: controller.get("/v1/diff", old=old, new=new), lambda verbs: verbs.diff(old, new)
    )
    session.give(found, render_changes.changes(found["changes"]))
    return 0


def report(
    session: Session,
    deployment: Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="d31, as `lastgood history` shows it.")],
    form: Annotated[
        Form, typer.Option("--format", help="`markdown` for a ticket; `html` is one page with plots, without scripts.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file instead.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as `--format markdown`.")] = False,
) -> int:
    """Everything about one deployment: changes, times, the proof and what its release was judged by."""
    path = f"/v1/deployments/{quote(deployment, safe='')}"
    found = look(session, lambda controller: controller.get(path), lambda verbs: verbs.report(deployment))
    form = "markdown" if markdown else form
    verdict = None if form == "text" or session.as_json else _verdict_on(session, found["asked"])
    if form == "html":
        lines = render_html.page(found, verdict)
    elif form == "markdown":
        lines = render_report.markdown(found, verdict)
    else:
        lines = render_report.text(found)
    session.give_to(output, found, lines)
    return 0


def _verdict_on(session: Session, release: int) -> dict[str, Any]:
    name = f"r{release}"
    return look(session, lambda controller: controller.get(f"/v1/verdict/{name}"), lambda verbs: verbs.verdict(name))
