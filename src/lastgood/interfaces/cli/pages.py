"""``lastgood schema`` and ``lastgood doctor``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from lastgood.interfaces.cli.render_doctor import checks
from lastgood.interfaces.cli.session import Session


def schema(
    session: Session,
    plug: Annotated[bool, typer.Option("--plug", help="Of a file in lastgood.d/ instead of lastgood.yaml.")] = False,
) -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from lastgood.config.schema import json_schema

    print(json.dumps(json_schema(plug=plug), indent=2), file=session.around.stdout)
    return 0


def doctor(
    session: Session,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Put a damaged journal aside and go on with what verifies of it.")
    ] = False,
) -> int:
    """Examine everything the way back depends on. The exit code is 1 when something fails."""
    if salvage:
        return _salvage(session)
    from lastgood.interfaces.doctor import examine

    found = examine(session.places)
    session.give({"checks": [asdict(check) for check in found]}, checks(found))
    return 1 if any(check.level == "fail" for check in found) else 0


def _salvage(session: Session) -> int:
    from datetime import UTC, datetime

    from lastgood.effects.journal.salvage import salvage
    from lastgood.errors import Conflict
    from lastgood.interfaces.lifecycle import is_up

    if is_up(session.places):
        raise Conflict("a controller is running", next="lastgood stop (the proxies serve on), then again")
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    saved = salvage(session.places.journal, f"damaged-{now}")
    told = [
        f"{saved.events} events and {saved.releases} releases verify and were carried over",
        f"the damaged journal is {saved.aside}",
        "next: lastgood up, then lastgood status; the proxies served on all the while",
    ]
    session.give({"events": saved.events, "releases": saved.releases, "aside": str(saved.aside)}, told)
    return 0
