"""The reference of the configuration, written from the model: ``docs/reference/configuration.md`` is its output.

python -c "from lastgood.config.reference import reference; print(reference(), end='')"
"""

from __future__ import annotations

from typing import Any

from lastgood.config import bake, model
from lastgood.config.schema import json_schema
from lastgood.config.values import (
    ENDPOINT_PATTERN,
    HEADER_PATTERN,
    LIMIT_KEY_PATTERN,
    NAME_PATTERN,
    SECRET_PATTERN,
    SLASH_PATTERN,
    SQLITE_PATTERN,
    URL_PATTERN,
)

_SECTIONS: tuple[tuple[str, type[model.Section]], ...] = (
    ("The file", model.Root),
    ("gateway", model.Gateway),
    ("gateway.listeners.NAME", model.Listener),
    ("gateway.listeners.NAME.tls", model.Tls),
    ("gateway.policies.NAME", model.Policy),
    ("jwt", model.Jwt),
    ("api_key", model.ApiKey),
    ("ip", model.Ip),
    ("cors", model.Cors),
    ("rate_limit", model.RateLimit),
    ("gateway.routes", model.Route),
    ("match", model.Match),
    ("match.headers.NAME, match.query.NAME", model.TextMatch),
    ("to (a list)", model.Weighted),
    ("redirect", model.Redirect),
    ("respond", model.Respond),
    ("rewrite", model.Rewrite),
    ("headers", model.Headers),
    ("headers.request, headers.response", model.HeaderChanges),
    ("retries", model.Retries),
    ("upstreams.NAME", model.Upstream),
    ("retry_budget", model.RetryBudget),
    ("health", model.Health),
    ("services.NAME", model.Service),
    ("services.NAME.health", model.InstanceHealth),
    ("functions.NAME", model.Function),
    ("strategy", model.Strategy),
    ("strategy.blue_green", model.BlueGreen),
    ("strategy.rolling", model.Rolling),
    ("gateway.preview", model.Preview),
    ("strategy.canary.by", model.Sign),
    ("strategy.canary", model.Canary),
    ("smoke", model.SmokeCheck),
    ("hooks", model.Hooks),
    ("hooks.NAME", model.Hook),
    ("databases.NAME", model.Database),
    ("bake", model.Bake),
    ("bake.objectives", bake.Objective),
    ("errors", bake.ErrorLimit),
    ("latency", bake.LatencyLimit),
    ("bake.checks", bake.Check),
    ("prometheus", bake.PrometheusQuery),
)
_PATTERNS = {
    NAME_PATTERN: "name",
    SECRET_PATTERN: "secret reference",
    HEADER_PATTERN: "header name",
    SLASH_PATTERN: "path",
    ENDPOINT_PATTERN: "endpoint",
    SQLITE_PATTERN: "`sqlite:///PATH`",
    URL_PATTERN: "address",
    LIMIT_KEY_PATTERN: "`all`, `client_ip`, `api_client`, `header:NAME`",
}
_HEAD = """\
# Configuration

`lastgood.yaml` lies at the root of a Git repository; the files `lastgood.d/*.yaml` are read as if they stood in it. A
name that is given twice is refused. Written from the model; do not edit.

Values: durations have units (`250ms`, `2s`, `1h30m`), shares a percent sign (`5%`). Secrets are references:
`secret:NAME` (see `lastgood secret set`), `env:NAME` or `file:/PATH`; `repo:PATH` is a file of the repository and for
public material only. Plain words mean what YAML 1.2 says: `on` and `no` are text, only `true` and `false` are not.

Order: of the routes that match a request the one with the more specific host wins (`a.example`, `*.example`, `*`),
then the more specific path (exact, with parameters, the longest `/*`), then the one with more conditions (methods,
headers, query). Two routes that only their names would tell apart are refused.
"""


def reference() -> str:
    """Markdown: a table of keys for each section."""
    definitions: dict[str, Any] = json_schema()
    parts = [_HEAD]
    for heading, section in _SECTIONS:
        name = section.__name__
        schema = definitions if name == "Root" else definitions["$defs"][name]
        lines = [
            f"\n## {heading}\n",
            section.__doc__ or "",
            "",
            "| key | value | default | meaning |",
            "|---|---|---|---|",
        ]
        required = schema.get("required", ())
        for key, field in schema["properties"].items():
            default = "needed" if key in required else _default(field)
            meaning = field.get("description", "").replace("|", "\\|")
            lines.append(f"| `{key}` | {_value(field)} | {default} | {meaning} |")
        parts.append("\n".join(line.rstrip() for line in lines) + "\n")
    return "".join(parts).replace("``", "`")


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if default in (None, [], {}, ""):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    return "" if isinstance(default, dict) else f"`{default}`"


def _value(field: dict[str, Any]) -> str:
    """The kind of value in a few words."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "anyOf" in field:
        kinds = [_value(branch) for branch in field["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if field.get("enum"):
        return ", ".join(f"`{item}`" for item in field["enum"])
    if field.get("examples") == ["2s"]:
        return "duration"
    if field.get("examples") == ["5%"]:
        return "percent"
    match field.get("type"):
        case "array":
            return f"list of {_value(field.get('items', {}))}"
        case "object":
            inner = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
            return f"name: {_value(inner)}" if isinstance(inner, dict) else "mapping"
        case "integer":
            return "number" + _bounds(field)
        case "boolean":
            return "true or false"
    return _PATTERNS.get(field.get("pattern", ""), "text")


def _bounds(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    return f" from {low}" if low is not None else ""
