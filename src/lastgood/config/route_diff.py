"""What changed about a route: who may come, what it takes from other routes, and where it leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lastgood.config.change import Effect, Told, listing
from lastgood.config.configuration import Configuration, Entry
from lastgood.config.model import Match, Route
from lastgood.config.order import covers, host_covers, overlaps, parse_path, precedence
from lastgood.config.protection import guards_on, listeners_of, policies_on
from lastgood.config.setting_diff import setting_changes
from lastgood.config.values import format_duration

_PLAIN = ("redirect", "respond", "rewrite", "retries", "websocket")


class Neighbours:
    """The routes of a configuration by host and first segment: which ones may take requests from each other.

    Only routes that share requests with one of those ``near`` are looked at: the others have other hosts.
    """

    def __init__(self, configuration: Configuration, near: Iterable[Route]) -> None:
        self.configuration = configuration
        self._by_place: dict[tuple[str, str | None], list[Route]] = {}
        asked = {host for route in near for host in route.match.host}
        everywhere = any(host.startswith("*") for host in asked)
        on_host = configuration.on_host if asked else {}
        for host in on_host if everywhere else asked.union(host for host in on_host if host[0] == "*"):
            for entry in on_host.get(host, ()):
                self._place(host, entry.value)
        self._wild = tuple({host for host, _ in self._by_place if host.startswith("*")})

    def _place(self, host: str, route: Route) -> None:
        segments = parse_path(route.match.path).segments
        self._by_place.setdefault((host, segments[0] if segments else None), []).append(route)

    def behind(self, route: Route) -> list[tuple[Route, str]]:
        """Routes that would get some of a route's requests if it were not there, with the listener."""
        listeners = self.configuration.listeners
        found: dict[tuple[str, str], tuple[Route, str]] = {}
        for host in route.match.host:
            mine = precedence(route, host)
            for other, pattern in self._near(route, host):
                if other.name == route.name or precedence(other, pattern) < mine:
                    continue
                if overlaps(route.match, other.match):
                    on = set(listeners_of(route, listeners)) & set(listeners_of(other, listeners))
                    found.update({(other.name, listener): (other, listener) for listener in on})
        return [found[key] for key in sorted(found)]

    def _near(self, route: Route, host: str) -> Iterator[tuple[Route, str]]:
        segments = parse_path(route.match.path).segments
        hosts = {host, *(wild for wild in self._wild if host_covers(wild, host))}
        if segments and segments[0] is not None:
            places = [(pattern, first) for pattern in hosts for first in (segments[0], None)]
        else:
            places = [place for place in self._by_place if place[0] in hosts]
        for place in places:
            for other in self._by_place.get(place, ()):
                yield other, place[0]


def appearance(route: Route, neighbours: Neighbours, *, added: bool) -> Iterator[Told]:
    """What a route that is new means for who may come; with ``added`` false, what one that is gone means."""
    text = f"route {route.name} ({place_of(route.match)})"
    if route.public:
        yield f"{text} is {'new and public' if added else 'gone; it was public'}", "loosens" if added else "tightens"
    else:
        yield f"{text} is {'new' if added else 'gone'}", None
    for other, needs in sorted(_relations(route, neighbours).items()):
        yield from _taking(route, other, needs, added=added)


_Needs = tuple[frozenset[str], frozenset[str]]
"""Security policies of the other route that this one lacks, and those of this one that the other lacks."""


def _relations(route: Route, neighbours: Neighbours) -> dict[str, _Needs]:
    """Routes that would get some of a route's requests and are protected differently."""
    configuration = neighbours.configuration
    found: dict[str, _Needs] = {}
    for other, listener in neighbours.behind(route):
        on = configuration.listeners[listener]
        mine = guards_on(route, on, configuration.policies)
        theirs = guards_on(other, on, configuration.policies)
        if mine != theirs:
            lacks, adds = found.get(other.name, (frozenset[str](), frozenset[str]()))
            found[other.name] = (lacks | (theirs - mine), adds | (mine - theirs))
    return found


def _taking(route: Route, other: str, needs: _Needs, *, added: bool) -> Iterator[Told]:
    more: Effect = "loosens" if added else "tightens"
    less: Effect = "tightens" if added else "loosens"
    text = f"route {route.name} {'takes' if added else 'no longer takes'} requests from route {other}, which"
    if needs[0]:
        yield f"{text} needs {listing(sorted(needs[0]))}", more
    if needs[1]:
        yield f"{text} does not need {listing(sorted(needs[1]))}", less


