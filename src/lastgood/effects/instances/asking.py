"""How the instances of a version are asked, by what they are, and when a version is said to fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lastgood.config.model import Health
from lastgood.effects.functions.asking import is_able
from lastgood.effects.functions.launching import Activated
from lastgood.effects.instances.launch import Launch
from lastgood.effects.instances.probing import Answer, probe
from lastgood.effects.instances.vitals import Instance, Probe, Vitals
from lastgood.errors import Failed
from lastgood.release.step import Step

_MOST_REASONS = 3
_BEFORE_S = 1.0
CRASHES = 3
"""Restarts within a minute, or hangs within ten, after which a version that is not ready is said to fail."""


def probe_of(launch: Launch | None) -> Probe:
    """The probe of an instance; without its launch a command runs anywhere and without its environment."""

    async def ask(port: int, health: Health) -> Answer:
        if isinstance(health, Activated):
            able = await is_able(port, health.timeout_s)
            return Answer(
                able, "its activator says it is able" if able else "its activator says it is not able, or nothing"
            )
        if launch is None:
            return await probe(port, health)
        return await probe(port, health, folder=launch.folder, env={**launch.env, **launch.secret_env})

    return ask


def unready(instances: Sequence[Instance], is_ready: Callable[[Instance], bool], vitals: Vitals) -> list[str]:
    """Who is not ready, and what came of asking it last; those that were not asked yet are not told."""
    found = []
    for each in sorted(instances, key=lambda i: i.port):
        if is_ready(each):
            continue
        said = vitals.said(each) if each.state.phase == "running" else _how_it_is(each)
        again = f"; restarted {each.state.hangs} times because it did not answer" if each.state.hangs else ""
        if said:
            found.append(f"{each.address}: {said}{again}")
    return found


def _how_it_is(instance: Instance) -> str:
    if not instance.is_down:
        return "is being ended" if instance.state.phase == "backoff" else f"is not running ({instance.state.phase})"
    code = instance.state.last_exit
    return "ended" + (f" with {code}" if code is not None else "") + " and waits to be started again"


def patience_s(step: Step) -> float:
    """How long to wait for a start. It gives up a little before its deadline: it knows why, and the engine only that it
    is late.
    """
    if step.deadline_s is None:
        return math.inf
    return step.deadline_s - min(_BEFORE_S, step.deadline_s / 20)


def not_ready_in_time(step: Step, able: int, reasons: Sequence[str], told: str) -> Failed:
    """The error of a start that took too long: why, as far as it is known, and the end of the log."""
    name, count = step.part.partition(":")[2], step.args["instances"]
    because = "".join(f"\n    {reason}" for reason in reasons[:_MOST_REASONS])
    more = len(reasons) - _MOST_REASONS
    because += f"\n    and {more} more" if more > 0 else ""
    what = f"{able} of {count} x {name} healthy within {step.deadline_s or 0.0:g} s{':' if because else ''}{because}"
    log = f"\n  the end of its log:\n{told}" if told else "\n  it printed nothing"
    return Failed(what + log, next=f"lastgood logs {name}; mend it, or its health or start_timeout in lastgood.yaml")


def failing(instances: Sequence[Instance], is_ready: Callable[[Instance], bool]) -> str | None:
    """Why their version cannot work, where that is plain."""
    for each in instances:
        state = each.state
        if is_ready(each):
            continue
        if state.hangs >= CRASHES:
            return f"{each.name} stops answering again and again: restarted {state.hangs} times within ten minutes"
        if state.restarts >= CRASHES:
            how = f"with {state.last_exit}" if state.last_exit is not None else "with a code nobody saw"
            return f"{each.name} ends again and again: {state.restarts} times within a minute, last {how}"
    return None
