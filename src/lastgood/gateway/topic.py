"""One type of resource on one stream: what the proxy has of it, and what of that is not what it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import compress
from operator import is_not

from lastgood.gateway.messages import Request
from lastgood.gateway.snapshot import CLUSTER, LISTENER, SCOPE, Resource

WILDCARD = frozenset({CLUSTER, LISTENER, SCOPE})
"""Types of which a proxy wants all there are when its first request names none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A response that is not answered yet: what it touched, and in the course of which push."""

    names: tuple[str, ...]
    push: int


@dataclass(slots=True)
class Topic:
    """One type of resource on this stream."""

    seen: bool = False
    wildcard: bool = False
    owed: bool = False  # an answer is due even when there is nothing to say
    names: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # names that must be answered, even that they do not exist
    held: dict[str, str | None] = field(default_factory=dict)  # name -> version; None: it has one, we cannot tell which
    todo: set[str] = field(default_factory=set)  # names whose held version is not the wanted one
    astray: bool = True  # what is held may differ from what is wanted where todo does not say so
    pending: dict[str, Sent] = field(default_factory=dict)  # by nonce

    def covers(self, name: str) -> bool:
        """Whether the proxy wants to know."""
        return self.wildcard or name in self.names

    def _is_right(self, name: str, wanted: Resource | None) -> bool:
        return name not in self.held if wanted is None else self.held.get(name) == wanted.version

    def compare(self, wanted: Mapping[str, Resource], names: Iterable[str] | None = None) -> None:
        """What is to do; of ``names`` alone if nothing but they differs from what was wanted before."""
        if names is None or self.todo or self.astray:
            names = (*wanted, *(name for name in self.held if name not in wanted))
        self.todo = {name for name in names if self.covers(name) and not self._is_right(name, wanted.get(name))}
        self.astray = False

    def subscribe(self, request: Request) -> None:
        """What the proxy asks for from now on."""
        if not self.seen and request.type_url in WILDCARD and not request.subscribe:
            self.wildcard = self.owed = True  # the older way to say "*", on the first request of a stream only
        self.seen = True
        if request.unsubscribe:
            self.names.difference_update(request.unsubscribe)
            self.wildcard = self.wildcard and "*" not in request.unsubscribe
            self.held = {name: version for name, version in self.held.items() if self.covers(name)}
        if "*" in request.subscribe:
            self.wildcard = self.owed = True
        named = {name for name in request.subscribe if name != "*"}
        self.names |= named
        # Asking again for what was sent before means that it was lost; what it reports to have, it does not ask for.
        self.asked = (self.asked | named.difference(request.initial_versions)) & self.names
        for name in self.asked:
            self.held.pop(name, None)


def others(before: Mapping[str, Resource], wanted: Mapping[str, Resource]) -> list[str]:
    """Names whose resource is not the same object: of thousands a few, and a push waits for this."""
    if before is wanted:
        return []
    found = list(compress(wanted, map(is_not, wanted.values(), map(before.get, wanted))))
    added = sum(name not in before for name in found)
    if len(before) + added == len(wanted):
        return found
    return [*found, *(name for name in before if name not in wanted)]
