"""What pydantic found wrong -> problems in the user's words, each at the line of the node that is wrong.

A secret that was written where a reference belongs must not come back in a message, so values are shown only where
nobody would put one.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from lastgood.config.values import PATTERN_WORDS, SECRET_PATTERN, SQLITE_PATTERN
from lastgood.config.yaml_tree import Place, line_at, shorten
from lastgood.errors import Problem

_HIDDEN = ("clients", "tls", "url", "environment", "headers", "set", "add", "body", "query", "command")
"""Keys below which a value is never shown."""
_TYPE_WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}
Path = tuple[str | int, ...]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """``did you mean `listeners`?`` for the known word that looks most like this one, if any does."""
    by_fold = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower()[:64], by_fold, n=1, cutoff=0.6)
    return f"did you mean `{by_fold[found[0]]}`?" if found else None


def unknown_key(file: str, line: int, where: str, key: str, known: Iterable[str]) -> Problem:
    """A key nobody knows, with the nearest one that is known, or all of them."""
    names = list(known)
    hint = nearest(key, names) or ("known are " + ", ".join(sorted(names)) if names else None)
    return Problem(file, line, f"{where}unknown key `{shorten(key)}`", hint)


def say(
    errors: Iterable[ErrorDetails], section: type[BaseModel], raw: Any, *, file: str, place: Place, subject: str
) -> list[Problem]:
    """Problems of one section; ``raw`` is what was validated and ``subject`` how its user calls it (``route x``)."""
    by_path: dict[Path, list[tuple[ErrorDetails, bool]]] = {}
    for error in errors:
        path, is_key = _real_path(error, raw)
        by_path.setdefault(path, []).append((error, is_key))
    by_path = {path: found for path, found in by_path.items() if not _other_branch(path, found, by_path)}
    problems = []
    for path, found in by_path.items():
        line = line_at(place, path)
        named = path[:-1] if found[0][1] else path
        where = f"{subject}: " + (f"{_dotted(named)}: " if named else "")
        for error, _ in found:
            if error["type"] == "extra_forbidden":
                parent = f"{subject}: " + (f"{_dotted(path[:-1])}: " if path[:-1] else "")
                problems.append(unknown_key(file, line, parent, str(path[-1]), _keys_at(section, path[:-1])))
            elif error["type"] == "missing":
                problems.append(Problem(file, line, f"{where}`{error['loc'][-1]}` is missing"))
            elif error["type"] == "value_error" and " is needed, not " not in error["msg"]:
                problems.append(Problem(file, line, f"{where}{_own_words(error)}"))
        needs = [(error, is_key) for error, is_key in found if _is_need(error)]
        if needs:
            problems.append(_need(needs, path, raw, file, line, where))
    return problems


def _real_path(error: ErrorDetails, raw: Any) -> tuple[Path, bool]:
    """The path in the user's file: without pydantic's names for the branches of a union. And: is it about the key?"""
    path: list[str | int] = []
    at: Any = raw
    loc = error["loc"]
    for index, part in enumerate(loc):
        if error["type"] == "missing" and index == len(loc) - 1:
            break
        if part in at if isinstance(at, dict) else isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
            path.append(part)
    return tuple(path), loc[-1:] == ("[key]",)


def _other_branch(path: Path, found: list[tuple[ErrorDetails, bool]], all_found: Mapping[Path, Any]) -> bool:
    """Whether this only follows from a mistake further inside.

    A union says "no list" of a mapping in which another branch has found the mistake, and a list whose one item is
    wrong counts as too short.
    """
    only_types = all(error["type"] in _TYPE_WORDS or error["type"] == "too_short" for error, _ in found)
    return only_types and any(len(other) > len(path) and other[: len(path)] == path for other in all_found)


def _is_need(error: ErrorDetails) -> bool:
    if error["type"] == "value_error":
        return " is needed, not " in error["msg"]
    return error["type"] not in ("extra_forbidden", "missing")


def _own_words(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def _need(found: list[tuple[ErrorDetails, bool]], path: Path, raw: Any, file: str, line: int, where: str) -> Problem:
    """One sentence for all that a value could have been."""
    wanted = list(dict.fromkeys(_wanted(error) for error, _ in found))
    value = _raw_at(raw, path)  # pydantic shows what became of it on the way
    is_key = found[0][1]
    hint = None
    for error, _ in found:
        if error["type"] == "literal_error" and isinstance(value, str):
            hint = hint or nearest(value, _literals(error))
    shown = f", not {shorten(repr(path[-1]))}" if is_key and path else _shown(found, path, value)
    return Problem(file, line, f"{where}{' or '.join(wanted)} is needed{shown}", hint)


def _raw_at(raw: Any, path: Path) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _shown(found: list[tuple[ErrorDetails, bool]], path: Path, value: Any) -> str:
    secret = any(error.get("ctx", {}).get("pattern") in (SECRET_PATTERN, SQLITE_PATTERN) for error, _ in found)
    if secret or any(part in _HIDDEN for part in path):
        return " (what is there is not shown)"
    if value is None:
        return ", here is nothing"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, list | tuple):
        return ", not a list" if value else ", not an empty list"
    if isinstance(value, dict):
        return ", not a mapping" if value else ", not an empty mapping"
    return f", not {shorten(repr(value))}"


def _literals(error: ErrorDetails) -> list[str]:
    expected = error.get("ctx", {}).get("expected", "")
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _wanted(error: ErrorDetails) -> str:
    """What would have been right."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _TYPE_WORDS:
        return _TYPE_WORDS[kind]
    match kind:
        case "value_error":
            return _own_words(error).partition(" is needed, not ")[0]
        case "literal_error":
            words = _literals(error)
            return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
        case "string_pattern_mismatch":
            return PATTERN_WORDS.get(context["pattern"], f"text of the form {context['pattern']}")
        case "too_short":
            return f"at least {context['min_length']} of them"
        case "string_too_long":
            return f"text of at most {context['max_length']} characters"
        case "greater_than_equal":
            return f"a number of at least {context['ge']}"
        case "less_than_equal":
            return f"a number of at most {context['le']}"
    return "something else"


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{shorten(part)}"
    return text.lstrip(".")


def _keys_at(section: type[BaseModel], path: Path) -> list[str]:
    """The keys that are known at a path below a section."""
    here: list[Any] = [section]
    for part in path:
        after: list[Any] = []
        for kind in here:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                after += [
                    field.annotation for name, field in kind.model_fields.items() if (field.alias or name) == part
                ]
            else:
                after += get_args(kind)[-1:] if get_origin(kind) is dict else get_args(kind)[:1]
        here = [leaf for kind in after for leaf in _leaves(kind)]
    models = [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [field.alias or name for kind in models for name, field in kind.model_fields.items()]


def _leaves(kind: Any) -> list[Any]:
    """The branches of a union, without ``None`` and without annotations."""
    if hasattr(kind, "__metadata__"):
        return _leaves(get_args(kind)[0])
    if isinstance(kind, types.UnionType) or str(get_origin(kind)) == "typing.Union":
        return [leaf for branch in get_args(kind) for leaf in _leaves(branch)]
    return [kind]
