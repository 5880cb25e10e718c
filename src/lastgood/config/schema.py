"""JSON Schema of the configuration, for editors: the same rules as the model's, without the checks across sections."""

from __future__ import annotations

from typing import Any

from lastgood.config.model import Root
from lastgood.config.values import format_duration

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


def json_schema(*, plug: bool = False) -> dict[str, Any]:
    """The schema of ``lastgood.yaml``, or with ``plug`` of a file in ``lastgood.d/``, which names no project."""
    schema = Root.model_json_schema(by_alias=True)
    for definition in (schema, *schema.get("$defs", {}).values()):
        _open_headings(definition)
        for field in definition.get("properties", {}).values():
            _mend(field)
    if plug:
        schema.pop("required", None)
    return {"$schema": SCHEMA_URL, **schema, "title": "Lastgood configuration"}


def _mend(field: dict[str, Any]) -> None:
    """What pydantic leaves open: names that fit no pattern, and defaults in seconds where a text is written."""
    if "patternProperties" in field:
        field.setdefault("additionalProperties", False)
    if isinstance(field.get("default"), float):
        seconds_or_percent = field["default"]
        is_duration = field.get("examples") == ["2s"]
        field["default"] = format_duration(seconds_or_percent) if is_duration else f"{seconds_or_percent:g}%"
    for branch in field.get("anyOf", ()):
        _mend(branch)


def _open_headings(definition: dict[str, Any]) -> None:
    """A heading with nothing below it is ``null`` in YAML and means the same as none."""
    if definition.get("title") not in ("Root", "Gateway"):
        return
    for name, field in definition.get("properties", {}).items():
        if name not in ("project", "release_header"):
            described = {key: field.pop(key) for key in ("title", "description", "default") if key in field}
            definition["properties"][name] = {**described, "anyOf": [field, {"type": "null"}]}
