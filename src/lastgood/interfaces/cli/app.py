"""The commands, put together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from lastgood.interfaces.cli import (
    deploy,
    drill,
    function,
    life,
    logs,
    looking,
    pages,
    planning,
    rehearse,
    rollback,
    secret,
    steering,
    verdict,
)
from lastgood.interfaces.cli.session import Surroundings
from lastgood.interfaces.cli.verb import AsJson, StateFolder, group, verb

_COMMANDS = (
    ("init", life.init),
    ("up", life.up),
    ("stop", life.stop),
    ("down", life.down),
    ("status", looking.status),
    ("check", planning.check),
    ("deploy", deploy.deploy),
    ("rehearse", rehearse.rehearse),
    ("rollback", rollback.rollback),
    ("drill", drill.drill),
    ("history", looking.history),
    ("diff", looking.diff),
    ("report", looking.report),
    ("verdict", verdict.verdict),
    ("confirm", steering.confirm),
    ("promote", steering.promote),
    ("pause", steering.pause),
    ("resume", steering.resume),
    ("abort", steering.abort),
    ("retry", steering.retry),
    ("mark", steering.mark),
    ("tag", steering.tag),
    ("logs", logs.logs),
    ("schema", pages.schema),
    ("doctor", pages.doctor),
    ("demo", life.demo),
)


def make_app() -> typer.Typer:
    """The whole command line."""
    app = group("Bring a running system back to its last known good state: gateway, code and schema, in one move.")
    app.callback()(_everywhere)
    for name, command in _COMMANDS:
        verb(app, name)(command)
    app.add_typer(planning.plans, name="plan")
    app.add_typer(secret.secrets, name="secret")
    app.add_typer(function.app, name="function")
    if find_spec("lastgood.interfaces.cli.db") is not None:
        app.add_typer(import_module("lastgood.interfaces.cli.db").app, name="db")
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"lastgood {version('lastgood')}")
        raise typer.Exit


def _everywhere(
    ctx: typer.Context,
    as_json: AsJson = False,
    state: StateFolder = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    around: Surroundings = ctx.obj
    around.as_json = around.as_json or as_json
    around.state = state


def run(arguments: Sequence[str], around: Surroundings) -> int:
    """Run one command line; returns its exit code and raises nothing."""
    from lastgood.interfaces.cli.ending import ending

    with ending(arguments, around) as end:
        command = typer.main.get_command(make_app())
        end.code = command.main(list(arguments) or ["--help"], prog_name="lastgood", standalone_mode=False, obj=around)
    return end.code or 0


def main() -> int:
    """``lastgood``."""
    return run(sys.argv[1:], Surroundings.real())
