"""How a function becomes a command: every one has ``--json`` and ``--state``, and gets a session."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from lastgood.interfaces.cli.session import Session, Surroundings

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StateFolder = Annotated[
    str | None,
    typer.Option(
        "--state", metavar="DIR", help="Where the project's state lies, if not in .lastgood (LASTGOOD_STATE)."
    ),
]
F = TypeVar("F", bound=Callable[..., int | None])


class ReaderGone(Exception):
    """Nobody reads our output any more. Not an ``OSError``: Typer would end the process with another exit code."""


def group(help_text: str) -> typer.Typer:
    """A set of commands; plain help without markup, because rich would take longer to load than everything else."""
    return typer.Typer(help=help_text, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


def verb(app: typer.Typer, name: str) -> Callable[[F], F]:
    """Register ``function(session, ...) -> exit code or None``; its docstring is the help."""

    def register(function: F) -> F:
        hints = get_type_hints(function, include_extras=True)
        taken = list(inspect.signature(function).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(one.replace(annotation=hints[one.name], kind=keyword) for one in taken),
            inspect.Parameter("as_json", keyword, default=False, annotation=AsJson),
            inspect.Parameter("state", keyword, default=None, annotation=StateFolder),
        ]

        def command(ctx: typer.Context, *, as_json: bool, state: str | None, **given: Any) -> int:
            around: Surroundings = ctx.obj
            around.as_json = around.as_json or as_json
            try:
                return function(Session(around, around.as_json, state or around.state), **given) or 0
            except BrokenPipeError as error:
                raise ReaderGone from error

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__doc__ = inspect.getdoc(function)
        app.command(name, short_help=_first_sentence(function.__doc__ or ""))(command)
        return function

    return register


def _first_sentence(doc: str) -> str:
    """For the list of commands."""
    return " ".join(doc.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
