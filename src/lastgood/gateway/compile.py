"""Who serves what, to what the proxies are told. Pure: the same traffic gives the same bytes.

The chain of filters, in the order of a request: answer and say (the page that names the release), host (a host not
written as configured), headers, cors, ip, jwt, claims, keys, release, limit-0 ..., router.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter

from lastgood.config.model import Listener, RateLimit
from lastgood.errors import LastgoodError, Unavailable
from lastgood.gateway.cache import CompileCache
from lastgood.gateway.clusters import TRUSTED_CA, Target, assignment, cluster, service_target, upstream_target
from lastgood.gateway.doors import opened
from lastgood.gateway.fences import both, counted, settled
from lastgood.gateway.labels import Label, answer_filter, release_filter
from lastgood.gateway.listeners import certificate_secret, listener, same_socket
from lastgood.gateway.lua import host_filter
from lastgood.gateway.outline import Outline
from lastgood.gateway.policies.api_key import keys_filter
from lastgood.gateway.policies.jwt import jwt_filter
from lastgood.gateway.policies.rate_limit import limit_filter
from lastgood.gateway.policies.used import Used, used_policy
from lastgood.gateway.runtime import runtime_resource
from lastgood.gateway.scopes import scope
from lastgood.gateway.shield import shields
from lastgood.gateway.slots import SlotTable, assign
from lastgood.gateway.snapshot import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    RUNTIME,
    SCOPE,
    SECRET,
    Generation,
    Resource,
    Snapshot,
    Traffic,
)
from lastgood.gateway.tables import Index, Key, Table

Make = Callable[[Hashable, Callable[[], Resource]], Resource]
MOST_WATCHED = 500
"""Tables: more of them would be sent once more with the next release, only to be counted no longer."""


def compile_snapshot(
    traffic: Traffic,
    *,
    secrets: Mapping[str, str],
    slots: SlotTable,
    certificates: Mapping[str, tuple[str, str]],
    cache: CompileCache,
    trusted_ca: str = TRUSTED_CA,
) -> Snapshot:
    """The snapshot of a state of the gateway.

    ``secrets`` maps the text of a reference (``secret:x``) to its value, ``certificates`` the name of a listener to its
    PEM chain and key. ``slots`` should be ``assign(table, wanted_limits(traffic))``, which the caller keeps; a table
    without a place for every limit is completed. Raises ``Unavailable`` where a secret or certificate has no value,
    ``Refused`` where the configuration refers to something that is not there.
    """
    make = cache.resource
    generations = [traffic.base, *([traffic.candidate] if traffic.candidate else [])]
    outlines = [cache.outline(generation.configuration) for generation in generations]
    clusters = [
        _clusters(outline, generation, make, trusted_ca)
        for outline, generation in zip(outlines, generations, strict=True)
    ]
    indexes = [
        cache.index(outline, {target: made.name for target, made in named.items()})
        for outline, named in zip(outlines, clusters, strict=True)
    ]
    labels = [Label(item.release, item.configuration.gateway.release_header) for item in generations]
    shielded = shields(outlines[-1], clusters[-1], clusters[0]) if traffic.candidate else {}
    if traffic.candidate:
        labels = list(opened(labels[0], labels[1], outlines[-1]))
        labels[1] = replace(labels[1], shields=tuple((each.canary, each.shielded) for each in shielded))
    policies = {used.digest: used for index in indexes for used in index.used.values()}
    table = assign(slots, _limits(policies))
    listeners = _listeners(outlines)
    percent = traffic.percent if traffic.candidate else 0.0
    resources = {
        CLUSTER: _by_name([*(made for named in clusters for made in named.values()), *shielded.values()]),
        ENDPOINTS: _by_name(_assignments(generations, clusters, make)),
        SECRET: _certificates(listeners, certificates),
        EXTENSION: _extensions(indexes, labels, policies, table, secrets, make),
        LISTENER: _by_name(
            make(
                ("listener", name, settings.model_dump_json(), table.size),
                partial(listener, name, settings, slots=table.size),
            )
            for name, settings in listeners.items()
        ),
        SCOPE: _scopes(indexes, labels, listeners, cache, _before(traffic, make, trusted_ca, cache)),
        RUNTIME: _by_name([runtime_resource(traffic.candidate.release if traffic.candidate else None, percent)]),
    }
    cache.finish()
    return cache.snapshot(resources)


def with_percent(snapshot: Snapshot, traffic: Traffic, cache: CompileCache) -> Snapshot:
    """The same generations with another share of requests: one resource differs."""
    release = traffic.candidate.release if traffic.candidate else None
    runtime = _by_name([runtime_resource(release, traffic.percent if traffic.candidate else 0.0)])
    return cache.snapshot({**snapshot.resources, RUNTIME: runtime})


def wanted_limits(traffic: Traffic) -> dict[str, RateLimit]:
    """The rate limits that need a slot, by the digest of their policy."""
    generations = [traffic.base, *([traffic.candidate] if traffic.candidate else [])]
    used = (
        used_policy(generation.configuration, name)
        for generation in generations
        for name, policy in generation.configuration.policies.items()
        if policy.rate_limit
    )
    return _limits({item.digest: item for item in used})


def _limits(policies: Mapping[str, Used]) -> dict[str, RateLimit]:
    return {digest: used.policy.rate_limit for digest, used in policies.items() if used.policy.rate_limit}


def _clusters(outline: Outline, generation: Generation, make: Make, trusted_ca: str) -> dict[str, Resource]:
    """The cluster of every upstream and service, by the name of the target."""
    endpoints = generation.endpoints
    targets = [upstream_target(name, upstream) for name, upstream in outline.upstreams.items()]
    targets.extend(
        service_target(name, outline.services.get(name), endpoints.get(name, ()), generation.versions.get(name))
        for name in sorted({*outline.services, *outline.functions, *endpoints})
    )

    def made(target: Target) -> Resource:
        where = target.endpoints if target.version is None else target.version
        key = (target.name, where, target.health, target.http2, target.tls, target.connect_timeout_s)
        budget = target.retry_budget
        share = (budget.percent, budget.minimum) if budget else None
        return make(("cluster", *key, share, trusted_ca), lambda: cluster(target, trusted_ca=trusted_ca))

    return {target.name: made(target) for target in targets}


def _assignments(generations: list[Generation], clusters: list[dict[str, Resource]], make: Make) -> Iterable[Resource]:
    """The endpoints of every version, by the name of its cluster."""
    for generation, named in zip(generations, clusters, strict=True):
        for target in generation.versions:
            if target in named:
                name, where = named[target].name, generation.endpoints.get(target, ())
                yield make(("endpoints", name, where), partial(assignment, name, where))


def _listeners(outlines: list[Outline]) -> dict[str, Listener]:
    """The base's listeners as they are, and those the candidate adds, unless their socket is taken.

    A listener cannot be moved by shares: one that changes, or goes, does so when the candidate becomes the base.
    """
    listeners = dict(outlines[0].listeners)
    for name, settings in outlines[-1].listeners.items():
        if name not in listeners and not any(same_socket(settings, other) for other in listeners.values()):
            listeners[name] = settings
    return dict(sorted(listeners.items()))


def _certificates(
    listeners: Mapping[str, Listener], certificates: Mapping[str, tuple[str, str]]
) -> dict[str, Resource]:
    missing = [name for name, settings in listeners.items() if settings.tls and name not in certificates]
    if missing:
        raise Unavailable(
            "the certificate of a TLS listener is not there",
            where=f"listener:{missing[0]}",
            next="put the files that tls.cert and tls.key name in their places",
        )
    return _by_name(
        certificate_secret(name, *certificates[name]) for name, settings in listeners.items() if settings.tls
    )


def _extensions(
    indexes: list[Index],
    labels: list[Label],
    policies: Mapping[str, Used],
    table: SlotTable,
    secrets: Mapping[str, str],
    make: Make,
) -> dict[str, Resource]:
    """The filters that are resources of their own; what both generations need is in each of them."""
    tokens = tuple(sorted((item for item in policies.values() if item.policy.jwt), key=lambda item: item.digest))
    keys = sorted((item for item in policies.values() if item.policy.api_key), key=lambda item: item.digest)
    base, candidate = labels[0], labels[1] if len(labels) > 1 else None
    wildcards: dict[str, set[str]] = {}
    for index in indexes:
        for name, host in index.wildcards:
            wildcards.setdefault(name, set()).add(host)
    made = [
        make(("jwt", tuple(item.digest for item in tokens)), lambda: jwt_filter(tokens)),
        keys_filter(keys, secrets),
        make(("answer", base, candidate), lambda: answer_filter(base, candidate)),
        make(("release", base, candidate), lambda: release_filter(base, candidate)),
        host_filter(wildcards, _preview_host(indexes)),
    ]
    for number in range(table.size):
        slot = table.slots.get(number)
        digest, limit = (slot.digest, slot.limit) if slot else (None, None)
        made.append(make(("limit", number, digest), partial(limit_filter, number, digest, limit)))
    return _by_name(made)


def _before(traffic: Traffic, make: Make, trusted_ca: str, cache: CompileCache) -> Index | None:
    """The tables of the release before, where what serves alone is watched.

    None where they cannot be made any more: to serve must not depend on what is only compared with.
    """
    if traffic.before is None or traffic.candidate is not None:
        return None
    try:
        outline = cache.outline(traffic.before.configuration)
        named = _clusters(outline, traffic.before, make, trusted_ca)
        return cache.index(outline, {target: made.name for target, made in named.items()})
    except LastgoodError:
        return None


def _preview_host(indexes: list[Index]) -> str | None:
    """The candidate's word for it, else that of the release that serves: its address leads somewhere at any time."""
    previews = (index.outline.configuration.gateway.preview for index in reversed(indexes))
    return next((preview.host for preview in previews if preview and preview.host), None)


