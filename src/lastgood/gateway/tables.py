"""Each host's routes in the order in which they are asked, found anew only where something changed.

A request belongs to the most specific host pattern that covers it; the table of that pattern holds the routes of every
pattern that covers it too (a route for ``*`` is a route of each host), sorted by ``config.order.precedence``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lastgood.config.configuration import Configuration, Entry, canonical, changed_keys
from lastgood.config.model import Route
from lastgood.config.order import host_covers, precedence
from lastgood.errors import Refused
from lastgood.gateway.outline import Outline
from lastgood.gateway.packing import short
from lastgood.gateway.policies.used import Used, used_policy

Key = tuple[str, str]
"""``(listener, host pattern)`` or ``(listener, route name)``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A route on one listener with all it refers to; ``digest`` stands for all its compiled form depends on."""

    route: Route = field(repr=False, compare=False)
    digest: str
    targets: tuple[tuple[str, int], ...]
    """``(cluster name, weight)``."""
    used: tuple[Used, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The routes of a host, first match first."""

    rules: tuple[Rule, ...]
    signature: str


EMPTY_TABLE = Table((), "")


@dataclass(frozen=True)
class Index:
    """All tables of a configuration. ``clusters`` maps targets to clusters, ``hosts`` patterns to route names."""

    outline: Outline
    clusters: Mapping[str, str]
    used: Mapping[str, Used] = field(default_factory=dict)
    rules: Mapping[Key, Rule] = field(default_factory=dict)
    hosts: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[Key, Table] = field(default_factory=dict)

    @cached_property
    def wildcards(self) -> tuple[Key, ...]:
        """The wildcard hosts among the tables, ``*`` alone left out."""
        return tuple(key for key in self.tables if key[1].startswith("*."))

    def table(self, key: Key) -> Table:
        """The table that serves a host pattern, be it a pattern of this configuration or not."""
        listener, host = key
        for pattern in covering(host):
            found = self.tables.get((listener, pattern))
            if found is not None:
                return found
        return EMPTY_TABLE


NOTHING = Index(Outline(Configuration("", {})), {})


def covering(host: str) -> Iterator[str]:
    """The host or pattern itself, then every wider pattern that covers it: ``a.b.c``, ``*.b.c``, ``*.c``, ``*``."""
    yield host
    rest = host[2:] if host.startswith("*.") else host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if host != "*":
        yield "*"


def advance(previous: Index, outline: Outline, clusters: Mapping[str, str]) -> Index:
    """The index of a configuration; work and time follow what differs from the previous one, the result does not.

    Raises ``Refused`` where a route refers to something that is not there, or has two policies of a kind that a route
    can have one of.
    """
    configuration = outline.configuration
    changed = changed_keys(previous.outline.configuration, configuration)
    if any(key.startswith("listener:") for key in changed):
        previous, changed = NOTHING, set(configuration.entries)
    used = _policies(previous, configuration, changed)
    stale = {name for name in previous.used if used.get(name) != previous.used[name]}
    moved = {name for name in {*previous.clusters, *clusters} if clusters.get(name) != previous.clusters.get(name)}
    routes = {key.partition(":")[2] for key in changed if key.startswith("route:")}
    if stale or moved:
        routes |= {key[1] for key, rule in previous.rules.items() if _touched(rule, stale, moved)}
    rules, hosts = dict(previous.rules), dict(previous.hosts)
    dirty: set[Key] = set()
    for listener in outline.listeners:
        hosts.setdefault((listener, "*"), ())
        if (listener, "*") not in previous.tables:
            dirty.add((listener, "*"))
        dirty |= _place(outline, listener, routes, rules, hosts, used, clusters)
    return Index(outline, clusters, used, rules, hosts, _tables(previous, rules, hosts, dirty))


def _policies(previous: Index, configuration: Configuration, changed: set[str]) -> Mapping[str, Used]:
    names = {key.partition(":")[2] for key in changed if key.startswith("policy:")}
    if any(key.startswith("file:") for key in changed):
        names |= {name for name, used in previous.used.items() if used.policy.jwt}
    if not names:
        return previous.used
    kept = {name: used for name, used in previous.used.items() if name not in names}
    present = (name for name in names if f"policy:{name}" in configuration.entries)
    found = {**kept, **{name: used_policy(configuration, name) for name in present}}
    return dict(sorted(found.items()))


