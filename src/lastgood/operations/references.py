"""What a release refers to and no longer finds: clients whose keys are gone stay out, listeners without a key block."""

from __future__ import annotations

from collections.abc import Callable

from lastgood.config.configuration import Configuration

WhyUnusable = Callable[[str], str | None]
"""A secret reference to why it has no value, None where it has one."""


def unusable_clients(configuration: Configuration, why: WhyUnusable) -> list[str]:
    """Clients that a rollback does not let in again: revocations are not undone."""
    found = []
    for name, policy in configuration.policies.items():
        for client, reference in sorted(policy.api_key.clients.items()) if policy.api_key else ():
            if (reason := why(reference)) is not None:
                found.append(f"client {client} of {name} stays out: {reference} {reason}")
    return found


def _unusable_functions(configuration: Configuration, why: WhyUnusable) -> list[str]:
    """Functions that cannot start: they sleep and wake by themselves, with what secrets they had."""
    return [
        f"function {name}: {reference} {reason}"
        for name, function in configuration.functions.items()
        for reference in sorted(set(function.environment.values()))
        if reference.startswith("secret:") and (reason := why(reference)) is not None
    ]


def _unusable_keys(configuration: Configuration, why: WhyUnusable) -> list[str]:
    """Listeners that cannot open: nothing can stand in for a TLS key."""
    found = []
    for name, listener in configuration.listeners.items():
        if listener.tls is not None and (reason := why(listener.tls.key)) is not None:
            found.append(f"listener {name}: {listener.tls.key} {reason}")
    return found


def unusable(configuration: Configuration, why: WhyUnusable) -> list[str]:
    """What keeps a release from serving."""
    return [*_unusable_keys(configuration, why), *_unusable_functions(configuration, why)]


def without_value(configuration: Configuration, why: WhyUnusable) -> list[tuple[str, str]]:
    """``(reference, who needs it and why it has no value)``: without these a release cannot be started again."""
    needed: dict[str, str] = {}
    for name, listener in configuration.listeners.items():
        if listener.tls is not None:
            needed.setdefault(listener.tls.key, f"listener {name}")
    for kind, running in (("service", configuration.services), ("function", configuration.functions)):
        for name, each in running.items():
            for reference in sorted(each.environment.values()):
                if reference.startswith("secret:"):
                    needed.setdefault(reference, f"{kind} {name}")
    found = ((reference, who, why(reference)) for reference, who in needed.items())
    return [(reference, f"{who} needs it: it {reason}") for reference, who, reason in found if reason is not None]
