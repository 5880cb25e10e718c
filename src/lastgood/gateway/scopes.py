"""A host's table as one resource: small, so that a commit costs what it changes, and applied as a whole."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.config.route.v3 import scoped_route_pb2

from lastgood.gateway import names
from lastgood.gateway.fences import Line
from lastgood.gateway.headers import OWN
from lastgood.gateway.packing import packed, resource
from lastgood.gateway.routes import route_messages
from lastgood.gateway.snapshot import Resource
from lastgood.gateway.tables import Key

_SKIP = packed(route_pb2.FilterConfig(disabled=True))


def scope(key: Key, lines: tuple[Line, ...]) -> Resource:
    """The scoped route configuration of ``(listener, host pattern)``, its routes inline.

    The virtual host is named after the listener, so that statistics add up over hosts instead of multiplying.
    """
    listener, host = key
    name = names.scope_key(listener, host)
    message = scoped_route_pb2.ScopedRouteConfiguration(name=name)
    message.key.fragments.add(string_key=name)
    table = message.route_configuration
    table.name = name
    table.validate_clusters.value = True  # a route to nowhere is refused, not served as 503
    table.request_headers_to_remove.extend(OWN)
    table.typed_per_filter_config[names.HOST].CopyFrom(_SKIP)
    virtual_host = table.virtual_hosts.add(name=listener, domains=["*"])
    for line in lines:
        virtual_host.routes.extend(route_messages(line))
    return resource(name, message)
