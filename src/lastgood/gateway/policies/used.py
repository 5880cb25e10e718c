"""A policy together with what it refers to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from lastgood.config.configuration import Configuration
from lastgood.config.model import Policy
from lastgood.errors import Refused
from lastgood.gateway.packing import short


@dataclass(frozen=True, slots=True)
class Used:
    """A policy of one generation. ``digest`` stands for its name, its content and the key set it names."""

    name: str
    digest: str
    policy: Policy = field(repr=False, compare=False)
    jwks: str = field(default="", repr=False, compare=False)


def used_policy(configuration: Configuration, name: str) -> Used:
    """The policy by its name. Raises ``Refused`` if it, or the file with its keys, is not there."""
    entry = configuration.entries.get(f"policy:{name}")
    if entry is None:
        raise Refused(f"policy {name} is used but not defined", where=f"policy:{name}", next="define it or take it off")
    policy: Policy = entry.value
    jwks = _jwks(configuration, name, policy.jwt.jwks) if policy.jwt else ""
    return Used(name, short(entry.digest, jwks), policy, jwks)


def _jwks(configuration: Configuration, name: str, source: str | dict[str, Any]) -> str:
    if isinstance(source, dict):
        return json.dumps(source, sort_keys=True, separators=(",", ":"))
    path = source.removeprefix("repo:")
    entry = configuration.entries.get(f"file:{path}")
    if entry is None:
        raise Refused(f"the key set {path} is not part of the release", where=f"policy:{name}", next="commit the file")
    text: str = entry.value
    return text
