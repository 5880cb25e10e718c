"""Upstreams on Unix sockets are looked at again whenever a state is compiled.

A commit was checked when it was drafted. An old release was checked by older rules, and what a path leads to can change
after the check: an endpoint that is one of Lastgood's own sockets by now gets no requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lastgood.config.configuration import Configuration, make_entry
from lastgood.gateway.snapshot import Generation, Traffic

KEPT = 6
WhyPrivate = Callable[[str], str | None]
"""Why the socket at this path must not be an upstream, None where it may be."""


class Barred:
    """Leaves such endpoints out; ``tell`` hears of each of them once."""

    def __init__(self, why_private: WhyPrivate, tell: Callable[[str], None] = lambda line: None) -> None:
        self._why_private, self._tell = why_private, tell
        self._looked: list[tuple[Configuration, dict[str, tuple[str, ...]]]] = []
        self._made: list[tuple[Configuration, frozenset[str], Configuration]] = []
        self._told: set[str] = set()

    def without(self, traffic: Traffic) -> Traffic:
        """The same traffic, or one whose upstreams lack the endpoints that are ours."""
        base = self._generation(traffic.base)
        candidate = self._generation(traffic.candidate) if traffic.candidate else None
        if base is traffic.base and candidate is traffic.candidate:
            return traffic
        return replace(traffic, base=base, candidate=candidate)

    def _generation(self, generation: Generation) -> Generation:
        found = set()
        for upstream, endpoints in self._sockets(generation.configuration).items():
            for endpoint in endpoints:
                if (why := self._why_private(endpoint.removeprefix("unix:"))) is not None:
                    found.add(endpoint)
                    self._say(f"r{generation.release}: upstream {upstream}: {endpoint} {why}: it gets no requests")
        if not found:
            return generation
        return replace(generation, configuration=self._filtered(generation.configuration, frozenset(found)))

    def _sockets(self, configuration: Configuration) -> dict[str, tuple[str, ...]]:
        for known, sockets in self._looked:
            if known is configuration:
                return sockets
        found = {
            name: tuple(endpoint for endpoint in upstream.endpoints if endpoint.startswith("unix:"))
            for name, upstream in configuration.upstreams.items()
        }
        found = {name: endpoints for name, endpoints in found.items() if endpoints}
        self._looked = [(configuration, found), *self._looked[: KEPT - 1]]
        return found

    def _filtered(self, configuration: Configuration, barred: frozenset[str]) -> Configuration:
        for known, without, made in self._made:
            if known is configuration and without == barred:
                return made
        entries = dict(configuration.entries)
        for name, upstream in configuration.upstreams.items():
            left = tuple(endpoint for endpoint in upstream.endpoints if endpoint not in barred)
            if left != upstream.endpoints:
                key = f"upstream:{name}"
                entries[key] = make_entry(key, upstream.model_copy(update={"endpoints": left}))
        made = Configuration(configuration.project, entries)
        self._made = [(configuration, barred, made), *self._made[: KEPT - 1]]
        return made

    def _say(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)
