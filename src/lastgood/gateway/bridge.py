"""The state between two snapshots in which the routes of both work, for a push that does not go by way of a candidate.

Filters go out before the tables that use them. A filter that no longer knows what the old routes ask for would refuse
their requests until the new tables are there, and a wildcard that the host script knows too early finds no table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from envoy.config.core.v3 import extension_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2

from lastgood.gateway import names
from lastgood.gateway.packing import extension
from lastgood.gateway.snapshot import CLUSTER, ENDPOINTS, EXTENSION, SCOPE, Resource, Snapshot, digest_of_resources


def bridge(previous: Snapshot, wanted: Snapshot) -> Snapshot | None:
    """What to serve first on the way from one snapshot to another; ``None`` if the way is safe without.

    It is the wanted snapshot, save that filters know the policies of both (where both define one, the wanted: a
    revoked key is revoked at once), that wildcard hosts which go are still there, and that the host script is the old.
    """
    old, new = previous.resources[EXTENSION], wanted.resources[EXTENSION]
    filters = {name: _merged(name, old.get(name), new[name]) for name in _MERGE}
    host = old.get(names.HOST, new[names.HOST])
    going = _going(previous, wanted)
    extensions = {**new, **filters, names.HOST: host}
    if not going and extensions == new:
        return None
    scopes = dict(sorted({**going, **wanted.resources[SCOPE]}.items()))
    targets = {
        type_url: dict(sorted({**previous.resources.get(type_url, {}), **wanted.resources.get(type_url, {})}.items()))
        for type_url in (CLUSTER, ENDPOINTS)
    }
    resources = {**wanted.resources, **targets, EXTENSION: extensions, SCOPE: scopes}
    return replace(wanted, resources=resources, digest=digest_of_resources(resources))


def _going(previous: Snapshot, wanted: Snapshot) -> dict[str, Resource]:
    """The tables of wildcard hosts that are no more."""
    kept = wanted.resources[SCOPE]
    return {name: it for name, it in previous.resources[SCOPE].items() if "|*." in name and name not in kept}


def _merged(name: str, old: Resource | None, new: Resource) -> Resource:
    if old is None or old.version == new.version:
        return new
    message_type, merge = _MERGE[name]
    ours, theirs = message_type(), message_type()
    for resource, message in ((old, ours), (new, theirs)):
        extension_pb2.TypedExtensionConfig.FromString(resource.body).typed_config.Unpack(message)
    merge(ours, theirs)
    return extension(name, theirs)


def _merge_tokens(old: Any, new: Any) -> None:
    _add(old.providers, new.providers)
    _add(old.requirement_map, new.requirement_map)


def _merge_keys(old: Any, new: Any) -> None:
    known = old.xds_matcher.matcher_tree.exact_match_map.map
    if not known:
        return
    if not new.xds_matcher.HasField(
        "matcher_tree"
    ):  # it knows no policy: it is the old one's last resort, nothing else
        new.CopyFrom(old)
        return
    _add(known, new.xds_matcher.matcher_tree.exact_match_map.map)


def _add(old: Mapping[str, Any], new: Any) -> None:
    for name in set(old) - set(new):
        new[name].CopyFrom(old[name])


_MERGE: Mapping[str, tuple[Any, Callable[[Any, Any], None]]] = {
    names.JWT: (config_pb2.JwtAuthentication, _merge_tokens),
    names.KEYS: (extension_matcher_pb2.ExtensionWithMatcher, _merge_keys),
}
