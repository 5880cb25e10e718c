"""Which web pages may call. Preflights are answered here, before any security policy.

Answers that the gateway gives itself (redirects, direct responses) carry no CORS headers: Envoy's filter passes over
routes that do not forward.
"""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2

from lastgood.config.model import Cors, Match
from lastgood.gateway.matchers import match_message, one_of
from lastgood.gateway.names import KEYS_HEADER


def cors_override(cors: Cors) -> Any:
    """What a route says to the filter."""
    message = cors_pb2.CorsPolicy()
    for origin in cors.origins:
        message.allow_origin_string_match.add(exact=origin)
    message.allow_methods = ",".join(cors.methods)
    message.allow_headers = ",".join(cors.headers)
    message.expose_headers = ",".join(cors.expose)
    message.max_age = str(round(cors.max_age_s))
    message.allow_credentials.value = cors.credentials
    message.forward_not_matching_preflights.value = False
    return message


def needs_preflight(match: Match) -> bool:
    """Whether a preflight of the route's requests would not match the route itself."""
    return bool(match.headers) or bool(match.methods and "OPTIONS" not in match.methods)


def preflight_route(name: str, match: Match, *, fenced_by: int | None) -> Any:
    """A route for preflights only: same path and query, and the method that is asked for is one of the route's."""
    route = route_pb2.Route(name=f"{name}.preflight")
    asked = Match(host=match.host, path=match.path, methods=("OPTIONS",), query=match.query)
    route.match.CopyFrom(match_message(asked, fenced_by=fenced_by))
    route.match.headers.add(name="origin", present_match=True)
    requested = route.match.headers.add(name="access-control-request-method")
    if match.methods:
        requested.string_match.CopyFrom(one_of(match.methods))
    else:
        requested.present_match = True
    # Envoy's filter looks only at routes that forward. This one never does: the filter answers every preflight itself,
    # and the header that would name the cluster is taken off on arrival.
    route.route.cluster_header = KEYS_HEADER
    return route
