"""The files of a revision put together. Of thousands of files a commit changes a few: the rest is not gone through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lastgood.config.configuration import Entry
from lastgood.config.parse import MAIN_FILE, Fragment


@dataclass(frozen=True)
class Merge:
    """Fragments by path and what they say together; never changed, so that whoever holds one may keep it.

    ``told`` are the fragments that say more than routes, the main file first; ``on_host`` has the routes of each host
    pattern in the order of their files, ``said_by`` those files where there are several; ``uses`` counts the files
    whose routes use a policy.
    """

    fragments: Mapping[str, Fragment]
    told: tuple[Fragment, ...]
    entries: Mapping[str, Entry]
    on_host: Mapping[str, tuple[Entry, ...]]
    said_by: Mapping[str, tuple[str, ...]]
    uses: Counter[str]

    def first_route(self) -> Entry | None:
        """Some route, if there is any."""
        return next((entry for fragment in self.fragments.values() for entry in fragment.routes), None)


def merged(fragments: Iterable[Fragment]) -> Merge:
    """Everything anew. Of what stands twice the last counts; the main file is the first."""
    ordered = sorted(fragments, key=lambda fragment: (fragment.file != MAIN_FILE, fragment.file))
    entries: dict[str, Entry] = {}
    on_host: dict[str, tuple[Entry, ...]] = {}
    first_of: dict[str, str] = {}
    said_by: dict[str, tuple[str, ...]] = {}
    uses: Counter[str] = Counter()
    for fragment in ordered:
        entries.update(fragment.entries)
        uses.update(fragment.uses)
        for host, routes in fragment.hosts.items():
            if host in on_host:
                said_by[host] = (*said_by.get(host, (first_of[host],)), fragment.file)
                routes = (*on_host[host], *routes)
            else:
                first_of[host] = fragment.file
            on_host[host] = routes
    told = tuple(fragment for fragment in ordered if not fragment.plain)
    return Merge({fragment.file: fragment for fragment in ordered}, told, entries, on_host, said_by, uses)


@dataclass(frozen=True)
class Advance:
    """From one merge to the next: which entries and host patterns may differ, and which fragments are new."""

    merge: Merge
    keys: frozenset[str]
    hosts: frozenset[str]
    come: tuple[Fragment, ...]


def advance(before: Merge, come: Iterable[Fragment], gone: Iterable[str]) -> Advance | None:
    """The same as ``merged`` with fragments that are new or replaced and without the paths that are gone.

    None where that is more than an exchange of routes: a file that says something else, or a name that stands twice.
    """
    come = tuple(come)
    left = [before.fragments[path] for path in (*gone, *(one.file for one in come)) if path in before.fragments]
    if not all(fragment.plain for fragment in (*come, *left)):
        return None
    fragments, entries = dict(before.fragments), dict(before.entries)
    uses = Counter(before.uses)
    for fragment in left:
        del fragments[fragment.file]
        uses.subtract(fragment.uses)
        for key in fragment.entries:
            del entries[key]
    for fragment in come:
        if not entries.keys().isdisjoint(fragment.entries):
            return None
        fragments[fragment.file] = fragment
        uses.update(fragment.uses)
        entries.update(fragment.entries)
    hosts = frozenset(host for fragment in (*left, *come) for host in fragment.hosts)
    on_host, said_by = _on_hosts(before, hosts, fragments, come)
    keys = frozenset(key for fragment in (*left, *come) for key in fragment.entries)
    return Advance(Merge(fragments, before.told, entries, on_host, said_by, uses), keys, hosts, come)


def _on_hosts(
    before: Merge, hosts: Iterable[str], fragments: Mapping[str, Fragment], come: tuple[Fragment, ...]
) -> tuple[dict[str, tuple[Entry, ...]], dict[str, tuple[str, ...]]]:
    on_host, said_by = dict(before.on_host), dict(before.said_by)
    for host in hosts:
        routes = on_host.pop(host, ())
        paths = {*said_by.pop(host, ()), *({routes[0].file} if routes else ())}
        paths.update(fragment.file for fragment in come if host in fragment.hosts)
        speaking = sorted(
            (path for path in paths if path in fragments and host in fragments[path].hosts),
            key=lambda path: (path != MAIN_FILE, path),
        )
        if speaking:
            alone = fragments[speaking[0]].hosts[host]
            rest = (entry for path in speaking[1:] for entry in fragments[path].hosts[host])
            on_host[host] = (*alone, *rest) if len(speaking) > 1 else alone
        if len(speaking) > 1:
            said_by[host] = tuple(speaking)
    return on_host, said_by