def route_changes(old: Entry, new: Entry, before: Neighbours, after: Neighbours) -> Iterator[Told]:
    """What differs between two versions of a route, its policies left out (see :func:`protection_changes`)."""
    was: Route = old.value
    now: Route = new.value
    if was.match != now.match:
        yield f"route {now.name} matches {place_of(now.match)} instead of {place_of(was.match)}", None
        yield from _moved(was, now, before, after)
    if was.targets != now.targets:
        yield f"route {now.name}: target {_targets(was)} -> {_targets(now)}", None
    if was.headers != now.headers:
        yield f"route {now.name}: header changes are different", None
    for field, label in (("timeout_s", "timeout"), ("idle_timeout_s", "idle_timeout")):
        one, two = getattr(was, field), getattr(now, field)
        if one != two:
            yield f"route {now.name}: {label} {_time(one)} -> {_time(two)}", None
    for change in setting_changes(was, now, _PLAIN):
        yield f"route {now.name}: {change}", None


def _moved(was: Route, now: Route, before: Neighbours, after: Neighbours) -> Iterator[Told]:
    """What another match means for who may come: of the requests that are new to it, and of those it lost."""
    wider = set(was.match.host) <= set(now.match.host) and covers(now.match, was.match)
    narrower = set(now.match.host) <= set(was.match.host) and covers(was.match, now.match)
    if now.public and not narrower:
        yield f"route {now.name} is public for requests it did not match before", "loosens"
    if was.public and not wider:
        yield f"route {now.name} is no longer public for requests it matched before", "tightens"
    old, new = _relations(was, before), _relations(now, after)
    for other, needs in sorted(new.items()):
        if not narrower or other not in old:  # a narrower path may win where the wider one did not
            yield from _taking(now, other, needs, added=True)
    for other, needs in sorted(old.items()):
        if not wider or other not in new:
            yield from _taking(was, other, needs, added=False)


def protection_changes(old: Route, new: Route, before: Configuration, after: Configuration) -> Iterator[Told]:
    """What changed about who may come by a route, on the listeners that both configurations have.

    A listener's default is part of it, so a route that was not edited may be here too.
    """
    old_on, new_on = listeners_of(old, before.listeners), listeners_of(new, after.listeners)
    both = before.listeners.keys() & after.listeners.keys()
    for listener in sorted(both & set(new_on) - set(old_on)):
        yield f"route {new.name} is now served on listener {listener}", "loosens"
    for listener in sorted(both & set(old_on) - set(new_on)):
        yield f"route {new.name} is no longer served on listener {listener}", "tightens"
    gone: dict[str, list[str]] = {}
    come: dict[str, list[str]] = {}
    shared = sorted(both & set(old_on) & set(new_on))
    for listener in shared:
        was = set(policies_on(old, before.listeners[listener]))
        now = set(policies_on(new, after.listeners[listener]))
        for name in was - now:
            gone.setdefault(name, []).append(listener)
        for name in now - was:
            come.setdefault(name, []).append(listener)
    if new.public and not old.public:
        yield f"route {new.name} is now public", "loosens"
    if old.public and not new.public:
        yield f"route {new.name} is no longer public", "tightens"
    for name, listeners in sorted(gone.items()):
        where = "" if listeners == shared else f" on listener {listing(listeners)}"
        cors = before.policies[name].kind == "cors"
        yield f"route {new.name} no longer has the policy {name}{where}", "tightens" if cors else "loosens"
    for name, listeners in sorted(come.items()):
        where = "" if listeners == shared else f" on listener {listing(listeners)}"
        cors = after.policies[name].kind == "cors"
        yield f"route {new.name} now has the policy {name}{where}", "loosens" if cors else "tightens"


def place_of(match: Match) -> str:
    """``GET shop.example/catalog/*``: a match in short; conditions by their names."""
    methods = "|".join(match.methods) + " " if match.methods else ""
    named: Mapping[str, Any] = {"header": match.headers, "query": match.query}
    extra = "".join(f", {kind} {listing(sorted(names))}" for kind, names in named.items() if names)
    return f"{methods}{'|'.join(match.host)}{match.path}{extra}"


def _targets(route: Route) -> str:
    if route.to is None:
        return "the gateway itself"
    if isinstance(route.to, str):
        return route.to
    return ", ".join(f"{share.to} ({share.weight})" for share in route.to)


def _time(seconds: float | None) -> str:
    return "default" if seconds is None else format_duration(seconds)
