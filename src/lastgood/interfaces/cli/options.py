"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lastgood.errors import UsageError

Why = Annotated[str, typer.Option("-m", "--why", metavar="WHY", help="The reason, for the history.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once; the deployment goes on by itself.")]
Basis = Annotated[
    str | None,
    typer.Option("--basis", metavar="D", help="Refuse if the system is not the one that `lastgood plan` saw."),
]
AcceptLoss = Annotated[
    bool, typer.Option("--accept-loss", help="Migrations may lose the rows that are named in the refusal.")
]
AcceptBlocked = Annotated[
    bool, typer.Option("--accept-blocked", help="Deploy even where the way back is blocked (`lastgood rehearse`).")
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="PART", help="Take one part back (service:catalog) and leave the rest as it is."),
]
WithSchema = Annotated[
    bool,
    typer.Option("--with-schema", help="Take the schemas back too, last; else only what TARGET cannot live with."),
]
KeepSchema = Annotated[
    bool, typer.Option("--keep-schema", help="Leave the schemas, even one that TARGET cannot live with.")
]
Goal = Literal["converged", "good", "ended"]


def seconds(text: str | None, option: str) -> float | None:
    """``10m`` as seconds. Raises ``UsageError``."""
    if text is None:
        return None
    from lastgood.config.values import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", next=f"{option} 10m") from None
    if not 0 < found <= 30 * 86_400:
        raise UsageError(f"{option}: more than nothing and at most 30d, not {text}", next=f"{option} 10m")
    return found


def percentage(text: str) -> float:
    """``10`` or ``10%`` as a share of 100. Raises ``UsageError``."""
    try:
        found = float(text.strip().removesuffix("%"))
    except ValueError:
        found = -1.0
    if not 0 < found <= 100:
        raise UsageError(f"--percent: a number above 0 and at most 100 is needed, not {text}", next="--percent 10")
    return found
