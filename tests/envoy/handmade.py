"""Snapshots made by hand: a listener, scopes that answer with a text, clusters, a runtime key per release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import scoped_route_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.service.runtime.v3 import rtds_pb2

from lastgood.gateway.snapshot import (
    CLUSTER,
    EXTENSION,
    LISTENER,
    RUNTIME,
    RUNTIME_LAYER,
    SCOPE,
    Generation,
    Resource,
    Snapshot,
    Traffic,
)

_RTYPE = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"


def resource(name: str, message: Any) -> Resource:
    body = message.SerializeToString(deterministic=True)
    return Resource(name, hashlib.sha256(body).hexdigest()[:16], body)


def snapshot(*groups: tuple[str, Iterable[Resource]]) -> Snapshot:
    resources = {url: {item.name: item for item in items} for url, items in groups}
    content = sorted((url, item.name, item.version) for url, items in resources.items() for item in items.values())
    return Snapshot(resources, hashlib.sha256(repr(content).encode()).hexdigest())


def _ads(source: Any) -> None:
    source.ads.SetInParent()
    source.resource_api_version = config_source_pb2.V3


def listener(name: str, port: int, *, extension: str | None = None) -> Resource:
    hcm = hcm_pb2.HttpConnectionManager(stat_prefix=name)
    hcm.scoped_routes.name = "scopes"
    fragment = hcm.scoped_routes.scope_key_builder.fragments.add().header_value_extractor
    fragment.name, fragment.element_separator, fragment.index = ":authority", ":", 0
    _ads(hcm.scoped_routes.rds_config_source)
    _ads(hcm.scoped_routes.scoped_rds.scoped_rds_config_source)
    if extension:
        added = hcm.http_filters.add(name=extension)
        _ads(added.config_discovery.config_source)
        added.config_discovery.type_urls.append(_RTYPE)
    router = hcm.http_filters.add(name="router")
    router.typed_config.Pack(router_pb2.Router())
    made = listener_pb2.Listener(name=name)
    made.address.socket_address.address, made.address.socket_address.port_value = "127.0.0.1", port
    made.filter_chains.add().filters.add(name="hcm").typed_config.Pack(hcm)
    return resource(name, made)


def header_filter(name: str, value: str) -> Resource:
    mutation = header_mutation_pb2.HeaderMutation()
    header = mutation.mutations.response_mutations.add().append
    header.header.key, header.header.value = "x-policy", value
    made = extension_pb2.TypedExtensionConfig(name=name)
    made.typed_config.Pack(mutation)
    return resource(name, made)


def cluster(name: str, port: int, *, health: bool = False) -> Resource:
    made = cluster_pb2.Cluster(name=name)
    made.connect_timeout.FromMilliseconds(500)
    made.load_assignment.cluster_name = name
    address = made.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port
    if health:
        check = made.health_checks.add()
        check.timeout.FromMilliseconds(1000)
        check.interval.FromMilliseconds(1000)
        check.healthy_threshold.value = check.unhealthy_threshold.value = 1
        check.http_health_check.path = "/healthz"
    return resource(name, made)


def scope(
    host: str,
    answers: Mapping[str, str] | str,
    *,
    to: str | None = None,
    via: str | None = None,
    bad: bool = False,
    routes: int = 1,
) -> Resource:
    """``answers``: a text, or ``{"r2": text, "r1": text}`` of which all but the last are fenced by ``lastgood.rN``.

    ``via`` names a cluster that is sent the text in the header ``x-say``, in place of an answer from the proxy itself.
    """
    made = scoped_route_pb2.ScopedRouteConfiguration(name=host)
    made.key.fragments.add(string_key=host)
    config = made.route_configuration
    config.name, config.validate_clusters.value = host, True
    hosts = config.virtual_hosts.add(name=host, domains=["*"])
    if bad:
        hosts.routes.add(name="bad").match.safe_regex.regex = "[unclosed"
        hosts.routes[-1].direct_response.status = 200
    if to:
        route = hosts.routes.add(name="to")
        route.match.prefix, route.route.cluster = "/", to
    generations = {"": answers} if isinstance(answers, str) else dict(answers)
    for number in range(routes):
        for generation, text in generations.items():
            route = hosts.routes.add(name=f"{number}{generation}", stat_prefix=generation)
            route.match.prefix = "/" if number == routes - 1 else f"/{number}"
            if generation and generation != list(generations)[-1]:
                route.match.runtime_fraction.runtime_key = f"lastgood.{generation}"
                route.match.runtime_fraction.default_value.denominator = 2
            if via:
                header = route.request_headers_to_add.add().header
                header.key, header.value, route.route.cluster = "x-say", text, via
            else:
                route.direct_response.status = 200
                route.direct_response.body.inline_string = text
    return resource(host, made)


def runtime(release: int = 0, percent: float = 0.0) -> Resource:
    made = rtds_pb2.Runtime(name=RUNTIME_LAYER)
    made.layer.SetInParent()
    if release:
        fraction = made.layer.fields[f"lastgood.r{release}"].struct_value.fields
        fraction["numerator"].number_value = round(percent * 10_000)
        fraction["denominator"].string_value = "MILLION"
    return resource(RUNTIME_LAYER, made)


def world(
    port: int,
    hosts: Mapping[str, Mapping[str, str] | str],
    *,
    bad: Iterable[str] = (),
    clusters: Iterable[Resource] = (),
    key: Resource | None = None,
    routes: int = 1,
    via: str | None = None,
    more: Iterable[Resource] = (),
) -> Snapshot:
    """One listener ``web`` and a scope for each host; ``bad`` hosts are refused by Envoy."""
    scopes = [scope(host, answers, bad=host in bad, via=via, routes=routes) for host, answers in hosts.items()]
    return snapshot(
        (CLUSTER, clusters),
        (EXTENSION, [header_filter("policy", "loose")]),
        (LISTENER, [listener("web", port, extension="policy")]),
        (SCOPE, [*scopes, *more]),
        (RUNTIME, [key or runtime()]),
    )


class Builder:
    """Traffic -> Snapshot: release N answers ``rN`` on host ``shop``; those in ``bad`` are refused by Envoy."""

    def __init__(
        self, port: int, *, bad: Iterable[int] = (), hosts: int = 1, routes: int = 1, upstream: int = 0
    ) -> None:
        self.port, self.bad, self.hosts, self.routes = port, frozenset(bad), hosts, routes
        self.via, self.clusters = ("up", [cluster("up", upstream)]) if upstream else (None, [])
        self.built = 0

    def __call__(self, traffic: Traffic) -> Snapshot:
        self.built += 1
        generations: list[Generation] = [g for g in (traffic.candidate, traffic.base) if g]
        names = [f"r{generation.release}" for generation in generations]
        refused = any(generation.release in self.bad for generation in generations)
        # Every release adds a good scope that is listed before the bad one.
        hosts: dict[str, Mapping[str, str] | str] = {"a-first": names[0]}
        answers = {name: name for name in names}
        hosts |= {"shop" if i == 0 else f"h{i}": answers for i in range(self.hosts)}
        key = runtime(traffic.candidate.release, traffic.percent) if traffic.candidate else runtime()
        refusing = ["shop"] if refused else []
        return world(self.port, hosts, bad=refusing, key=key, routes=self.routes, clusters=self.clusters, via=self.via)
