"""The only loop: requests and results come in, events are written, the engine decides, commands are carried out.

The command line, the HTTP API, the branch that is followed and the judge all send requests to it; nothing else acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lastgood.errors import Damaged, Fenced, LastgoodError, Unavailable
from lastgood.operations import replan
from lastgood.operations.eyes import Eyes
from lastgood.operations.record import Record, goes_back, with_result
from lastgood.operations.signals import Asked, Done
from lastgood.operations.world import Request, View, World
from lastgood.ports import Stamp
from lastgood.release import events as ev
from lastgood.release.engine import Append, Observe, Perform, Replan, WakeAt, decide, unmet
from lastgood.release.observed import Observed
from lastgood.release.releases import Releases
from lastgood.release.state import State, evolve, fold

OBSERVE_AGAIN_S = 0.05
UNJOURNALED_S = 1.0
ROUNDS = 1000
"""Decisions in a row without waiting; more would be a fault of ours, and a loop is always bounded."""


class Loop:
    """Runs one controller until it is stopped, or fenced by a newer one."""

    def __init__(
        self,
        world: World,
        state: State | None = None,
        *,
        on_event: Callable[[ev.Event], None] | None = None,
        damage: Damaged | None = None,
    ) -> None:
        """``damage``: the journal is broken after ``state``; nothing is decided, and what is asked is refused."""
        self._world = world
        self.damage = damage
        self._on_event = on_event or (lambda event: None)
        self._inbox: asyncio.Queue[Asked | Done | None] = asyncio.Queue()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._performed: dict[str, Mapping[str, Any]] = {}
        self._strays: set[asyncio.Task[None]] = set()
        self.release_of = Releases(world.journal.release)
        self._record = Record(world.journal)
        self._over: LastgoodError | None = None
        self._wake_s: float | None = None
        self.state = state or State()
        self._eyes = Eyes(world)

    # --- what others ask ---------------------------------------------------------------------------------------

    @property
    def unjournaled(self) -> int:
        """How many events wait for room on the disk."""
        return len(self._record.waiting)

    @property
    def observed(self) -> Observed:
        """What was seen last."""
        return self._eyes.observed

    def see(self, observed: Observed) -> None:
        """Take somebody's word for it: for those who only look."""
        self._eyes.observed = observed

    async def observe(self) -> None:
        """Look at every part."""
        await self._eyes.observe()

    async def look(self, part: str) -> None:
        """Look at one kind of parts again."""
        await self._eyes.look(part)

    async def freshen(self) -> None:
        """Look at what changes by itself."""
        await self._eyes.freshen()

    def view(self) -> View:
        """What a request decides on."""
        return View(self.state, self.observed, self._world.clock.now(), self.release_of)

    async def ask(self, request: Request) -> Mapping[str, Any]:
        """Have a request decided on the loop; raises what it refuses with."""
        if (refusal := self.damage or self._over) is not None:
            raise refusal
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(Asked(request, answer, self._world.clock.now()))
        return await answer

    def stop(self) -> None:
        """Stop at the next turn; effects under way are repeated by the next controller."""
        self._inbox.put_nowait(None)

    # --- life --------------------------------------------------------------------------------------------------

    def recover(self, pid: int) -> None:
        """Begin a new epoch."""
        if self.damage is None:
            journal = self._world.journal
            self._write([(None, ev.TookOver(journal.epoch, pid, journal.seen_before_s))], back=True)

    async def run(self) -> None:
        """Until :meth:`stop`; a controller that was fenced raises ``Fenced`` and acts no more."""
        try:
            await self._eyes.observe()
            while True:
                if self.damage is None:
                    await self._settle()
                if not await self._next_signal():
                    return
        except Fenced as error:
            self._over = error
            raise
        finally:
            self._over = self._over or Unavailable("the controller has stopped", next="lastgood up")
            self._turn_away(self._over)
            await self._cancel(list(self._tasks))

    def _turn_away(self, why: LastgoodError) -> None:
        """Nobody may wait for a loop that has ended."""
        while not self._inbox.empty():
            signal = self._inbox.get_nowait()
            if isinstance(signal, Asked) and not signal.answer.done():
                signal.answer.set_exception(why)

    async def _next_signal(self) -> bool:
        patience_s = min(self._wake_s or UNJOURNALED_S, UNJOURNALED_S) if self._record.waiting else self._wake_s
        try:
            signal = await asyncio.wait_for(self._inbox.get(), patience_s)
        except TimeoutError:
            self._record.catch_up()
            return True
        if signal is None:
            return False
        if isinstance(signal, Done):
            await self._take(signal)
        else:
            await self._eyes.freshen()
            self._decide_request(signal)
        return True

    def _decide_request(self, asked: Asked) -> None:
        if asked.answer.cancelled():
            return
        try:
            outcome = asked.request(self.view())
            self._begin(list(outcome.events), asked.at)
        except Fenced as error:
            asked.answer.set_exception(error)
            raise
        except Exception as error:
            asked.answer.set_exception(error)
            return
        # The effect that has just begun goes first, then its message to the proxies, then the answer.
        turn = asyncio.get_running_loop()
        turn.call_soon(turn.call_soon, asked.give, outcome.answer)

    def _begin(self, bodies: list[tuple[int | None, ev.Body]], at: Stamp) -> None:
        """Write a request together with the first steps it leads to: one commit lies between a verb and its effect."""
        epoch = self._world.journal.epoch
        ahead = fold((ev.Event(0, epoch, owner, at, body) for owner, body in bodies), self.state)
        plans = any(isinstance(body, ev.Planned) for _, body in bodies)
        # What has a guard that does not hold by the look just taken is looked at again, in its turn.
        decided = decide(ahead, self.observed, at) if plans else ()
        first = [it for it in decided if isinstance(it, Perform) and unmet(it.step, self.observed) is None]
        started = [(c.deployment, ev.StepStarted(c.step.id, c.attempt)) for c in first]
        self._write([*bodies, *started], back=goes_back(bodies), at=at, asked=True, ahead=(len(bodies), ahead))
        for command in first:
            self._perform(command)

    async def _take(self, done: Done) -> None:
        deployment = self.state.deployment
        if deployment is None or deployment.plan is None or deployment.plan.id != done.plan:
            return
        self._tasks.pop(done.step.id, None)
        await self._eyes.look(done.step.part)
        progress = deployment.progress.get(done.step.id)
        if progress is None or progress.attempt != done.attempt:
            return
        if done.error is None and done.step.until is not None:
            self._performed[done.step.id] = done.result
            return
        ended = ev.StepEnded(done.step.id, done.result, done.error)
        self._write([(done.deployment, ended)], back=deployment.plan.goes_back)

    # --- deciding ----------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Decide until there is nothing to do but wait."""
        for _ in range(ROUNDS):
            if (without_room := self._forward_without_room()) is not None:
                await self._replan(without_room)
            commands = decide(
                self.state,
                self.observed,
                self._world.clock.now(),
                outstanding=self._tasks.keys(),
                performed=self._performed,
            )
            waits = [command.in_s for command in commands if isinstance(command, WakeAt)]
            self._wake_s = min(waits) if waits else None
            acts = [command for command in commands if not isinstance(command, WakeAt)]
            if any(isinstance(command, Observe) for command in acts):
                await self._observe_for(acts)
                return
            if not acts:
                return
            await self._carry_out(acts)
        raise LastgoodError("the engine does not come to rest", next="lastgood doctor, and please report it")

    def _forward_without_room(self) -> Replan | None:
        """A way forward needs its journal; without one the deployment goes back to what can be told of it."""
        deployment = self.state.deployment
        if not self._record.waiting or deployment is None or deployment.plan is None or deployment.halted is not None:
            return None
        if deployment.plan.goes_back:
            return None
        return Replan(deployment.number, "retreat", "the journal has no room", "unjournaled")

    async def _observe_for(self, acts: list[Any]) -> None:
        for command in acts:
            if isinstance(command, Observe):
                await self._eyes.look(command.step.part)
            else:
                await self._carry_out([command])
        self._wake_s = min(OBSERVE_AGAIN_S, self._wake_s or OBSERVE_AGAIN_S)

    async def _carry_out(self, acts: list[Append | Perform | Replan | Observe]) -> None:
        for command in acts:
            if isinstance(command, Replan):
                await self._replan(command)
                return
        if (swept := await self._swept(acts)) is not None:
            await self._replan(swept)
            return
        plan = self.state.deployment.plan if self.state.deployment else None
        back = plan is not None and plan.goes_back
        bodies: list[tuple[int | None, ev.Body]] = []
        performs = []
        for command in acts:
            if isinstance(command, Append):
                bodies.append((command.deployment, with_result(command.body, self._performed)))
            elif isinstance(command, Perform):
                if (why := await self._eyes.unmet(command.step)) is None:
                    performs.append(command)
                    bodies.append((command.deployment, ev.StepStarted(command.step.id, command.attempt)))
                else:
                    bodies.append((command.deployment, ev.StepEnded(command.step.id, error=why)))
        durable = self._write(bodies, back=back)
        for perform in performs if durable or back else ():
            self._perform(perform)

    async def _swept(self, acts: Sequence[object]) -> Replan | None:
        """Before a way back is over: what the plan before it had under way may have come to something after all."""
        deployment = self.state.deployment
        ends = any(isinstance(act, Append) and isinstance(act.body, ev.Ended) for act in acts)
        if not (ends and self._strays and deployment and deployment.plan and deployment.plan.goes_back):
            return None
        await asyncio.wait(self._strays, timeout=5.0)
        self._strays.clear()
        return Replan(deployment.number, deployment.plan.intent, "what was under way before has ended", "again")

    async def _replan(self, command: Replan) -> None:
        await self._cancel(list(self._tasks))
        self._performed.clear()
        await self._eyes.observe()
        self._write(list(replan.bodies(command, self.view())), back=True)

    def _perform(self, command: Perform) -> None:
        deployment = self.state.deployments[command.deployment]
        assert deployment.plan is not None
        self._tasks[command.step.id] = asyncio.create_task(
            self._effect(deployment.plan.id, command), name=f"{deployment.plan.id} {command.step.id}"
        )

    async def _effect(self, plan: str, command: Perform) -> None:
        result: Mapping[str, Any] = {}
        error: str | None = None
        began_s = self._world.clock.now().boot_s
        try:
            self._world.journal.check_fence()
            result = await self._world.driver(command.step.part).perform(command.step, f"{plan}/{command.step.id}")
        except LastgoodError as failure:
            error = failure.what if failure.where is None else f"{failure.where}: {failure.what}"
        except asyncio.CancelledError:
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        done = Done(plan, command.deployment, command.step, {**result, "began_s": began_s}, error, command.attempt)
        self._inbox.put_nowait(done)

    async def _cancel(self, steps: list[str]) -> None:
        tasks = [task for step in steps if (task := self._tasks.pop(step, None)) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)

    # --- the journal -------------------------------------------------------------------------------------------

    def _write(
        self,
        bodies: list[tuple[int | None, ev.Body]],
        *,
        back: bool,
        at: Stamp | None = None,
        asked: bool = False,
        ahead: tuple[int, State] | None = None,
    ) -> bool:
        """Write and fold; False when there was no room, and it will be written later.

        What is asked for is refused without room, unless it goes back. What is under way forward is taken back.
        ``ahead`` is the state after so many of the bodies, where it was folded already.
        """
        if not bodies:
            return True
        at = at or self._world.clock.now()
        refuse = asked and not back
        events = self._record.write(bodies, at, self.state.seq, refuse_without_room=refuse, back=back)
        if any(isinstance(body, ev.Requested | ev.Planned | ev.Superseded) for _, body in bodies):
            self._drop_tasks()
        known, folded = ahead or (0, self.state)
        for number, event in enumerate(events, 1):
            if isinstance(event.body, ev.StepEnded) and (late := self._tasks.pop(event.body.step, None)) is not None:
                late.cancel()
            self.state = replace(folded, seq=event.seq) if number <= known else evolve(self.state, event)
            self._on_event(event)
        return not self._record.waiting

    def _drop_tasks(self) -> None:
        """A new plan begins: what the old one had under way is cancelled, its results are ignored."""
        for task in self._tasks.values():
            task.cancel()
            self._strays.add(task)
        self._tasks.clear()
        self._performed.clear()
