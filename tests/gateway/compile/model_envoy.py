"""What Envoy makes of compiled tables, as far as these tests go; and what the configuration says, told apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from envoy.config.route.v3 import scoped_route_pb2

from lastgood.config.configuration import Configuration
from lastgood.config.model import Route
from lastgood.gateway.names import CATCH_ALL
from lastgood.gateway.snapshot import SCOPE, Snapshot


@dataclass(frozen=True)
class Request:
    """``open`` says whether the request's random number is within the candidate's share."""

    host: str
    path: str
    method: str = "GET"
    open: bool = False


def routed(snapshot: Snapshot, request: Request, listener: str = "web") -> Any:
    """The Route message that takes the request."""
    scopes = snapshot.resources[SCOPE]
    for pattern in _patterns(request.host):
        found = scopes.get(f"{listener}|{pattern}")
        if found is not None:
            table = scoped_route_pb2.ScopedRouteConfiguration.FromString(found.body).route_configuration
            return next(route for route in table.virtual_hosts[0].routes if _matches(route.match, request))
    raise AssertionError("every listener has a table for *")


def outcome(route: Any) -> tuple[str, str]:
    """Name without release, and where it goes."""
    return route.name.partition("@")[0], route.route.cluster or str(route.direct_response.status)


def _patterns(host: str) -> list[str]:
    labels = host.split(".")
    return [host, *("*." + ".".join(labels[number:]) for number in range(1, len(labels))), "*"]


def _matches(match: Any, request: Request) -> bool:
    if match.HasField("runtime_fraction") and not request.open:
        return False
    kind = match.WhichOneof("path_specifier")
    value = getattr(match, kind)
    if kind == "path":
        fits = request.path == value
    elif kind == "prefix":
        fits = request.path.startswith(value)
    elif kind == "path_separated_prefix":
        fits = request.path == value or request.path.startswith(value + "/")
    else:
        fits = re.fullmatch(value.regex, request.path) is not None
    return fits and all(_header(header, request) for header in match.headers)


def _header(header: Any, request: Request) -> bool:
    if header.name != ":method":
        return False  # requests here have no headers
    matcher = header.string_match
    if matcher.WhichOneof("match_pattern") == "exact":
        return bool(request.method == matcher.exact)
    return re.fullmatch(matcher.safe_regex.regex, request.method) is not None


def expected(configuration: Configuration, request: Request) -> tuple[str, str]:
    """Name and target (by the cluster's beginning) of the route that the documentation promises."""
    best: tuple[Any, Route] | None = None
    for route in configuration.routes.values():
        if route.match.methods and request.method not in route.match.methods:
            continue
        hosts = [_host_score(host, request.host) for host in route.match.host]
        score = max((score for score in hosts if score is not None), default=None)
        path = _path_score(route.match.path, request.path)
        if score is None or path is None:
            continue
        rank = (score, path, bool(route.match.methods), [-len(set(route.match.methods))])
        if best is None or rank > best[0] or (rank == best[0] and route.name < best[1].name):
            best = (rank, route)
    return (best[1].name, best[1].targets[0][0]) if best else (CATCH_ALL, "404")


def _host_score(pattern: str, host: str) -> int | None:
    if pattern == host:
        return 1000
    if pattern == "*":
        return 0
    return len(pattern) if pattern.startswith("*.") and host.endswith(pattern[1:]) else None


def _path_score(pattern: str, path: str) -> tuple[Any, ...] | None:
    """Exact before templates before ``/*``; more text before less, then the longer."""
    tail = pattern.endswith("/*")
    wanted = pattern.removesuffix("/*").split("/")[1:]
    got = path.split("/")[1:]
    if tail:
        got = got[: len(wanted)] if len(got) >= len(wanted) else got
    if len(got) != len(wanted) or any(
        w != g and not (w.startswith("{") and g) for w, g in zip(wanted, got, strict=True)
    ):
        return None
    literals = sum(not part.startswith("{") for part in wanted)
    places = tuple(not part.startswith("{") for part in wanted)  # of two equals, text further left
    if tail:
        return (0, len(wanted), literals, places)
    return (2 if literals == len(wanted) else 1, literals, len(wanted), places)
