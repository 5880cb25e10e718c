"""Rate limits: a filter for each policy, whose buckets live as long as its content stays the same.

All routes with the policy draw from the same buckets: one for each client with ``key: client_ip``, ``api_client`` or
``header:NAME``, a single one with ``key: all``. Requests that lack the header share one bucket. A limit of its own
for a route is a policy of its own.

Routes say in their metadata which policies count them; that works for redirects and direct responses too, which
cannot carry ``rate_limits``, and leaves their bytes free of slot numbers.
"""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2

from lastgood.config.model import RateLimit
from lastgood.gateway import names
from lastgood.gateway.packing import extension
from lastgood.gateway.snapshot import Resource

_MAX_CLIENTS = 20_000
"""Buckets per policy, the least recently used goes first; Envoy's default of 20 forgets a client at once."""
_POLICY, _CLIENT, _ADDRESS = "policy", "client", "masked_remote_address"


def limit_filter(slot: int, digest: str | None, limit: RateLimit | None) -> Resource:
    """The filter of a slot; without a policy it does nothing."""
    name = names.limit_filter(slot)
    message = local_rate_limit_pb2.LocalRateLimit(stat_prefix=name.replace("-", "_"))
    if digest and limit:
        _fill(message, digest, limit)
    return extension(name, message)


def _fill(message: Any, digest: str, limit: RateLimit) -> None:
    message.filter_enabled.default_value.numerator = 100  # the default of both is 0: a limit that does nothing
    message.filter_enforced.default_value.numerator = 100
    message.always_consume_default_token_bucket.value = False
    message.max_dynamic_descriptors.value = _MAX_CLIENTS
    message.enable_x_ratelimit_headers = 1  # DRAFT_VERSION_03
    _actions(message.rate_limits.add(), digest, limit.key)
    entries = [[(_POLICY, digest)]]
    if limit.key != "all":
        entries.insert(0, [(_POLICY, digest), (_ADDRESS if limit.key == "client_ip" else _CLIENT, "")])
    for pairs in entries:
        descriptor = message.descriptors.add()
        for key, value in pairs:
            descriptor.entries.add(key=key, value=value)
        bucket = descriptor.token_bucket
        bucket.max_tokens = limit.burst or limit.requests
        bucket.tokens_per_fill.value = limit.requests
        bucket.fill_interval.FromNanoseconds(round(limit.per_s * 1e9))


def _actions(rate_limit: Any, digest: str, key: str) -> None:
    which = rate_limit.actions.add().metadata
    which.descriptor_key = _POLICY
    which.metadata_key.key = names.LIMITS_METADATA
    which.metadata_key.path.add(key=digest)
    which.source = route_pb2.RateLimit.Action.MetaData.ROUTE_ENTRY
    if key == "client_ip":
        address = rate_limit.actions.add().masked_remote_address
        address.v4_prefix_mask_len.value = 32
        address.v6_prefix_mask_len.value = 64  # what one customer is given: he may use a new address for each request
    elif key != "all":
        header = rate_limit.actions.add().request_headers
        header.header_name = names.CLIENT_HEADER if key == "api_client" else key.removeprefix("header:").lower()
        header.descriptor_key = _CLIENT
        header.skip_if_absent = True
