"""One route of the configuration to Envoy's: what it matches, where it goes, which policies hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb2

from lastgood.config.model import Redirect, Retries, Route
from lastgood.errors import Refused
from lastgood.gateway import names
from lastgood.gateway.fences import Line
from lastgood.gateway.headers import apply_changes, headers_override
from lastgood.gateway.matchers import door, fence, match_message, one_of
from lastgood.gateway.packing import packed
from lastgood.gateway.policies.api_key import keys_digest
from lastgood.gateway.policies.cors import cors_override, needs_preflight, preflight_route
from lastgood.gateway.policies.ip import ip_override
from lastgood.gateway.policies.jwt import claims_override, jwt_override
from lastgood.gateway.policies.used import Used
from lastgood.gateway.rewrites import replace_path, replace_prefix
from lastgood.gateway.shield import rescue
from lastgood.gateway.tables import Rule
from lastgood.gateway.upgrades import allow_upgrade

_REDIRECTS = {
    301: route_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_pb2.RedirectAction.FOUND,
    303: route_pb2.RedirectAction.SEE_OTHER,
    307: route_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_pb2.RedirectAction.PERMANENT_REDIRECT,
}
_PRIME = 999_983


def route_messages(line: Line) -> Iterator[Any]:
    """The Route messages of a line: the route, and where CORS needs it a second one for preflights."""
    fenced_by = line.label.release if line.fenced and line.label else None
    if line.rule is None:
        message = _catch_all(fenced_by)
        _door(message, line)
        _policies(message, (), line)
        yield message
        return
    route, used = line.rule.route, line.rule.used
    message = route_pb2.Route(name=_name(route.name, line))
    message.match.CopyFrom(match_message(route.match, fenced_by=fenced_by))
    _door(message, line)
    _cookie(message, line)
    _action(message, line.rule, dict(line.label.shields) if line.label else {})
    apply_changes(message, route.headers.request, route.headers.response)
    owner = line.label.release if line.label else line.counted
    if owner is not None:
        # Statistics of each release, not of each route: ten thousand of those would be read by nobody.
        alone = f".{route.name}" if route.guarded else ""
        if line.door is not None and not line.door.drawn:
            alone = names.ASKED  # whoever asks for a release by name is no random user: not judged by
        message.stat_prefix = f"{names.release_name(owner)}{alone}"
    _policies(message, used, line)
    yield message
    cors = [item for item in used if item.policy.cors]
    if cors and needs_preflight(route.match):
        preflight = preflight_route(message.name, route.match, fenced_by=fenced_by)
        _door(preflight, line)
        _policies(preflight, cors, line)
        yield preflight


def _name(name: str, line: Line) -> str:
    return f"{name}@{names.release_name(line.label.release)}" if line.label else name


def _door(message: Any, line: Line) -> None:
    if line.door is not None and line.label is not None:
        door(message.match, line.door)


def _cookie(message: Any, line: Line) -> None:
    if line.label is not None and line.label.cookie and line.door is None:
        message.response_headers_to_add.add().header.CopyFrom(
            base_pb2.HeaderValue(key="set-cookie", value=line.label.cookie)
        )


def _catch_all(fenced_by: int | None) -> Any:
    message = route_pb2.Route(name=names.CATCH_ALL)
    message.match.prefix = "/"
    if fenced_by is not None:
        fence(message.match, fenced_by)
    message.direct_response.status = 404
    return message


def _policies(message: Any, used: tuple[Used, ...] | list[Used], line: Line) -> None:
    """Write what each filter has to know of the route."""
    overrides: dict[str, Any] = {}
    addresses = [item for item in used if item.policy.ip]
    if addresses:
        overrides[names.IP] = ip_override(addresses)
    for item in used:
        if item.policy.cors:
            overrides[names.CORS] = cors_override(item.policy.cors)
        elif item.policy.jwt:
            overrides[names.JWT] = jwt_override(item)
            overrides[names.CLAIMS] = claims_override(item)
        elif item.policy.rate_limit:
            limits = message.metadata.filter_metadata[names.LIMITS_METADATA]
            limits.fields[item.digest].string_value = item.digest
    keys = next((keys_digest(item) for item in used if item.policy.api_key), None)
    release = line.label.route_value if line.label else None
    if keys or release is not None:
        overrides[names.HEADERS] = headers_override(keys, release)
    for name, override in overrides.items():
        if override is not None:
            message.typed_per_filter_config[name].CopyFrom(packed(override))


def _action(message: Any, rule: Rule, shields: Mapping[str, str]) -> None:
    route = rule.route
    if route.redirect:
        _redirect(message.redirect, route.match.path, route.redirect)
    elif route.respond:
        message.direct_response.status = route.respond.status
        if route.respond.body:
            message.direct_response.body.inline_string = route.respond.body
    else:
        _forward(message.route, rule)
        if route.websocket:
            allow_upgrade(message)
        shielded = shields.get(rule.targets[0][0]) if len(rule.targets) == 1 else None
        if shielded is not None:
            message.route.cluster = shielded
            rescue(message.route.retry_policy, route.retries)


def _redirect(action: Any, path: str, redirect: Redirect) -> None:
    action.response_code = _REDIRECTS[redirect.status]
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    if redirect.host:
        action.host_redirect = redirect.host
    if redirect.port:
        action.port_redirect = redirect.port
    if redirect.path is not None:
        action.path_redirect = redirect.path
    elif redirect.prefix is not None:
        replace_prefix(action, path, redirect.prefix)


def _forward(action: Any, rule: Rule) -> None:
    route = rule.route
    if len(rule.targets) == 1:
        action.cluster = rule.targets[0][0]
    else:
        _weights(action.weighted_clusters, rule)
    if route.rewrite.path is not None:
        replace_path(action, route.rewrite.path)
    elif route.rewrite.prefix is not None:
        replace_prefix(action, route.match.path, route.rewrite.prefix)
    if route.rewrite.host is not None:
        action.host_rewrite_literal = route.rewrite.host
    action.timeout.FromNanoseconds(round(route.timeout_s * 1e9))
    if route.idle_timeout_s is not None:
        action.idle_timeout.FromNanoseconds(round(route.idle_timeout_s * 1e9))
    if route.retries:
        _retries(action.retry_policy, route, route.retries)


def _weights(action: Any, rule: Rule) -> None:
    for (cluster, _), weight in zip(rule.targets, shares([w for _, w in rule.targets]), strict=True):
        action.clusters.add(name=cluster).weight.value = weight
    if not any(weight for _, weight in rule.targets):
        raise Refused("all weights are 0", where=f"route:{rule.route.name}", next="give one target a weight")


def shares(weights: list[int]) -> list[int]:
    """The same proportions, in numbers that do not conspire with the fences.

    Envoy draws one number for a request: modulo 1,000,000 it passes a fence, modulo the sum of the weights it goes to
    a target. With a sum near a million, 5 % of the requests would all go to the first target. Small sums are harmless,
    since they divide the requests evenly among any share; large ones are brought to a prime, which has nothing in
    common with a million (error: one in a million).
    """
    divisor = math.gcd(*weights) or 1
    reduced = [weight // divisor for weight in weights]
    total = sum(reduced)
    if total <= 1000:
        return reduced
    scaled = [weight * _PRIME // total for weight in reduced]
    scaled[max(range(len(scaled)), key=scaled.__getitem__)] += _PRIME - sum(scaled)
    return scaled


def _retries(policy: Any, route: Route, retries: Retries) -> None:
    codes = [int(text) for text in retries.on if text.isdigit()]
    reasons = [text for text in retries.on if not text.isdigit()]
    policy.retry_on = ",".join([*reasons, *(["retriable-status-codes"] if codes else [])])
    policy.retriable_status_codes.extend(codes)
    policy.num_retries.value = retries.attempts
    if retries.per_try_timeout_s is not None:
        policy.per_try_timeout.FromNanoseconds(round(retries.per_try_timeout_s * 1e9))
    method = policy.retriable_request_headers.add(name=":method")
    method.string_match.CopyFrom(one_of(retries.methods))
