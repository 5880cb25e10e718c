"""Bearer tokens: one filter with every policy's keys, routes name the requirement that must hold.

The token is verified by jwt_authn (401), its claims by an RBAC filter behind it (403) that reads the verified payload.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as rbac_filter_pb2
from envoy.type.matcher.v3 import value_pb2

from lastgood.config.model import Jwt
from lastgood.gateway import names
from lastgood.gateway.packing import extension
from lastgood.gateway.policies.used import Used
from lastgood.gateway.snapshot import Resource

_PAYLOADS = "envoy.filters.http.jwt_authn"
"""Where jwt_authn leaves verified payloads, whatever the filter is called in the chain."""


def jwt_filter(policies: Iterable[Used]) -> Resource:
    """The filter: a provider and a requirement for each policy, named by its digest.

    A route that names a requirement which is not there is refused (403), so a wrong order of pushes closes.
    """
    message = config_pb2.JwtAuthentication()
    for used in policies:
        assert used.policy.jwt
        message.providers[used.digest].CopyFrom(_provider(used, used.policy.jwt))
        message.requirement_map[used.digest].provider_name = used.digest
    return extension(names.JWT, message)


def _provider(used: Used, jwt: Jwt) -> Any:
    provider = config_pb2.JwtProvider(issuer=jwt.issuer)
    provider.audiences.extend(sorted(jwt.audiences))
    provider.local_jwks.inline_string = used.jwks
    provider.clock_skew_seconds = round(jwt.clock_skew_s)
    # The upstream may want to read more of the token than the claims that are forwarded.
    provider.forward = True
    # Said aloud, because the default place includes a query parameter, which ends up in logs.
    if jwt.header:
        provider.from_headers.add(name=jwt.header.lower())
    else:
        provider.from_headers.add(name="authorization", value_prefix="Bearer ")
    # The filter takes these headers off every request, of routes without the policy too: they cannot be forged.
    for claim, header in sorted(jwt.forward.items()):
        provider.claim_to_headers.add(claim_name=claim, header_name=header.lower())
    if jwt.claims:
        provider.payload_in_metadata = used.digest
    return provider


def jwt_override(used: Used) -> Any:
    """What a route says to the filter."""
    return config_pb2.PerRouteConfig(requirement_name=used.digest)


def claims_override(used: Used) -> Any | None:
    """What a route says to the claims filter: every claim must have its value, or one of them."""
    assert used.policy.jwt
    if not used.policy.jwt.claims:
        return None
    policy = rbac_pb2.Policy()
    policy.permissions.add(any=True)
    every = policy.principals.add().and_ids
    for claim, wanted in sorted(used.policy.jwt.claims.items()):
        source = every.ids.add().sourced_metadata
        matcher = source.metadata_matcher
        matcher.filter = _PAYLOADS
        matcher.path.add(key=used.digest)
        matcher.path.add(key=claim)
        values = (wanted,) if isinstance(wanted, str) else wanted
        for value in values:
            for form in _forms(value):
                matcher.value.or_match.value_matchers.append(form)
                matcher.value.or_match.value_matchers.add().list_match.one_of.CopyFrom(form)
    override = rbac_filter_pb2.RBACPerRoute()
    override.rbac.rules.policies["claims"].CopyFrom(policy)
    return override


def _forms(value: str) -> list[Any]:
    """The value as text, and as the truth value or number it may be in the token."""
    text = value_pb2.ValueMatcher()
    text.string_match.exact = value
    forms = [text]
    if value in ("true", "false"):
        forms.append(value_pb2.ValueMatcher(bool_match=value == "true"))
    elif value.lstrip("-").isdigit() and len(value) <= 15:
        number = value_pb2.ValueMatcher()
        number.double_match.exact = float(value)
        forms.append(number)
    return forms
