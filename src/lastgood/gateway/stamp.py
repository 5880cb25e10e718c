"""A scope with other bytes and the same meaning.

When Envoy (1.40) refuses a delta response of scopes, nothing of it goes live, but the good scopes listed before the bad
one are remembered as applied: the same bytes, sent again, are acknowledged and ignored. A stamp in the metadata of the
route configuration makes them other bytes.
"""

from __future__ import annotations

from envoy.config.route.v3 import scoped_route_pb2

from lastgood.gateway.snapshot import Resource

STAMP_KEY = "lastgood.attempt"
"""The entry of ``RouteConfiguration.metadata.filter_metadata``; nothing reads it."""


def stamped_scope(resource: Resource, stamp: str) -> Resource:
    """The scope with the stamp in it. The version stays, since the meaning does; RDS by name cannot be stamped."""
    scope = scoped_route_pb2.ScopedRouteConfiguration.FromString(resource.body)
    if not scope.HasField("route_configuration"):
        return resource
    scope.route_configuration.metadata.filter_metadata[STAMP_KEY]["stamp"] = stamp
    return Resource(resource.name, resource.version, scope.SerializeToString(deterministic=True))
