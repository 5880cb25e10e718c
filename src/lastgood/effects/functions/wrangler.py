"""What ``wrangler.toml``, ``wrangler.json`` or ``wrangler.jsonc`` says, as far as we can do it. Nothing is dropped
silently: what would change what the code sees is refused by name, the rest is warned of.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lastgood.config.crons import of_worker
from lastgood.effects.functions.worker_gate import PROMISES, SETTINGS
from lastgood.errors import Refused

TOKEN = "LASTGOOD_CRON"  # noqa: S105 the name of a variable
"""The variable that holds what a request of ours proves itself with: see ``effects/functions/crons.py``."""
FILES = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
_TAKEN = {"name", "main", "compatibility_date", "compatibility_flags", "vars", "minify", "define", "triggers"}
_ELSEWHERE = {
    "$schema": "",
    "routes": "routes stand in lastgood.yaml",
    "route": "routes stand in lastgood.yaml",
    "workers_dev": "it is reached by the routes of lastgood.yaml",
    "preview_urls": "lastgood function invoke asks any version",
    "account_id": "there is no account",
    "observability": "lastgood logs shows what it prints",
    "logpush": "lastgood logs shows what it prints",
    "limits": "workerd bounds no CPU time; `timeout` in lastgood.yaml bounds an answer",
    "placement": "it runs on this machine",
    "dev": "there is no development server",
    "send_metrics": "nothing is sent",
    "upload_source_maps": "nothing is uploaded",
    "keep_vars": "variables belong to the version",
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Project:
    """A Workers project. ``warnings`` say what of it has no meaning here."""

    main: str
    compatibility_date: str
    flags: tuple[str, ...]
    variables: Mapping[str, Any]
    minify: bool
    define: Mapping[str, str]
    warnings: tuple[str, ...]
    crons: Mapping[str, str] = field(default_factory=dict)
    """Schedules as they are written, and as a crontab would have them; in UTC."""


def read_project(file: str, text: str) -> Project:
    """The project that a file describes. Raises ``Refused`` with everything that is wrong with it."""
    try:
        raw = tomllib.loads(text) if file.endswith(".toml") else json.loads(_plain(text))
    except ValueError as error:
        raise Refused(f"it cannot be read: {error}", where=file, next="mend it") from None
    if not isinstance(raw, dict):
        raise Refused("it is not a mapping", where=file, next="mend it")
    wrong = [f"`{key}` is not provided here" for key in sorted(raw.keys() - _TAKEN - _ELSEWHERE.keys())]
    main, date, flags = raw.get("main"), raw.get("compatibility_date"), raw.get("compatibility_flags", [])
    variables, define = raw.get("vars", {}), raw.get("define", {})
    if not isinstance(main, str) or main.startswith("/") or ".." in main.split("/"):
        wrong.append("`main` has to name a file of the project")
    if not (isinstance(date, str) and _DATE.fullmatch(date)):
        wrong.append("`compatibility_date` has to be a date such as 2026-07-01")
    if not (isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)):
        wrong.append("`compatibility_flags` has to be a list of texts")
    for key, value in (("vars", variables), ("define", define)):
        if not isinstance(value, dict):
            wrong.append(f"`{key}` has to be a mapping")
    if isinstance(variables, dict) and not all(
        isinstance(key, str) and _is_json(value) for key, value in variables.items()
    ):
        wrong.append("`vars` have to be texts, numbers, truth values, and lists and mappings of those: no dates")
    if isinstance(define, dict) and not all(isinstance(value, str) for value in define.values()):
        wrong.append("what `define` puts in a name's place has to be a text")
    if not isinstance(raw.get("minify", False), bool):
        wrong.append("`minify` has to be true or false")
    crons = _crons(raw.get("triggers", {}), wrong)
    if wrong:
        raise Refused("\n".join(wrong), where=file, next="take it out or mend it; lastgood.yaml has routes and limits")
    warnings = tuple(
        f"{file}: `{key}` has no meaning here: {why}" for key, why in _ELSEWHERE.items() if key in raw and why
    )
    minify = bool(raw.get("minify"))
    return Project(str(main), str(date), tuple(flags), variables, minify, define, warnings, crons)


def remarks(files: Mapping[str, Callable[[], bytes]]) -> tuple[str, ...]:
    """What is warned of in the project of these files; nothing where it cannot be read, which its build refuses."""
    file = next((name for name in FILES if name in files), None)
    try:
        return read_project(file, files[file]().decode()).warnings if file is not None else ()
    except (Refused, ValueError):
        return ()


def _crons(triggers: Any, wrong: list[str]) -> dict[str, str]:
    said = triggers.get("crons", []) if isinstance(triggers, dict) and not triggers.keys() - {"crons"} else None
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        wrong.append("`triggers` has to be a mapping with `crons`, a list of schedules")
        return {}
    found = {}
    for text in said:
        try:
            found[text] = of_worker(text)
        except ValueError as error:
            wrong.append(f"`triggers.crons`: {error}")
    return found


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _plain(text: str) -> str:
    """JSON with comments and trailing commas as JSON; texts are left alone."""
    without = _TOKEN.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)
    return _TRAILING.sub(lambda found: found[1] or "", without)


def config_text(project: Project, environment: tuple[str, ...], module: str, *, limited: bool = False) -> str:
    """The configuration of workerd; values of ``environment`` come from its environment when it starts.

    ``limited``: the gate is around it, and is told its limits.
    """
    bindings = [_binding(name, value) for name, value in sorted(project.variables.items()) if name not in environment]
    told = (*environment, *([TOKEN] if project.crons else []), *([SETTINGS] if limited else []))
    bindings += [f"(name = {_text(name)}, fromEnvironment = {_text(name)})" for name in told]
    flag, default_from = PROMISES
    more = [flag] if limited and project.compatibility_date < default_from and flag not in project.flags else []
    flags = ", ".join(_text(one) for one in (*project.flags, *more))
    return f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "index.js", esModule = embed {_text(module)})],
      compatibilityDate = {_text(project.compatibility_date)},
      compatibilityFlags = [{flags}],
      bindings = [{", ".join(bindings)}],
    )),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
"""


def _binding(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"(name = {_text(name)}, text = {_text(value)})"
    return f"(name = {_text(name)}, json = {_text(json.dumps(value))})"


def _text(value: str) -> str:
    """A text of Cap'n Proto's: escapes as in C."""
    out = "".join(
        f"\\{mark}" if mark in '"\\' else mark if mark >= " " and mark != "\x7f" else f"\\x{ord(mark):02x}"
        for mark in value
    )
    return f'"{out}"'
