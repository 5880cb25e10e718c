"""What is wrong with the way services and functions move: alone, between services, and against the bake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from lastgood.config.bake import WARM_UP_S
from lastgood.config.configuration import Entry
from lastgood.config.model import Bake, Function, Service
from lastgood.config.strategies import Canary
from lastgood.config.values import format_duration
from lastgood.config.words import nearest
from lastgood.errors import Problem

if TYPE_CHECKING:
    from lastgood.config.parse import Fragment

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^?]*")
"""How secrets are named elsewhere; `file:/shop.db?mode=ro` is a text of its own."""
Found = Iterator[tuple[tuple[str | int, ...], str, str | None]]
"""Where in the section, what is wrong, and a hint."""


def service_problems(service: Service) -> Found:
    """What is wrong with one service by itself."""
    rolling, canary = service.strategy.rolling, service.strategy.canary
    if rolling is not None:
        at = ("strategy", "rolling", "max_unavailable")
        if rolling.surge == 0 and rolling.max_unavailable == 0:
            yield at, "with no surge and nothing unavailable no instance can be replaced", "let one of the two be 1"
        if rolling.max_unavailable >= service.instances:
            yield at, f"all {service.instances} instances could be missing", "keep at least one"
    yield from _steps(canary)
    yield from _environment(service.environment)


def function_problems(function: Function) -> Found:
    """What is wrong with one function by itself: what would be accepted and then do nothing is refused."""
    canary = function.strategy.canary
    yield from _steps(canary)
    yield from _environment(function.environment)
    if canary is not None and canary.shield:
        what = "the canary of a function has no shield: what fails on the new version is not asked again of the old one"
        yield ("strategy", "canary", "shield"), what, "take it out, or run it as a service"


def _environment(environment: Mapping[str, str]) -> Found:
    """Variables that would not reach the process as they are written."""
    for name, text in environment.items():
        at = ("environment", name)
        if not _VARIABLE.fullmatch(name):
            yield at, f"{name!r} is no name of a variable", "letters, digits and _, no digit first"
        elif name == "PORT" or name.startswith("LASTGOOD_"):
            yield at, f"{name} is set by Lastgood itself", "call yours otherwise"
        elif _REFERENCE.fullmatch(text):
            kind = text.partition(":")[0]
            what = f"{kind}: is not looked up here, the process would get the text itself"
            yield at, what, "lastgood secret set NAME, then secret:NAME"


def _steps(canary: Canary | None) -> Found:
    for index, (step, after) in enumerate(zip(canary.steps, canary.steps[1:], strict=False) if canary else (), 1):
        if after <= step:
            yield ("strategy", "canary", "steps", index), "each step has to be larger than the one before", None
    for index, step in enumerate(canary.steps if canary else ()):
        if not 0 < step < 100:
            yield (
                ("strategy", "canary", "steps", index),
                "a step is a share between 0% and 100%",
                "all requests come after the last step",
            )


def check_services(fragments: Iterable[Fragment], *, complete: bool) -> list[Problem]:
    """Services that wait for nobody or for each other, and old versions that go before the bake is over."""
    fragments = list(fragments)
    declared = frozenset[str]().union(*(fragment.services for fragment in fragments))
    placed = {
        entry.name: (fragment, entry)
        for fragment in fragments
        for entry in fragment.shared
        if isinstance(entry.value, Service)
    }
    services = {name: entry for name, (_, entry) in placed.items()}
    problems = []
    for fragment, entry in placed.values():
        for index, other in enumerate(entry.value.depends_on):
            what = hint = None
            if other not in declared and complete:
                what, hint = f"service {entry.name}: there is no service {other}", nearest(other, declared)
            elif entry.name in _reached(other, services):
                what = f"service {entry.name}: it would wait for itself, by way of {other}"
            if what:
                line = fragment.line(entry.key, "depends_on", index)
                problems.append(Problem(fragment.file, line, what, hint))
    return problems


def check_kept(fragments: Iterable[Fragment]) -> list[Problem]:
    """An old version has to stay warm for as long as the new one may still be found bad."""
    shared = [(fragment, entry) for fragment in fragments for entry in fragment.shared]
    bakes = [entry.value for _, entry in shared if isinstance(entry.value, Bake)]
    bake_s = (bakes[0] if bakes else Bake()).for_s
    problems = []
    for fragment, entry in shared:
        if not isinstance(entry.value, Service | Function) or entry.value.strategy.rolling is not None:
            continue
        kept_s = entry.value.strategy.kept_old_s
        if kept_s is not None and kept_s < bake_s:
            kind = "canary" if entry.value.strategy.canary else "blue_green"
            line = fragment.line(entry.key, "strategy", kind, "keep_old")
            told = f"the old version would be gone after {format_duration(kept_s)}, in the bake of "
            hint = f"keep it for {format_duration(bake_s)} or longer, or bake for less"
            what = f"{entry.kind} {entry.name}: {told}{format_duration(bake_s)}"
            problems.append(Problem(fragment.file, line, what, hint))
    return problems


def check_judged(fragments: Iterable[Fragment]) -> list[Problem]:
    """Warnings about times in which a release cannot be judged, because its new code is still warming up."""
    shared = [(fragment, entry) for fragment in fragments for entry in fragment.shared]
    baked = next(((fragment, entry) for fragment, entry in shared if isinstance(entry.value, Bake)), None)
    services = [(fragment, entry) for fragment, entry in shared if isinstance(entry.value, Service)]
    if baked is None or not baked[1].value.objectives or not services:
        return []
    fragment, entry = baked
    bake = entry.value
    warm_s = WARM_UP_S if bake.warm_up_s is None else bake.warm_up_s
    problems = []
    if warm_s and bake.for_s < warm_s + min(bake.at_least_s, bake.for_s):
        least = f"at_least {format_duration(min(bake.at_least_s, bake.for_s))}"
        spent = f"the first {format_duration(warm_s)} of the bake of {format_duration(bake.for_s)} are warm-up"
        hint = "bake for longer, or give it a shorter warm_up or at_least"
        what = f"where a service changes, {spent}, and with {least} no release is known good in time"
        problems.append(Problem(fragment.file, fragment.line(entry.key, "for"), what, hint, severity="warning"))
    for fragment, entry in services:
        canary = entry.value.strategy.canary
        if canary is not None and canary.hold_s <= warm_s:
            held = f"each share is held for {format_duration(canary.hold_s)}, and warm-up is {format_duration(warm_s)}"
            what = f"service {entry.name}: {held}: only a veto stops it before all requests move"
            line = fragment.line(entry.key, "strategy", "canary", "hold")
            problems.append(Problem(fragment.file, line, what, "hold for longer, or warm_up", severity="warning"))
    return problems


def _reached(name: str, services: Mapping[str, Entry]) -> set[str]:
    """The service and everything it waits for."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (here := waiting.pop()) in services and here not in found:
            found.add(here)
            waiting.extend(services[here].value.depends_on)
    return found
