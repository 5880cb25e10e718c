"""A snapshot as text that people can read and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import scoped_route_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.runtime.v3 import rtds_pb2
from google.protobuf import text_format

from lastgood.config import model
from lastgood.config.configuration import Configuration, make_entry
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.compile import compile_snapshot
from lastgood.gateway.slots import SlotTable
from lastgood.gateway.snapshot import (
    CLUSTER,
    EXTENSION,
    LISTENER,
    RUNTIME,
    SCOPE,
    SECRET,
    Generation,
    Resource,
    Snapshot,
    Traffic,
)

HERE = Path(__file__).parent
_TYPES: dict[str, Any] = {
    CLUSTER: cluster_pb2.Cluster,
    SECRET: secret_pb2.Secret,
    EXTENSION: extension_pb2.TypedExtensionConfig,
    LISTENER: listener_pb2.Listener,
    SCOPE: scoped_route_pb2.ScopedRouteConfiguration,
    RUNTIME: rtds_pb2.Runtime,
}


def cases() -> list[Path]:
    """The inputs: ``base`` and perhaps ``candidate`` as in lastgood.yaml, ``endpoints`` of services, ``percent``."""
    return sorted((HERE / "in").glob("*.yaml"))


def output(case: Path) -> Path:
    return HERE / "out" / f"{case.stem}.txt"


def render(case: Path) -> str:
    """What the case compiles to."""
    raw = yaml.safe_load(case.read_text())
    generations = [
        Generation(number, _configuration(raw[key]), {name: tuple(at) for name, at in (raw.get(where) or {}).items()})
        for number, (key, where) in enumerate((("base", "endpoints"), ("candidate", "candidate_endpoints")), 11)
        if key in raw
    ]
    traffic = Traffic(generations[0], generations[1] if len(generations) > 1 else None, raw.get("percent", 0))
    secrets = {"secret:acme_key": "not-a-real-key"}
    certificates = {"web": ("CERTIFICATE\n", "KEY\n")}
    snapshot = compile_snapshot(
        traffic, secrets=secrets, slots=SlotTable(), certificates=certificates, cache=CompileCache()
    )
    return _text(snapshot)


def _configuration(raw: dict[str, Any]) -> Configuration:
    root = model.Root.model_validate(raw)
    named = {
        "listener": root.gateway.listeners,
        "policy": root.gateway.policies,
        "route": {route.name: route for route in root.gateway.routes},
        "upstream": root.upstreams,
        "service": root.services,
    }
    entries = [make_entry(f"{kind}:{name}", value) for kind, items in named.items() for name, value in items.items()]
    settings = model.Gateway(release_header=root.gateway.release_header)
    return Configuration(
        root.project, {entry.key: entry for entry in [*entries, make_entry("gateway:gateway", settings)]}
    )


def _text(snapshot: Snapshot) -> str:
    parts = []
    for type_url, made in snapshot.resources.items():
        for resource in made.values():
            title = f"# {type_url.rpartition('.')[2]} {resource.name}"
            parts.append(f"{title}\n{_body(type_url, resource)}")
    return "\n".join(parts)


def _body(type_url: str, resource: Resource) -> str:
    message = _TYPES[type_url].FromString(resource.body)
    if type_url == EXTENSION and resource.name.startswith("limit-"):
        limit = local_rate_limit_pb2.LocalRateLimit()
        message.typed_config.Unpack(limit)
        if not limit.descriptors:
            return "free\n"
    return text_format.MessageToString(message, as_utf8=True)