def _scopes(
    indexes: list[Index],
    labels: list[Label],
    listeners: Mapping[str, Listener],
    cache: CompileCache,
    before: Index | None = None,
) -> dict[str, Resource]:
    """One resource for each listener and host pattern of either generation."""
    watched = _watched(indexes[0], before)
    base, candidate = indexes[0], indexes[-1]
    theirs_of = candidate.tables
    settled_before = cache.settled
    settled_now: dict[Key, tuple[Table, Resource]] = {}
    made = []
    for key, mine in base.tables.items():
        theirs = theirs_of.get(key)
        if (left := watched.get(key)) is not None:
            made.append(_counted(key, mine, left, labels[0].release, cache))
        elif mine is theirs and (kept := settled_before.get(key)) is not None and kept[0] is mine:
            settled_now[key] = kept  # as it was: of thousands, nearly all
            made.append(kept[1])
        elif key[0] in listeners:
            made.append(_scope(key, mine, theirs or candidate.table(key), labels, cache, settled_now))
    made += [
        _scope(key, base.table(key), theirs_of[key], labels, cache, settled_now)
        for key in theirs_of.keys() - base.tables.keys()
        if key[0] in listeners
    ]
    cache.keep_settled(settled_now)
    return _by_name(made)


def _watched(base: Index, before: Index | None) -> Mapping[Key, Table]:
    """The tables that a watched release has changed, as they were; none where they are too many to be counted apart."""
    if before is None:
        return {}
    found = {}
    for key, mine in base.tables.items():
        if mine is not before.tables.get(key) and (left := before.table(key)).signature != mine.signature:
            found[key] = left
            if len(found) > MOST_WATCHED:
                return {}
    return found


