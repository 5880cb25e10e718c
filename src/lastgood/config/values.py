"""The single values a user may write: durations, shares, names, networks, references to secrets.

Each carries its JSON Schema, so that an editor knows the same rules.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_MS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_LONGEST_S = 3650 * 86_400.0
DURATION_WORDS = "a duration such as 2s, 250ms or 1h30m"
PERCENT_WORDS = "a percentage such as 5%"
NETWORK_WORDS = "an address or network such as 10.0.0.0/8"

NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
SECRET_PATTERN = r"^(secret:[A-Za-z0-9_.-]+|env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"  # noqa: S105 - a form, not a secret
HEADER_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
SQLITE_PATTERN = r"^sqlite:///.+$"
SLASH_PATTERN = r"^/"
ENDPOINT_PATTERN = r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$|^unix:/.+$"
URL_PATTERN = r"^https?://[^\s@]+$"
LABEL_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
LIMIT_KEY_PATTERN = r"^(all|client_ip|api_client|header:[A-Za-z0-9!#$%&'*+.^_`|~-]+)$"

PATTERN_WORDS: Mapping[str, str] = {
    NAME_PATTERN: "a name of small letters, digits, - and _ (at most 63)",
    SECRET_PATTERN: "a reference to a secret such as secret:NAME, env:NAME or file:/PATH",
    HEADER_PATTERN: "a header name such as x-api-key",
    SQLITE_PATTERN: "a URL such as sqlite:///data/app.db",
    SLASH_PATTERN: "a path that begins with /",
    ENDPOINT_PATTERN: "an endpoint such as 127.0.0.1:9001 or unix:/run/app.sock",
    URL_PATTERN: "an address such as http://127.0.0.1:9090, without a password in it",
    LABEL_PATTERN: "one label of a host name such as preview (small letters, digits and -)",
    LIMIT_KEY_PATTERN: "all, client_ip, api_client or header:NAME",
}
"""What a value must be, in words, for each pattern that a value may miss."""


def parse_duration(value: Any) -> float:
    """Seconds from ``"1h30m"``, ``"250ms"``, ``"2s"``; whole milliseconds, at most ten years.

    A bare number is refused because it has no unit.
    """
    if isinstance(value, str) and len(value) <= 64:
        text = value.strip()
        found = list(_DURATION.finditer(text))
        if found and "".join(match.group(0) for match in found) == text:
            total_ms = sum(float(match.group(1)) * _MS[match.group(2)] for match in found)
            if abs(total_ms - round(total_ms)) < 1e-6 and total_ms / 1000 <= _LONGEST_S:
                return round(total_ms) / 1000
            raise ValueError(f"a duration of whole milliseconds and at most ten years is needed, not {value!r}")
    raise ValueError(f"{DURATION_WORDS} is needed, not {value!r}")


def format_duration(seconds: float) -> str:
    """The inverse of :func:`parse_duration`: ``2.0`` is ``"2s"``, ``5400.0`` is ``"1h30m"``."""
    left_ms = round(seconds * 1000)
    parts = []
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left_ms = divmod(left_ms, size_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("a duration longer than 0s is needed, not '0s'")
    return seconds


def parse_percent(value: Any) -> float:
    """A share between 0 and 100 from ``"5%"``."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?\s*%", value.strip()):
        number = float(value.strip().rstrip("%"))
        if number <= 100:
            return number
    raise ValueError(f"{PERCENT_WORDS} is needed, not {value!r}")


def _format_percent(share: float) -> str:
    return f"{share:.6f}".rstrip("0").rstrip(".") + "%"


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _network(value: Any) -> str:
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            pass
    raise ValueError(f"{NETWORK_WORDS} is needed, not {value!r}")


def _lower(hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(host.lower() for host in hosts)


class OneOrMany:
    """Tells the JSON Schema that one text may stand for a list of one."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The list's schema, or one of its items."""
        many = handler(core)
        return {"anyOf": [many.get("items", {"type": "string"}), many]}


class OrText:
    """Tells the JSON Schema that a text may stand for the whole mapping."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The mapping's schema, or a text."""
        return {"anyOf": [{"type": "string"}, handler(core)]}


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$", "examples": ["2s"]}),
]
Positive = Annotated[
    float,
    AfterValidator(_positive),
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$", "examples": ["2s"]}),
]
"""A duration longer than nothing."""
Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(_format_percent, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%$", "examples": ["5%"]}),
]
Network = Annotated[str, BeforeValidator(_network)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many), OneOrMany()]
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), OneOrMany()]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), AfterValidator(_lower), OneOrMany()]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
"""A number that is neither ``true`` nor the text ``"1"``."""
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
SecretText = Annotated[str, Field(pattern=SECRET_PATTERN)]
"""Where a secret's value is found; the value itself is never part of a release."""
HeaderName = Annotated[str, Field(pattern=HEADER_PATTERN)]
SlashPath = Annotated[str, Field(pattern=SLASH_PATTERN)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"]
