"""How services stand: versions, instances, and how much of the requests each gets. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lastgood.operations.world import View
from lastgood.release.ledger import live_now
from lastgood.release.release import services_of
from lastgood.release.strategies.crews import share_of
from lastgood.release.strategies.routes import Loaded


def services(view: View) -> list[dict[str, Any]]:
    """Every service that runs or that the live release has, with its versions; the one with most requests first.

    ``healthy`` and ``wanted`` count instances as they were seen last (None: nobody could look), ``enough`` is what the
    live release asks for, ``unready`` says of those that are not healthy what came of asking them last, ``percent`` is
    the share of the requests, ``releases`` are those of which both is true: loaded, and this version.
    """
    live = live_now(view.state)
    release = view.release_of(live) if live is not None else None
    shares = _shares(view)
    names = {part.partition(":")[2] for part, _ in view.observed.facts if part.startswith("service:")}
    names |= {part.partition(":")[2] for part in (release.parts if release else ()) if part.startswith("service:")}
    return [
        {
            "service": name,
            "enough": release.instances.get(name, 1) if release and f"service:{name}" in release.parts else 0,
            "held_by": view.state.held.get(f"service:{name}"),
            "versions": _versions(name, view, shares),
        }
        for name in sorted(names)
    ]


def _shares(view: View) -> dict[int, Fraction]:
    """Every release that is loaded, and its share of the requests."""
    loaded = Loaded.of(view.observed)
    if loaded.base is None:
        return {}
    if loaded.candidate is None:
        return {loaded.base: Fraction(1)}
    return {loaded.base: 1 - share_of(loaded.percent), loaded.candidate: share_of(loaded.percent)}


def _versions(name: str, view: View, shares: dict[int, Fraction]) -> list[dict[str, Any]]:
    part = f"service:{name}"
    digests = {key.partition(":")[2] for key in view.observed.keys(part) if key.startswith("wanted:")}
    users = {number: services_of(view.release_of(number)).get(name) for number in shares}
    digests |= {digest for digest in users.values() if digest is not None}
    found = []
    unseen = None if "service" in view.observed.unknown else 0
    for digest in sorted(digests):
        mine = [number for number, used in users.items() if used == digest]
        found.append(
            {
                "version": digest,
                "wanted": view.observed.value(part, f"wanted:{digest}", unseen),
                "healthy": view.observed.value(part, f"healthy:{digest}", unseen),
                "unready": list(view.observed.value(part, f"unready:{digest}", ())),
                "failing": view.observed.value(part, f"failing:{digest}"),
                "percent": round(float(sum((shares[number] for number in mine), Fraction(0)) * 100), 4),
                "releases": sorted(mine),
            }
        )
    return sorted(found, key=lambda each: (-each["percent"], each["version"]))
