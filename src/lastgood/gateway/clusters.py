"""Targets to clusters. A cluster is named by its content, so that both generations of a target stand side by side."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from lastgood.config.configuration import digest_of
from lastgood.config.model import Health, InstanceHealth, RetryBudget, Service, Upstream
from lastgood.errors import Refused
from lastgood.gateway.packing import packed, resource
from lastgood.gateway.snapshot import Resource

TRUSTED_CA = "/etc/ssl/certs/ca-certificates.crt"
"""Where the proxy finds the authorities that upstreams with ``tls: true`` must be vouched for by."""

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Half-closed races end in 503: give an idle connection up before servers do (gunicorn after 2 s, uvicorn and Node.js
# after 5 s).
_IDLE_S = 1.5
# Envoy's defaults of 1,024 are meant for meshes; the default of 3 retries breaks a canary's shield.
_MANY = 100_000
_MAX_RETRIES = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a cluster is made of. ``endpoints`` are ``HOST:PORT`` or ``unix:/PATH``.

    With a ``version`` they are no part of the cluster: they come as :func:`assignment`, and change without it.
    """

    name: str
    endpoints: tuple[str, ...]
    health: Health | None = None
    http2: bool = False
    tls: bool = False
    connect_timeout_s: float = 2.0
    retry_budget: RetryBudget | None = None
    version: str | None = None


def upstream_target(name: str, upstream: Upstream) -> Target:
    """An upstream as it is configured."""
    return Target(
        name,
        upstream.endpoints,
        upstream.health,
        upstream.http2,
        upstream.tls,
        upstream.connect_timeout_s,
        upstream.retry_budget,
    )


def service_target(
    name: str, service: Service | None, endpoints: tuple[str, ...], version: str | None = None
) -> Target:
    """A service (or a function, which has no health of its own) at the addresses of one release's version."""
    return Target(name, endpoints, service.health if service else None, version=version)


def cluster(target: Target, *, trusted_ca: str = TRUSTED_CA) -> Resource:
    """The cluster, named ``TARGET@`` and 8 hex characters of its content."""
    message = cluster_pb2.Cluster()
    message.connect_timeout.FromNanoseconds(round(target.connect_timeout_s * 1e9))
    _balancing(message)
    _limits(message, target.retry_budget)
    _protocol(message, target)
    if target.health and not (isinstance(target.health, InstanceHealth) and target.health.command):
        _health(message, target.name, target.health)
    if target.tls:
        _tls(message, target, trusted_ca)
    if target.version is None:
        _endpoints(message, target)
        content: bytes = message.SerializeToString(deterministic=True)
        message.name = f"{target.name}@{digest_of(content)[:8]}"
        message.load_assignment.cluster_name = message.name
        return resource(message.name, message)
    _discovered(message)
    content = message.SerializeToString(deterministic=True) + target.version.encode()
    message.name = message.eds_cluster_config.service_name = f"{target.name}@{digest_of(content)[:8]}"
    return resource(message.name, message)


def assignment(cluster_name: str, endpoints: tuple[str, ...]) -> Resource:
    """The endpoints of a cluster whose target has a version; none is a set like any other."""
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=cluster_name)
    if endpoints:
        locality = message.endpoints.add()
        for text in sorted(endpoints):
            locality.lb_endpoints.append(_endpoint(text))
    return resource(cluster_name, message)


def _discovered(message: Any) -> None:
    message.type = cluster_pb2.Cluster.EDS
    source = message.eds_cluster_config.eds_config
    source.ads.SetInParent()
    source.resource_api_version = config_source_pb2.V3
    # An endpoint that was taken out is on its way to be stopped: its last good health check keeps it in otherwise.
    message.ignore_health_on_host_removal = True
    # By default changes of health are collected for a second before they count.
    message.common_lb_config.update_merge_window.SetInParent()