def _touched(rule: Rule, policies: set[str], targets: set[str]) -> bool:
    return any(used.name in policies for used in rule.used) or any(name in targets for name, _ in rule.route.targets)


def _place(
    outline: Outline,
    listener: str,
    routes: set[str],
    rules: dict[Key, Rule],
    hosts: dict[Key, tuple[str, ...]],
    used: Mapping[str, Used],
    clusters: Mapping[str, str],
) -> set[Key]:
    """Take these routes out of the listener's tables and put their new versions in; the patterns that changed."""
    dirty: set[Key] = set()
    gone: dict[Key, set[str]] = {}
    come: dict[Key, list[str]] = {}
    for name in routes:
        old = rules.pop((listener, name), None)
        for host in old.route.match.host if old else ():
            gone.setdefault((listener, host.lower()), set()).add(name)
        entry = outline.configuration.entries.get(f"route:{name}")
        if entry is None or (entry.value.listeners and listener not in entry.value.listeners):
            continue
        rules[listener, name] = _rule(outline, listener, entry, used, clusters)
        for host in dict.fromkeys(host.lower() for host in entry.value.match.host):
            come.setdefault((listener, host), []).append(name)
    for key in gone.keys() | come.keys():
        dirty.add(key)
        left = gone.get(key, set())
        names = (*(name for name in hosts.get(key, ()) if name not in left), *come.get(key, ()))
        if names or key[1] == "*":
            hosts[key] = names
        else:
            del hosts[key]
    return dirty


def _rule(
    outline: Outline,
    listener: str,
    entry: Entry,
    policies: Mapping[str, Used],
    clusters: Mapping[str, str],
) -> Rule:
    route: Route = entry.value
    where = entry.key
    wanted = route.use if route.use is not None else outline.listeners[listener].use
    used = []
    for name in dict.fromkeys(wanted):
        if name not in policies:
            raise Refused(f"policy {name} is used but not defined", where=where, next="define it or take it off")
        used.append(policies[name])
    for kind in ("jwt", "api_key", "cors"):
        if sum(item.policy.kind == kind for item in used) > 1:
            raise Refused(
                f"two {kind} policies on one route", where=where, next=f"name one {kind} policy for the route"
            )
    targets = []
    for name, weight in route.targets:
        if name not in clusters:
            raise Refused(f"{name} is neither an upstream nor a service", where=where, next=f"define {name}")
        targets.append((clusters[name], weight))
    parts = [_meaning(entry), *(item.digest for item in used), *(f"{name}={weight}" for name, weight in targets)]
    return Rule(route, short(*parts), tuple(targets), tuple(used))


def _meaning(entry: Entry) -> str:
    """What a route says, save what is looked up (policies, targets) and where it holds.

    A host that is added to a route is no change to the tables of its other hosts.
    """
    content = json.loads(entry.content)
    for looked_up in ("use", "public", "to", "listeners"):
        content.pop(looked_up, None)
    content.get("match", {}).pop("host", None)
    return canonical(content).decode()


def _tables(
    previous: Index, rules: Mapping[Key, Rule], hosts: Mapping[Key, tuple[str, ...]], dirty: set[Key]
) -> Mapping[Key, Table]:
    wide = [key for key in dirty if key[1].startswith("*")]
    if wide:
        dirty = dirty | {
            key for key in hosts if any(key[0] == listener and host_covers(wider, key[1]) for listener, wider in wide)
        }
    tables = dict(previous.tables)
    for key in dirty:
        if key in hosts:
            tables[key] = _table(key, rules, hosts)
        else:
            tables.pop(key, None)
    return tables


def _table(key: Key, rules: Mapping[Key, Rule], hosts: Mapping[Key, tuple[str, ...]]) -> Table:
    listener, host = key
    best: dict[str, str] = {}
    for pattern in covering(host):
        for name in hosts.get((listener, pattern), ()):
            best.setdefault(name, pattern)
    names = sorted(best, key=lambda name: precedence(rules[listener, name].route, best[name]))
    ordered = tuple(rules[listener, name] for name in names)
    return Table(ordered, short(*(rule.digest for rule in ordered)))
