"""The same operations without a controller: the command takes the lease and runs the loop itself, until it is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from lastgood import bootstrap
from lastgood.effects.processes.holder import holder, holder_lives
from lastgood.effects.system_clock import SystemClock
from lastgood.errors import Unavailable
from lastgood.operations.verbs import Verbs
from lastgood.settings import Places

Action = Callable[[Verbs], Awaitable[dict[str, Any]]]
LIMIT_S = 120.0


def with_verbs(
    places: Places,
    action: Action,
    *,
    until: Callable[[Verbs], bool] | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Run an action as the controller, then go on until ``until`` holds (default: no deployment is under way).

    Raises ``Conflict`` while another controller lives.
    """
    return asyncio.run(_as_controller(places, action, until or _is_over, on_event))


def with_verbs_read_only(places: Places, action: Action) -> dict[str, Any]:
    """Run an action that only looks; no lease is taken and nothing is written."""
    return asyncio.run(_looking(places, action))


def _is_over(verbs: Verbs) -> bool:
    deployment = verbs.loop.state.deployment
    return deployment is None or deployment.halted is not None


async def _as_controller(
    places: Places, action: Action, until: Callable[[Verbs], bool], on_event: Callable[[Any], None] | None
) -> dict[str, Any]:
    journal = bootstrap.open_journal(places)
    clock = SystemClock()
    lease = journal.lease()
    alive = lease is not None and holder_lives(lease.holder)
    journal.take_over(holder(), clock.now(), is_alive=alive, above=bootstrap.supervisor_epoch(places))
    options = bootstrap.Options.load(places.options)
    made = bootstrap.make_controller(places, options, journal, on_event=on_event, take_over=True)
    made.loop.recover(os.getpid())
    await made.proxies.start()
    try:
        await made.restore(made.loop.state.served, made.loop.state.accepted)
        running = asyncio.create_task(made.loop.run())
        answer = await action(made.verbs)
        await _wait(made, until, running)
        made.loop.stop()
        await running
        return answer
    finally:
        made.services.close()
        await made.proxies.leave()
        journal.give_up()
        journal.close()


async def _wait(made: bootstrap.Controller, until: Callable[[Verbs], bool], running: asyncio.Task[None]) -> None:
    waited_s = 0.0
    while not until(made.verbs) and waited_s < LIMIT_S:
        if running.done():
            running.result()
        made.journal.renew(made.clock.now())
        await asyncio.sleep(0.02)
        waited_s += 0.02


async def _looking(places: Places, action: Action) -> dict[str, Any]:
    if not places.journal.exists():
        raise Unavailable("nothing was deployed here yet", where=str(places.state), next="lastgood up")
    journal = bootstrap.open_journal(places, read_only=True)
    try:
        return await action(bootstrap.make_onlooker(places, journal))
    finally:
        journal.close()
