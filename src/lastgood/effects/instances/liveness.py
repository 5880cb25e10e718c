"""Instances that live and give no answer any more are restarted.

Only silence counts: an instance that says 503 lives, and may only be waiting for something that a restart would not
mend. Only one that was healthy is meant: who never was is still starting, and its step has a deadline. The others of
its version are not touched, so all of them are restarted at once only where all are silent.

It loses no request: it is out of the gateway, acknowledged, and what it still had in its hands has had the time to
drain, before it is asked to end. Where nobody else of its version is left there is nothing to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lastgood.effects.instances.vitals import Instance
from lastgood.errors import LastgoodError


@dataclass
class Liveness:
    """``is_hung`` as of now; ``leave`` returns once an instance gets no requests and has none in its hands, or its
    patience is over; ``restart(key, pid)`` ends and starts it.
    """

    is_hung: Callable[[Instance], bool]
    leave: Callable[[Instance], Awaitable[None]]
    restart: Callable[[str, int], Awaitable[bool]]
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def mind(self, instances: Iterable[Instance]) -> None:
        """Restart who is hung; does not wait for it. The next look sees what became of it."""
        for each in instances:
            if each.key not in self._under_way and self.is_hung(each):
                self._under_way[each.key] = task = asyncio.create_task(self._restart(each))
                task.add_done_callback(lambda _, key=each.key: self._under_way.pop(key, None))  # type: ignore[misc]

    def stop(self) -> None:
        """Restart nobody any more."""
        for task in list(self._under_way.values()):
            task.cancel()

    async def _restart(self, instance: Instance) -> None:
        try:
            await self.leave(instance)
            if self.is_hung(instance) and instance.state.pid is not None:
                await self.restart(instance.key, instance.state.pid)
        except LastgoodError:
            pass  # still hung at the next look: it is tried again


def others_ready(instance: Instance, instances: Sequence[Instance], is_ready: Callable[[Instance], bool]) -> bool:
    """Whether another instance of its version answers in its place."""
    mine = (each for each in instances if (each.name, each.digest) == (instance.name, instance.digest))
    return any(is_ready(each) for each in mine if each.key != instance.key)
