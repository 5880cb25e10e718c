"""What the proxies are told: resources by type and name, as bytes that are the same whenever the meaning is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lastgood.config.configuration import Configuration, digest_of

_PREFIX = "type.googleapis.com/envoy."
CLUSTER = _PREFIX + "config.cluster.v3.Cluster"
ENDPOINTS = _PREFIX + "config.endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "config.listener.v3.Listener"
SCOPE = _PREFIX + "config.route.v3.ScopedRouteConfiguration"
EXTENSION = _PREFIX + "config.core.v3.TypedExtensionConfig"
RUNTIME = _PREFIX + "service.runtime.v3.Runtime"
SECRET = _PREFIX + "extensions.transport_sockets.tls.v3.Secret"
RUNTIME_LAYER = "lastgood"
"""The one runtime layer: its keys ``lastgood.rN`` hold the share of requests on release N's generation of routes."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A release as the gateway sees it.

    ``endpoints`` holds, for each service the configuration routes to, the addresses (``HOST:PORT`` or ``unix:/PATH``)
    of this release's version. Those that ``versions`` has a digest for may come and go without a route being touched:
    they are resources of their own (EDS).
    """

    release: int
    configuration: Configuration
    endpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who serves: ``percent`` (0 to 100) of the requests go by the candidate's routes, the rest by the base's.

    Where the base serves alone, its routes that differ from those of ``before`` are counted as its own: it is watched.
    """

    base: Generation
    candidate: Generation | None = None
    percent: float = 0.0
    before: Generation | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One xDS resource. ``version`` is a content hash; ``body`` the serialised message (without Any)."""

    name: str
    version: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Snapshot:
    """All resources of a state of the gateway: ``resources[type_url][name]``. ``digest`` covers names and versions."""

    resources: Mapping[str, Mapping[str, Resource]]
    digest: str


def digest_of_resources(resources: Mapping[str, Mapping[str, Resource]]) -> str:
    """The digest of a snapshot: of the digests of its types."""
    return digest_of_types({type_url: digest_of_type(made) for type_url, made in resources.items()})


def digest_of_type(resources: Mapping[str, Resource]) -> str:
    """Of the names and versions of one type's resources."""
    return digest_of("".join([f"{name}\0{made.version}\n" for name, made in resources.items()]).encode())


def digest_of_types(digests: Mapping[str, str]) -> str:
    """Of the digests by type."""
    return digest_of("".join(f"{type_url}\0{digests[type_url]}\n" for type_url in sorted(digests)).encode())