def _balancing(message: Any) -> None:
    message.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST
    # As long as one endpoint is healthy only healthy ones are used. With none left, trying beats refusing: a health
    # check that is wrong about everything is likelier than a request that does harm by reaching a sick endpoint.
    message.common_lb_config.healthy_panic_threshold.value = 1.0


def _limits(message: Any, budget: RetryBudget | None) -> None:
    limits = message.circuit_breakers.thresholds.add()
    limits.max_connections.value = _MANY
    limits.max_pending_requests.value = _MANY
    limits.max_requests.value = _MANY
    limits.max_retries.value = _MAX_RETRIES
    if budget:
        limits.retry_budget.budget_percent.value = budget.percent
        limits.retry_budget.min_retry_concurrency.value = budget.minimum


def _protocol(message: Any, target: Target) -> None:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.common_http_protocol_options.idle_timeout.FromNanoseconds(round(_IDLE_S * 1e9))
    if target.http2:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    message.typed_extension_protocol_options[_HTTP].CopyFrom(packed(options))


def _endpoints(message: Any, target: Target) -> None:
    named = [text for text in target.endpoints if not text.startswith("unix:") and not _is_address(_host(text))]
    if named and any(text.startswith("unix:") for text in target.endpoints):
        raise Refused(
            f"{target.name} mixes host names with Unix sockets, which one cluster cannot hold",
            where=target.name,
            next="use addresses in place of host names, or two targets with weights",
        )
    if named:
        message.type = cluster_pb2.Cluster.STRICT_DNS
        message.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
        message.respect_dns_ttl = True
    else:
        message.type = cluster_pb2.Cluster.STATIC
    locality = message.load_assignment.endpoints.add()
    for text in sorted(target.endpoints):
        locality.lb_endpoints.append(_endpoint(text))


def _endpoint(text: str) -> Any:
    lb_endpoint = endpoint_components_pb2.LbEndpoint()
    endpoint = lb_endpoint.endpoint
    if text.startswith("unix:"):
        endpoint.address.pipe.path = text.removeprefix("unix:")
        return lb_endpoint
    host = _host(text)
    endpoint.address.socket_address.address = host
    endpoint.address.socket_address.port_value = int(text.rpartition(":")[2])
    if not _is_address(host):
        endpoint.hostname = host
        endpoint.health_check_config.hostname = host
    return lb_endpoint


def _host(text: str) -> str:
    return text.rpartition(":")[0].strip("[]")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _health(message: Any, name: str, health: Health) -> None:
    check = message.health_checks.add()
    check.timeout.FromNanoseconds(round(health.timeout_s * 1e9))
    check.interval.FromNanoseconds(round(health.interval_s * 1e9))
    # By default a cluster without traffic is looked at once a minute: a standby's failure would be seen by its users.
    check.no_traffic_interval.CopyFrom(check.interval)
    check.unhealthy_threshold.value = health.unhealthy
    check.healthy_threshold.value = health.healthy
    check.interval_jitter_percent = 10
    if isinstance(health, InstanceHealth) and health.tcp:
        check.tcp_health_check.SetInParent()
        return
    check.http_health_check.path = health.path
    check.http_health_check.host = name


def _tls(message: Any, target: Target, trusted_ca: str) -> None:
    context = tls_pb2.UpstreamTlsContext()
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3  # a client's default is 1.2
    common.alpn_protocols.append("h2" if target.http2 else "http/1.1")
    trust = common.validation_context
    trust.trusted_ca.filename = trusted_ca
    hosts = sorted({_host(text) for text in target.endpoints if not text.startswith("unix:")})
    for host in hosts:
        name = trust.match_typed_subject_alt_names.add()
        name.san_type = (
            common_pb2.SubjectAltNameMatcher.IP_ADDRESS if _is_address(host) else common_pb2.SubjectAltNameMatcher.DNS
        )
        name.matcher.exact = host
    context.auto_host_sni = True
    message.transport_socket.name = "envoy.transport_sockets.tls"
    message.transport_socket.typed_config.CopyFrom(packed(context))
