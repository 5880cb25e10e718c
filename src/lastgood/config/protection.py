"""Which policies a route has on which listener: where the listener's defaults and the route's own words meet."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.config.configuration import Configuration
from lastgood.config.model import Listener, Policy, Route


def listeners_of(route: Route, listeners: Mapping[str, Listener]) -> tuple[str, ...]:
    """Names of the listeners that serve a route, in the order of the mapping; all of them where it names none."""
    return tuple(name for name in listeners if not route.listeners or name in route.listeners)


def policies_on(route: Route, listener: Listener) -> tuple[str, ...]:
    """Names of the policies of a route on a listener: its own if it says `use` (be it empty), or the default."""
    return listener.use if route.use is None else route.use


def guards_on(route: Route, listener: Listener, policies: Mapping[str, Policy]) -> frozenset[str]:
    """Names of the security policies of a route on a listener."""
    return frozenset(name for name in policies_on(route, listener) if name in policies and policies[name].protects)


def users_of(policy: str, configuration: Configuration) -> tuple[str, ...]:
    """Names of the routes that have a policy on any listener."""
    listeners = configuration.listeners
    return tuple(
        name
        for name, route in configuration.routes.items()
        if any(policy in policies_on(route, listeners[on]) for on in listeners_of(route, listeners))
    )
