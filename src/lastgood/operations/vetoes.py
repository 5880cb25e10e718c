"""What needs no statistics: a new version that crashes again and again, or of which nothing is healthy."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.release.observed import Observed

LOOKS = 3
"""Looks in a row at which nothing was healthy: one alone may be a probe that was lost."""


class Lookout:
    """Watches the versions that a release brings; ``new`` and ``old`` map services to digests."""

    def __init__(self, new: Mapping[str, str], old: Mapping[str, str]) -> None:
        self._new = {name: digest for name, digest in new.items() if old.get(name) != digest}
        self._old = old
        self._empty: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._alarm = ""

    @property
    def changed(self) -> bool:
        """Whether it brings any code."""
        return bool(self._new)

    def veto(self, observed: Observed) -> str:
        """Why it must go back at once; empty when there is no reason. The old version has to be able to take over."""
        for name, digest in sorted(self._new.items()):
            part = f"service:{name}"
            healthy = observed.value(part, f"healthy:{digest}")
            nothing = observed.value(part, f"wanted:{digest}") and not healthy
            self._empty[name] = self._empty.get(name, 0) + 1 if nothing else 0
            other = self._old.get(name)
            if other is not None and not observed.value(part, f"healthy:{other}"):
                continue
            if (failing := observed.value(part, f"failing:{digest}")) and not healthy:
                return str(failing) if str(failing).startswith(f"{name} ") else f"{name}: {failing}"
            if self._empty[name] >= LOOKS:
                return f"{name}: none of its instances is healthy"
        return ""

    def alarm(self, observed: Observed) -> str:
        """What a person should hear of now: that there is nothing to go back to, and that there is again; once each."""
        found = next((why for name in sorted(self._new) if (why := self._no_way_back(name, observed))), "")
        if found == self._alarm:
            return ""
        before, self._alarm = self._alarm, found
        return found or f"{before.partition(': ')[0]}: there is a way back again"

    def _no_way_back(self, name: str, observed: Observed) -> str:
        part, old = f"service:{name}", self._old.get(name)
        gone = observed.value(part, f"wanted:{old}") and not observed.value(part, f"healthy:{old}")
        self._gone[name] = self._gone.get(name, 0) + 1 if gone else 0
        if self._gone[name] < LOOKS:
            return ""
        if not observed.value(part, f"healthy:{self._new[name]}"):
            what = "no instance of either version is healthy, nothing moves by itself"
            return f"{name}: {what}: lastgood logs {name}, then lastgood promote, or lastgood abort"
        return (
            f"{name}: no instance of the version before is healthy, there is nothing to go back to; "
            "lastgood promote moves the other requests to the new one"
        )
