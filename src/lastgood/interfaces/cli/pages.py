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


def doctor(session: Session) -> int:
    """Examine everything the way back depends on. The exit code is 1 when something fails."""
    from lastgood.interfaces.doctor import examine

    found = examine(session.places)
    session.give({"checks": [asdict(check) for check in found]}, checks(found))
    return 1 if any(check.level == "fail" for check in found) else 0
