"""``lastgood verdict``: what is known of a release, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from lastgood.errors import Damaged, Refused
from lastgood.interfaces.cli import plots, render_verdict
from lastgood.interfaces.cli.asking import look
from lastgood.interfaces.cli.session import Session


def verdict(
    session: Session,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="r12, a tag, or a commit.")] = "live",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the evidence into this SVG file, too.")
    ] = None,
) -> int:
    """The verdict of a release, judged again from what was measured. Ends with 8 if its record was changed."""
    path = f"/v1/verdict/{quote(release, safe='')}"
    found = look(session, lambda controller: controller.get(path), lambda verbs: verbs.verdict(release))
    session.give(found, render_verdict.verdict(found))
    measured = found["measured"]
    if plot is not None:
        _draw(session, plot, measured)
    broken = measured is not None and measured["replay"] in ("differs", "damaged")
    return Damaged.exit_code if broken else 0


def _draw(session: Session, path: Path, measured: Mapping[str, Any] | None) -> None:
    drawn = plots.of_verdict(measured) if measured is not None else []
    if not drawn:
        raise Refused("there is nothing to draw: too little was measured", next="lastgood verdict")
    session.write(path, plots.alone(drawn[0]))
