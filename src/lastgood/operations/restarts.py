"""What a release starts and stops on its way: said before it does it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from lastgood.config.model import Listener
from lastgood.release.plan import Plan
from lastgood.release.release import RUNNING, Release, services_of

_HOW = {
    "blue_green": "beside the old ones",
    "rolling": "in place of the old ones, batch by batch",
    "canary": "beside the old ones, share by share",
}


WhyNotStartable = Callable[[str, int], str | None]
"""``(service, release)`` to why no instance of it could be started now, None where one could. Blocks."""


def kind_of(target: Release, name: str) -> Literal["service", "function"]:
    """What a running part of a release is called."""
    return "function" if f"function:{name}" in target.parts else "service"


def not_startable(plan: Plan, target: Release, why: WhyNotStartable) -> list[str]:
    """What a way back would have to start and cannot: its bundle is gone or damaged, a secret has no value."""
    starts = [step for step in plan.steps if step.verb == "start" and step.part.startswith("service:")]
    names = dict.fromkeys((step.part.partition(":")[2], int(step.args["release"])) for step in starts)
    found = ((name, why(name, release)) for name, release in names)
    return [
        f"{kind_of(target, name)} {name} cannot be started: {reason}" for name, reason in found if reason is not None
    ]


def late_listeners(before: Mapping[str, Listener], after: Mapping[str, Listener]) -> list[str]:
    """Listeners cannot be moved by shares of requests: what does not happen at once, though the release is live."""
    changed = [name for name, old in before.items() if name in after and _socket(old) != _socket(after[name])]
    lines = [f"moves listener {name} at the end of the bake: until then it stays as it is" for name in changed]
    gone = [name for name in before if name not in after]
    lines += [f"closes listener {name} at the end of the bake" for name in gone]
    taken = {(before[name].address, before[name].port): name for name in (*changed, *gone)}
    for name, new in after.items():
        if name not in before and (by := taken.get((new.address, new.port))) is not None:
            lines.append(f"opens listener {name} at the end of the bake, when {by} has left its port")
    return lines


def _socket(listener: Listener) -> tuple[object, ...]:
    return listener.address, listener.port, listener.tls


def restarts(
    live: Release | None, parts: Mapping[str, str], instances: Mapping[str, int], kinds: Mapping[str, str]
) -> list[str]:
    """A line for each service and function that changes; ``kinds`` are their strategies. What stays has none."""
    before = services_of(live) if live is not None else {}
    after = {part.partition(":")[2]: digest for part, digest in parts.items() if part.startswith(RUNNING)}
    there = {**(live.parts if live is not None else {}), **parts}
    functions = {part.partition(":")[2] for part in there if part.startswith("function:")}
    lines = []
    for name in sorted(before.keys() | after.keys()):
        count = instances.get(name, 1)
        many = f"{count} instance{'s' if count != 1 else ''}"
        kind = "function" if name in functions else "service"
        if name not in after:
            lines.append(f"stops {kind} {name}")
        elif name not in before:
            lines.append(f"starts {kind} {name}: {many}")
        elif before[name] != after[name]:
            how = _HOW.get(kinds.get(name, "blue_green"), _HOW["blue_green"])
            lines.append(f"restarts {kind} {name}: {many} of the new version {how}")
    return lines
