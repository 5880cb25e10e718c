"""Pages of the reference that are written from the code: the commands and the exit codes.

python -c "from lastgood.interfaces.cli.reference import commands; print(commands(), end='')"
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from lastgood import errors
from lastgood.interfaces.cli.app import make_app
from lastgood.interfaces.cli.ending import BROKEN_PIPE, DEFECT, INTERRUPTED

_EVERYWHERE = ("--json", "--state", "--help", "--version")


def commands() -> str:
    """``docs/reference/commands.md``."""
    root = typer.main.get_command(make_app())
    lines = [
        "# Commands",
        "",
        "Written from the code. " + (root.help or ""),
        "",
        "Every command takes, before or after its name:",
        "",
        *(line for line in _options(root, everywhere=True) if "--version" not in line),
        "",
        "`lastgood --version` prints the version; `--help` works everywhere.",
        "",
        "Progress and results go to standard output, warnings and errors to standard error. With `--json` the only",
        'output is one JSON value, of an error too: `{"error": {"code", "exit_code", "what", "where", "next"}}`.',
        "NO_COLOR switches colours off; in a pipe there are none. A question is asked on a terminal only: elsewhere",
        "the command refuses and names the option that answers it. [Exit codes](exit-codes.md).",
    ]
    for path, command in sorted(_walk(root, "lastgood")):
        lines += ["", f"## {path}", "", *_one(path, command)]
    return "\n".join(lines) + "\n"


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from _walk(below, f"{path} {name}")
        else:
            yield f"{path} {name}", below


def _one(path: str, command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join([path, *(argument.metavar or argument.name.upper() for argument in arguments), "[OPTIONS]"])
    yield f"`{usage}`"
    yield ""
    yield from inspect.cleandoc(command.help or "").splitlines()
    told = [f"- `{one.metavar or one.name.upper()}`: {one.help}" for one in arguments if one.help]
    told += _options(command, everywhere=False)
    if told:
        yield ""
        yield from told


def _options(command: Any, *, everywhere: bool) -> list[str]:
    lines = []
    for param in command.params:
        if param.param_type_name == "argument" or (param.opts[-1] in _EVERYWHERE) is not everywhere:
            continue
        value = "" if param.is_flag else f" {param.metavar or _value(param)}"
        default = f" Default: `{param.default}`." if param.default not in (None, False, "") else ""
        lines.append(f"- `{', '.join(param.opts)}{value}`: {param.help}{default}")
    return lines


def _value(param: Any) -> str:
    choices = getattr(getattr(param, "type_descriptor", None) or getattr(param, "type", None), "choices", None)
    return "|".join(map(str, choices)) if choices else str(param.name).upper()


def exit_codes() -> str:
    """``docs/reference/exit-codes.md``."""
    rows = [("0", "", "Done. Also: there was nothing to do.")]
    rows += [(str(kind.exit_code), f"`{kind.code}`", _first_line(kind)) for kind in _kinds()]
    rows += [
        (str(DEFECT), "`defect`", "A defect of lastgood. Its traceback is in the log: `lastgood logs cli`."),
        (
            str(INTERRUPTED),
            "",
            "Ctrl-C while waiting. The deployment goes on by itself: `lastgood abort` takes it back.",
        ),
        (str(BROKEN_PIPE), "", "Whoever read the output stopped reading."),
    ]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "Written from the code. A number never changes its meaning; `code` is what `--json` and the HTTP API say.",
            "",
            "| exit code | code | meaning |",
            "|---|---|---|",
            *(f"| {number} | {code} | {meaning} |" for number, code, meaning in rows),
            "",
        ]
    )


def _kinds() -> list[type[errors.LastgoodError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LastgoodError)]
    return sorted(found, key=lambda kind: (kind.exit_code, kind.code))


def _first_line(kind: type[errors.LastgoodError]) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]
