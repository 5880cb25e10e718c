"""``lastgood verdict``: what is known of a release, and why."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from lastgood.errors import Damaged
from lastgood.interfaces.cli import render_verdict
from lastgood.interfaces.cli.asking import look
from lastgood.interfaces.cli.session import Session


def verdict(
    session: Session,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="r12, a tag, or a commit.")] = "live",
) -> int:
    """The verdict of a release, judged again from what was measured. Ends with 8 if its record was changed."""
    path = f"/v1/verdict/{quote(release, safe='')}"
    found = look(session, lambda controller: controller.get(path), lambda verbs: verbs.verdict(release))
    session.give(found, render_verdict.verdict(found))
    measured = found["measured"]
    broken = measured is not None and measured["replay"] in ("differs", "damaged")
    return Damaged.exit_code if broken else 0
