"""Listeners: what stays the same while routes and policies come and go.

Open connections keep the listener they came by, old filters included, until they are drained. So nothing in here
depends on routes or policies: tables, filter configurations and certificates are resources of their own.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import config_source_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as filter_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from lastgood.config.model import Listener
from lastgood.gateway import names
from lastgood.gateway.headers import remove_header, set_header
from lastgood.gateway.labels import say_filter
from lastgood.gateway.packing import packed, resource
from lastgood.gateway.snapshot import Resource
from lastgood.gateway.upgrades import upgrade_filter

_TYPE = "type.googleapis.com/envoy.extensions."
_COMPOSITE = _TYPE + "common.matching.v3.ExtensionWithMatcher"
_MUTATION = _TYPE + "filters.http.header_mutation.v3.HeaderMutation"
_LIMIT = _TYPE + "filters.http.local_ratelimit.v3.LocalRateLimit"
_HCM = hcm_pb2.HttpConnectionManager
_BUFFER = 1 << 20
_OURS = (names.KEYS_HEADER, names.CLIENT_HEADER, names.PREVIEW_HEADER, names.SIDE_HEADER)
"""Headers that mean something between our filters, which no client may say."""


def listener(name: str, settings: Listener, *, slots: int) -> Resource:
    """The listener with the whole chain of filters and ``slots`` rate limit filters."""
    message = listener_pb2.Listener(name=name)
    message.address.socket_address.address = settings.address
    message.address.socket_address.port_value = settings.port
    if settings.address == "::":
        message.address.socket_address.ipv4_compat = True
    message.per_connection_buffer_limit_bytes.value = _BUFFER
    chain = message.filter_chains.add()
    connections = chain.filters.add(name="envoy.filters.network.http_connection_manager")
    connections.typed_config.CopyFrom(packed(_connection_manager(name, slots)))
    if settings.tls:
        chain.transport_socket.name = "envoy.transport_sockets.tls"
        chain.transport_socket.typed_config.CopyFrom(packed(_tls(name)))
    return resource(name, message)


def certificate_secret(name: str, chain_pem: str, key_pem: str) -> Resource:
    """The certificate of a listener; a renewed one is one push of this, used by new connections."""
    secret = secret_pb2.Secret(name=names.certificate(name))
    secret.tls_certificate.certificate_chain.inline_string = chain_pem
    secret.tls_certificate.private_key.inline_string = key_pem
    return resource(secret.name, secret)


def same_socket(one: Listener, other: Listener) -> bool:
    """Whether two listeners would want the same socket."""
    if one.port != other.port or one.address == other.address:
        return one.port == other.port
    return any(address in ("0.0.0.0", "::") for address in (one.address, other.address))  # noqa: S104


def _connection_manager(name: str, slots: int) -> Any:
    message = _HCM(stat_prefix=name, codec_type=_HCM.AUTO)
    _edge(message)
    _find_scope(message, name)
    _filter(message, names.ANSWER, discovered=(_COMPOSITE,))
    _filter(message, names.SAY, say_filter())
    _filter(message, names.HOST, discovered=(_TYPE + "filters.http.lua.v3.Lua",))
    _filter(message, names.UPGRADE, upgrade_filter())
    _filter(message, names.HEADERS, filter_pb2.HeaderMutation())
    _filter(message, names.CORS, cors_pb2.Cors())
    _filter(message, names.IP, rbac_pb2.RBAC())
    _filter(message, names.JWT, discovered=(_TYPE + "filters.http.jwt_authn.v3.JwtAuthentication",))
    _filter(message, names.CLAIMS, rbac_pb2.RBAC())
    _filter(message, names.KEYS, discovered=(_COMPOSITE,))
    _filter(message, names.RELEASE, discovered=(_COMPOSITE, _MUTATION))
    for slot in range(slots):
        _filter(message, names.limit_filter(slot), discovered=(_LIMIT,))
    _filter(message, "envoy.filters.http.router", router_pb2.Router())
    return message


def _edge(message: Any) -> None:
    """What a proxy that faces strangers needs: https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge."""
    message.use_remote_address.value = True  # the client's address is the connection's; x-forwarded-for is appended to
    message.normalize_path.value = True
    message.merge_slashes = True
    message.path_with_escaped_slashes_action = _HCM.UNESCAPE_AND_REDIRECT
    common = message.common_http_protocol_options
    common.idle_timeout.FromSeconds(3600)
    # x_lastgood_client is the same as x-lastgood-client to a CGI or WSGI upstream: dropped, as nginx does.
    common.headers_with_underscores_action = type(common).DROP_HEADER
    message.request_headers_timeout.FromSeconds(30)
    message.http2_protocol_options.max_concurrent_streams.value = 100
    message.http2_protocol_options.initial_stream_window_size.value = 1 << 16
    message.http2_protocol_options.initial_connection_window_size.value = _BUFFER
    message.http2_protocol_options.allow_connect = True  # WebSockets over HTTP/2
    message.upgrade_configs.add(upgrade_type="websocket").enabled.value = False  # routes turn it on


def _find_scope(message: Any, name: str) -> None:
    early = message.early_header_mutation_extensions.add(name="lastgood.arrival")
    arrival = header_mutation_pb2.HeaderMutation()
    arrival.mutations.append(set_header(names.SCOPE_HEADER, names.scope_key(name, "%REQ(:authority)%")))
    arrival.mutations.extend(remove_header(header) for header in _OURS)
    early.typed_config.CopyFrom(packed(arrival))
    scopes = message.scoped_routes
    scopes.name = "lastgood"
    scopes.scope_key_builder.fragments.add().header_value_extractor.name = names.SCOPE_HEADER
    scopes.scope_key_builder.fragments[0].header_value_extractor.index = 0
    _ads(scopes.rds_config_source)
    _ads(scopes.scoped_rds.scoped_rds_config_source)


def _filter(message: Any, name: str, config: Any = None, *, discovered: tuple[str, ...] = ()) -> None:
    http_filter = message.http_filters.add(name=name)
    if config is not None:
        http_filter.typed_config.CopyFrom(packed(config))
        return
    # Without a default: until its filters are there a listener does not open.
    _ads(http_filter.config_discovery.config_source)
    http_filter.config_discovery.type_urls.extend(discovered)


def _ads(source: Any) -> None:
    source.ads.SetInParent()
    source.resource_api_version = config_source_pb2.V3
    source.initial_fetch_timeout.SetInParent()  # 0: wait for as long as it takes


def _tls(name: str) -> Any:
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = common_pb2.TlsParameters.TLSv1_3
    common.alpn_protocols.extend(["h2", "http/1.1"])
    certificate = common.tls_certificate_sds_secret_configs.add(name=names.certificate(name))
    _ads(certificate.sds_config)
    return context
