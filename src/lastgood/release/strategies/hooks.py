"""Hooks as steps of ``hook:NAME``: what a service's configuration says to run or to ask around a change of version.

Verbs of ``hook:SERVICE``: ``run`` ``{hook, release, timeout_s}`` runs the hook of that release's configuration once; a
no (exit code other than 0, an answer other than 2xx, no answer in time) is its failure. ``watch`` ``{hook, release,
timeout_s, every_s, while}`` asks again and again and fails at the first yes; it ends with the step ``while``.
"""

from __future__ import annotations

from lastgood.release.moves import move_of
from lastgood.release.release import Release
from lastgood.release.step import Step
from lastgood.release.strategies.instances import Needs

EVERY_S = 2.0
"""How often a hook that may take a release back is asked."""
GRACE_S = 5.0
"""For starting a command and reading its end, beyond the hook's own time."""
_SAID = {
    "before": "run {name}'s hook before it starts",
    "confirm_promotion": "ask whether {name} may get more requests",
    "after": "run {name}'s hook after the bake",
    "undo": "let {name} of {release} undo what it did",
}


def before(target: Release, names: frozenset[str], needs: Needs) -> list[Step]:
    """Before the first instance starts."""
    return _each(target, names, "before", "before", needs)


def confirm_promotion(target: Release, names: frozenset[str], shift: str, needs: Needs) -> list[Step]:
    """Before a share of the requests moves."""
    return _each(target, names, "confirm_promotion", f"ask-{shift}", needs)


def after(target: Release, names: frozenset[str], needs: Needs) -> list[Step]:
    """Once its bake is over; nothing depends on it. How long the old version stays warm is no matter of the hook's."""
    return _each(target, names, "after", "after", needs, soft=True)


def undo(left: Release, names: frozenset[str], needs: Needs) -> list[Step]:
    """The way of the version that was left to clean up, from its own release: never that of the target."""
    return _each(left, names, "undo", "undo", needs, soft=True)


def watch(target: Release, names: frozenset[str], lasts: str, needs: Needs) -> list[Step]:
    """While the step ``lasts`` is under way: a yes takes the release back."""
    found = []
    for name in sorted(names):
        timeout_s = move_of(target, name).hooks.get("on_rollback")
        if timeout_s is None:
            continue
        args = {
            "hook": "on_rollback",
            "release": target.number,
            "timeout_s": timeout_s,
            "every_s": EVERY_S,
            "while": lasts,
        }
        shows = f"ask whether {name} has to go back"
        found.append(Step(f"watch-{lasts}:{name}", f"hook:{name}", "watch", args, needs=needs, shows=shows))
    return found


def _each(
    release: Release, names: frozenset[str], hook: str, prefix: str, needs: Needs, *, soft: bool = False
) -> list[Step]:
    return [
        Step(
            f"{prefix}:{name}",
            f"hook:{name}",
            "run",
            {"hook": hook, "release": release.number, "timeout_s": timeout_s},
            needs=needs,
            deadline_s=timeout_s + GRACE_S,
            soft=soft,
            shows=_SAID[hook].format(name=name, release=release.name),
        )
        for name in sorted(names)
        if (timeout_s := move_of(release, name).hooks.get(hook)) is not None
    ]
