"""A configuration without its routes, of which there may be thousands: one look at all entries for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lastgood.config.configuration import Configuration
from lastgood.config.model import Function, Listener, Service, Upstream


@dataclass(frozen=True)
class Outline:
    """What the gateway needs of a configuration beside routes and policies, each kind sorted by name."""

    configuration: Configuration = field(repr=False)
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)


def outline(configuration: Configuration) -> Outline:
    """The outline of a configuration."""
    found: dict[str, dict[str, Any]] = {"listener": {}, "upstream": {}, "service": {}, "function": {}}
    for key in sorted(configuration.others):
        kind, _, name = key.partition(":")
        if kind in found:
            found[kind][name] = configuration.entries[key].value
    return Outline(configuration, found["listener"], found["upstream"], found["service"], found["function"])