def _counted(key: Key, mine: Table, before: Table, release: int, cache: CompileCache) -> Resource:
    content = (key, mine.signature, before.signature, release)
    return cache.find(content) or cache.keep(content, scope(key, counted(mine, before, release)))


def _scope(
    key: Key,
    mine: Table,
    theirs: Table,
    labels: list[Label],
    cache: CompileCache,
    settled_now: dict[Key, tuple[Table, Resource]],
) -> Resource:
    if mine is not theirs and mine.signature != theirs.signature:
        return _changing(key, mine, theirs, (labels[0], labels[-1]), cache)
    made = _settled(key, mine, cache)
    settled_now[key] = (mine, made)
    return made


def _settled(key: Key, table: Table, cache: CompileCache) -> Resource:
    content = (key, table.signature)
    return cache.find(content) or cache.keep(content, scope(key, settled(table)))


def _changing(key: Key, base: Table, candidate: Table, labels: tuple[Label, Label], cache: CompileCache) -> Resource:
    """Both generations, unless they differ in words only. The candidate's alone is what comes next: made beforehand."""
    mine, theirs = _settled(key, base, cache), _settled(key, candidate, cache)
    if mine == theirs:
        return mine
    content = (key, base.signature, candidate.signature, labels)
    return cache.find(content) or cache.keep(content, scope(key, both(base, candidate, labels)))


def _by_name(resources: Iterable[Resource]) -> dict[str, Resource]:
    return {made.name: made for made in sorted(resources, key=attrgetter("name"))}
