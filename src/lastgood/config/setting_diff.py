"""The settings of two sections that differ, each by its dotted name, as a person writes them: ``drain 10s -> 1m``."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from lastgood.config.values import format_duration

_HIDDEN = frozenset(("environment", "command"))
_LONGEST = 80
_Setting = tuple[str, Any]
_NOTHING: _Setting = ("default", None)


def setting_changes(old: BaseModel, new: BaseModel, keys: Container[str]) -> Iterator[str]:
    """``health.path default -> /up`` for everything that differs below these keys; what may hold a secret by name."""
    before, after = (dict(_below(section, "", keys)) for section in (old, new))
    for path in sorted(before.keys() | after.keys()):
        one, two = before.get(path, _NOTHING), after.get(path, _NOTHING)
        if one == two:
            continue
        hidden = not _HIDDEN.isdisjoint(path.split("."))
        yield f"{path} is different" if hidden else f"{path} {_short(one[0])} -> {_short(two[0])}"


def _below(section: BaseModel, prefix: str, keys: Container[str] | None = None) -> Iterator[tuple[str, _Setting]]:
    """Every setting that is not the default, with its text; a section in which none is said counts as one."""
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), prefix + (field.alias or name)
        if value == field.get_default() or (keys is not None and key not in keys):
            continue
        if isinstance(value, BaseModel):
            inside = list(_below(value, f"{key}."))
            yield from inside or [(key, ("as by default", value))]
        else:
            yield key, (as_written(value, seconds=name.endswith("_s")), value)


def as_written(value: Any, *, seconds: bool = False) -> str:
    """A value as it stands in the file, without quotes; ``seconds``: a number of them."""
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{key}: {text}" for key, (text, _) in _below(value, "")) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return ", ".join(map(as_written, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format_duration(value) if seconds else f"{value:g}"
    return "none" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
