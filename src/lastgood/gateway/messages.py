"""What is said in delta xDS, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lastgood.gateway.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Request:
    """A DeltaDiscoveryRequest. ``error`` holds the proxy's own words if it refuses the response called ``nonce``."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A DeltaDiscoveryResponse. ``version`` is for people, it shows in the proxy's statistics."""

    type_url: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]
    nonce: str
    version: str
