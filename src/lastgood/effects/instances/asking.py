"""How the instances of a version are asked, by what they are, and when a version is said to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lastgood.config.model import Health
from lastgood.effects.functions.asking import is_able
from lastgood.effects.functions.launching import Activated
from lastgood.effects.instances.launch import Launch
from lastgood.effects.instances.probing import Answer, probe
from lastgood.effects.instances.vitals import Instance, Probe

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
