"""API keys: one filter that holds every policy's keys; routes say, in a header of ours, which policy must hold.

Keys are not part of the routes: a key that is revoked is gone from both generations with one small push, and the
routes' bytes hold no secrets. A policy that the filter does not know is refused (403): a wrong order of pushes closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.api_key_auth.v3 import api_key_auth_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as rbac_filter_pb2
from xds.type.matcher.v3 import matcher_pb2

from lastgood.config.model import ApiKey
from lastgood.errors import Refused, Unavailable
from lastgood.gateway import names
from lastgood.gateway.labels import act, composite, header_input
from lastgood.gateway.policies.used import Used
from lastgood.gateway.snapshot import Resource


def keys_filter(policies: Iterable[Used], secrets: Mapping[str, str]) -> Resource:
    """The filter. ``secrets`` maps the text of a reference (``secret:acme_key``) to its value.

    Raises ``Unavailable`` if a value is missing and ``Refused`` if two clients of a policy have the same key.
    """
    matcher = matcher_pb2.Matcher()
    known = list(policies)
    otherwise = matcher
    if known:
        tree = matcher.matcher_tree
        header_input(tree.input, names.KEYS_HEADER)
        for used in known:
            assert used.policy.api_key
            act(tree.exact_match_map.map[used.digest], _filter(used.name, used.policy.api_key, secrets))
        otherwise = matcher.on_no_match.matcher
    unknown = otherwise.matcher_list.matchers.add()
    header_input(unknown.predicate.single_predicate.input, names.KEYS_HEADER)
    any_text = unknown.predicate.single_predicate.value_match.safe_regex
    any_text.google_re2.SetInParent()
    any_text.regex = ".*"
    # An RBAC filter that allows nobody.
    act(unknown.on_match, rbac_filter_pb2.RBAC(rules=rbac_pb2.RBAC(action=rbac_pb2.RBAC.ALLOW)))
    return composite(names.KEYS, matcher)


def _filter(name: str, api_key: ApiKey, secrets: Mapping[str, str]) -> Any:
    message = api_key_auth_pb2.ApiKeyAuth()
    owners: dict[str, str] = {}
    for client, reference in sorted(api_key.clients.items()):
        value = secrets.get(reference)
        if not value:
            raise Unavailable(
                f"the key of client {client} has no value ({reference})",
                where=f"policy:{name}",
                next=f"lastgood secret set {reference.removeprefix('secret:')}",
            )
        if value in owners:
            raise Refused(
                f"clients {owners[value]} and {client} have the same key",
                where=f"policy:{name}",
                next="give one another",
            )
        owners[value] = client
        message.credentials.add(key=value, client=client)
    source = message.key_sources.add()
    if api_key.header:
        source.header = api_key.header.lower()
    elif api_key.query:
        source.query = api_key.query
    else:
        source.cookie = api_key.cookie or ""
    message.forwarding.header = names.CLIENT_HEADER
    message.forwarding.hide_credentials = api_key.hide
    return message


def keys_digest(used: Used) -> str:
    """What a route says to the filter, by way of a header."""
    return used.digest
