"""Who may come, by the address of the connection: what a client writes into x-forwarded-for does not count."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as rbac_filter_pb2

from lastgood.gateway.policies.used import Used


def ip_override(policies: Sequence[Used]) -> Any:
    """What a route says to the filter: of every policy none of the denied, and one of the allowed if any is named."""
    policy = rbac_pb2.Policy()
    policy.permissions.add(any=True)
    every = policy.principals.add().and_ids
    for used in policies:
        assert used.policy.ip
        for network in used.policy.ip.deny:
            every.ids.add().not_id.direct_remote_ip.CopyFrom(_network(network))
        if used.policy.ip.allow:
            some = every.ids.add().or_ids
            for network in used.policy.ip.allow:
                some.ids.add().direct_remote_ip.CopyFrom(_network(network))
    override = rbac_filter_pb2.RBACPerRoute()
    override.rbac.rules.policies["ip"].CopyFrom(policy)
    return override


def _network(text: str) -> Any:
    network = ipaddress.ip_network(text)
    cidr = rbac_pb2.Principal().direct_remote_ip
    cidr.address_prefix = str(network.network_address)
    cidr.prefix_len.value = network.prefixlen
    return cidr
