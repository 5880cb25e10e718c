"""The commands, put together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from lastgood.interfaces.cli.session import Surroundings
from lastgood.interfaces.cli.verb import AsJson, StateFolder, group, verb

_COMMANDS = {
    "init": ("life", "init"),
    "up": ("life", "up"),
    "stop": ("life", "stop"),
    "down": ("life", "down"),
    "status": ("looking", "status"),
    "check": ("planning", "check"),
    "deploy": ("deploy", "deploy"),
    "rehearse": ("rehearse", "rehearse"),
    "rollback": ("rollback", "rollback"),
    "drill": ("drill", "drill"),
    "history": ("looking", "history"),
    "diff": ("looking", "diff"),
    "report": ("looking", "report"),
    "verdict": ("verdict", "verdict"),
    "confirm": ("steering", "confirm"),
    "promote": ("steering", "promote"),
    "pause": ("steering", "pause"),
    "resume": ("steering", "resume"),
    "abort": ("steering", "abort"),
    "retry": ("steering", "retry"),
    "mark": ("steering", "mark"),
    "tag": ("steering", "tag"),
    "logs": ("logs", "logs"),
    "schema": ("pages", "schema"),
    "doctor": ("pages", "doctor"),
    "demo": ("life", "demo"),
}
_GROUPS = {
    "plan": ("planning", "plans"),
    "secret": ("secret", "secrets"),
    "function": ("function", "app"),
    "db": ("db", "app"),
}
"""By name: the module of this folder, loaded only when it is needed, and what it calls it."""


def make_app(only: str | None = None) -> typer.Typer:
    """The whole command line, or (for a start in milliseconds) as much of it as one command needs."""
    app = group("Bring a running system back to its last known good state: gateway, code and schema, in one move.")
    app.callback()(_everywhere)
    for name, place in _COMMANDS.items():
        if only in (None, name):
            verb(app, name)(_loaded(*place))
    for name, place in _GROUPS.items():
        if only in (None, name):
            app.add_typer(_loaded(*place), name=name)
    return app


def _loaded(module: str, what: str) -> Any:
    return getattr(import_module(f"lastgood.interfaces.cli.{module}"), what)


def _only(arguments: Sequence[str]) -> str | None:
    """The command that is meant, where that is plain to see; else the whole command line decides, and explains."""
    first = arguments[0] if arguments else ""
    return first if first in _COMMANDS or first in _GROUPS else None


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
        command = typer.main.get_command(make_app(_only(arguments)))
        end.code = command.main(list(arguments) or ["--help"], prog_name="lastgood", standalone_mode=False, obj=around)
    return end.code or 0


def main() -> int:
    """``lastgood``."""
    return run(sys.argv[1:], Surroundings.real())
