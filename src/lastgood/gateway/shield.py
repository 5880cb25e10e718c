"""The shield: what fails on a canary and may be repeated is answered by the stable version.

An aggregate cluster has the canary's instances before the stable ones, and a retry never goes to those that were tried
before (the retry priority ``previous_priorities``). Every request is sent to the canary once, so that its failures are
counted; who asked does not see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.aggregate.v3 import cluster_pb2 as aggregate_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from lastgood.config.configuration import digest_of
from lastgood.config.model import Retries
from lastgood.gateway.matchers import one_of
from lastgood.gateway.outline import Outline
from lastgood.gateway.packing import packed, resource
from lastgood.gateway.snapshot import Resource

CONNECT_S = 2.0
BACK_OFF_MS = 1
"""Before a request is tried elsewhere; the least that Envoy takes."""
_MANY = 100_000
_REASONS = ("5xx", "reset", "connect-failure", "refused-stream")


@dataclass(frozen=True, slots=True)
class Shield:
    """The cluster of a canary, and the one that has the stable version behind it."""

    canary: str
    shielded: str


def shields(candidate: Outline, mine: Mapping[str, Resource], theirs: Mapping[str, Resource]) -> dict[Shield, Resource]:
    """The shields of a candidate: ``mine`` are its clusters by target, ``theirs`` those of the base."""
    found = {}
    for name, service in candidate.services.items():
        canary = service.strategy.canary
        if canary is None or not canary.shield or name not in mine or name not in theirs:
            continue
        if mine[name].name != theirs[name].name:
            made = _aggregate(name, mine[name].name, theirs[name].name)
            found[Shield(mine[name].name, made.name)] = made
    return found


def _aggregate(name: str, canary: str, stable: str) -> Resource:
    message = cluster_pb2.Cluster()
    message.name = f"{name}@shield-{digest_of(f'{canary} {stable}'.encode())[:8]}"
    message.connect_timeout.FromNanoseconds(round(CONNECT_S * 1e9))
    message.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    message.cluster_type.name = "envoy.clusters.aggregate"
    message.cluster_type.typed_config.CopyFrom(packed(aggregate_pb2.ClusterConfig(clusters=[canary, stable])))
    limits = message.circuit_breakers.thresholds.add()
    # The default of 3 retries at once would let failures through as soon as several come together.
    for limit in (limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries):
        limit.value = _MANY
    return resource(message.name, message)


def rescue(policy: Any, said: Retries | None) -> None:
    """Write into a retry policy that a failed attempt is repeated elsewhere; what the route says itself stays.

    A canary that hangs is rescued only where the route has a ``per_try_timeout``.
    """
    reasons = [reason for reason in policy.retry_on.split(",") if reason]
    policy.retry_on = ",".join([*reasons, *(reason for reason in _REASONS if reason not in reasons)])
    policy.num_retries.value = max(1, policy.num_retries.value)
    # The other try goes to somebody else, who is well: nothing is spared by waiting for 25 ms, Envoy's default.
    policy.retry_back_off.base_interval.FromMilliseconds(BACK_OFF_MS)
    policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
    config = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=1)
    policy.retry_priority.typed_config.CopyFrom(packed(config))
    if said is None:
        method = policy.retriable_request_headers.add(name=":method")
        method.string_match.CopyFrom(one_of(Retries().methods))
