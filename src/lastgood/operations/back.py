"""A way back as somebody asks for it: what stands in its way is found out off the loop, before anything moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lastgood.errors import Refused
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import Schemas
from lastgood.operations.loop import Loop
from lastgood.operations.only import Shelf, plan_only, rollback_only
from lastgood.operations.restarts import WhyNotStartable, not_startable
from lastgood.operations.rollback import CommitOf, Loosens, Planned, RollbackAsk, plan_rollback, rollback
from lastgood.operations.schema_losses import may_go_down, refuse_losses, schema_losses
from lastgood.operations.world import Request, View


@dataclass(frozen=True)
class WayBackAsked:
    """What it takes to begin a way back."""

    loop: Loop
    configurations: Configurations
    schemas: Schemas | None
    commit: CommitOf
    loosens: Loosens
    shelf: Callable[[], Shelf]
    why_not_startable: WhyNotStartable

    async def begin(self, ask: RollbackAsk) -> dict[str, Any]:
        """Begin it. Where nothing has to be started and no schema moves, it is planned once and nothing is examined.

        Raises ``Refused`` for what it would lose, or could not start, and nothing was changed.
        """
        if may_go_down(self.loop.view().observed) and ask.only is None:
            planned = self._planned(ask, self.loop.view())
            if any(step.verb == "migrate_down" for step in planned.plan.steps):
                losses = await asyncio.to_thread(schema_losses, planned, self.configurations, self.schemas)
                refuse_losses(losses, planned.plan, accept_loss=ask.accept_loss)
        answer = await self.loop.ask(self._request(replace(ask, examine=not ask.accept_blocked)))
        if not answer.get("starts"):
            return dict(answer)
        planned = self._planned(ask, self.loop.view())
        blocked = await asyncio.to_thread(not_startable, planned.plan, planned.target, self.why_not_startable)
        refuse_unstartable(blocked, planned)
        return dict(await self.loop.ask(self._request(ask)))

    def _request(self, ask: RollbackAsk) -> Request:
        if ask.only is not None:
            return partial(rollback_only, ask, commit=self.commit, shelf=self.shelf())
        return partial(rollback, ask, self.commit, self.loosens)

    def _planned(self, ask: RollbackAsk, view: View) -> Planned:
        if ask.only is not None:
            return plan_only(ask, view, self.commit, self.shelf()).planned
        return plan_rollback(ask, view, self.commit)


def refuse_unstartable(blocked: list[str], planned: Planned) -> None:
    """Raise ``Refused`` for what would only come to a halt, with requests where they are."""
    if not blocked:
        return
    raise Refused(
        f"the way back to {planned.target.name} is blocked: {'; '.join(blocked)}; nothing was changed",
        next="lastgood history names others to go back to; --accept-blocked tries it all the same",
    )
