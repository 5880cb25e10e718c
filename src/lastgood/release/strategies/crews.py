"""Which services change their version on the way to a release, and how they stand now. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from lastgood.release.moves import Move, move_of
from lastgood.release.observed import Observed
from lastgood.release.release import GATEWAY, Release, services_of
from lastgood.release.strategies.crew import Crew

ROUNDED = Fraction(1, 1_000_000)
"""The least share that a proxy tells apart; percentages of a plan are rounded to it."""
ReleaseOf = Callable[[int], Release]


def share_of(percent: float) -> Fraction:
    """A percentage as a share: 33.3333 is a third again, since shares of so many instances are what is rounded."""
    exact = Fraction(percent) / 100
    simple = exact.limit_denominator(5000)
    return simple if abs(simple - exact) < ROUNDED else exact.limit_denominator(1_000_000)


def reached(observed: Observed, release_of: ReleaseOf) -> tuple[Release, ...]:
    """The releases that requests reach now, the base first."""
    base, candidate = observed.value(GATEWAY, "base"), observed.value(GATEWAY, "candidate")
    percent = observed.value(GATEWAY, "percent", 0.0)
    shares = [(base, 100.0 if candidate is None else 100.0 - percent), (candidate, percent)]
    return tuple(release_of(number) for number, share in shares if number is not None and share > 0)


def forward(observed: Observed, target: Release, leaving: Iterable[Release]) -> tuple[Crew, ...]:
    """The services that change, each by the strategy of the target."""
    return _crews(observed, target, tuple(leaving), lambda name, left: move_of(target, name))


def back(observed: Observed, target: Release, leaving: Iterable[Release]) -> tuple[Crew, ...]:
    """The services that change, all of them at once, save where the one that is left allows only so many instances."""

    def move(name: str, left: Release | None) -> Move:
        return move_of(left, name)

    return tuple(
        replace(crew, kind="rolling" if crew.kind == "rolling" else "blue_green", batch=crew.size)
        for crew in _crews(observed, target, tuple(leaving), move)
    )


def _crews(
    observed: Observed, target: Release, leaving: tuple[Release, ...], move_by: Callable[[str, Release | None], Move]
) -> tuple[Crew, ...]:
    crews = []
    for name, version in sorted(services_of(target).items()):
        versions = {release.number: services_of(release).get(name) for release in leaving}
        others = [release for release in leaving if versions[release.number] not in (None, version)]
        if leaving and not others and version in versions.values():
            continue  # it serves already, and nothing else does
        part, size = f"service:{name}", target.instances.get(name, 1)
        left = others[0] if len({versions[release.number] for release in others}) == 1 else None
        move = move_by(name, others[0] if others else None)
        crews.append(
            Crew(
                name,
                move.kind if left is not None else "blue_green",
                version,
                size,
                healthy=observed.value(part, f"healthy:{version}", 0),
                asked=observed.value(part, f"wanted:{version}", 0),
                left=versions[left.number] if left else None,
                left_asked=observed.value(part, f"wanted:{versions[left.number]}", 0) if left else 0,
                left_size=left.instances.get(name, 1) if left else 0,
                batch=move.batch,
                surge=move.surge,
                unavailable=move.unavailable,
            )
        )
    return tuple(crews)
