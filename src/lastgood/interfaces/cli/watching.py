"""Waits for a deployment to get as far as was asked, and tells what happens meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lastgood.errors import LastgoodError, Unavailable
from lastgood.interfaces.cli.client import Controller, NoAnswer, NotRunning
from lastgood.interfaces.cli.failure import Missed
from lastgood.interfaces.cli.render_deployment import WAITS, name, proof
from lastgood.interfaces.cli.render_steps import Teller

Goal = Literal["converged", "good", "ended"]
QUIET_S = 3.0
"""Without an event for so long we ask whether the controller is still there."""
AWAY_S = 20.0
"""A controller that was killed is started again by the supervisor within this time."""
_BESIDE = (*WAITS, "watch")
"""What may be under way while nothing moves: a hook is asked for as long as its release is held or bakes."""
_TURNS = frozenset({"StepStarted", "StepEnded", "Halted", "Ended", "Confirmed"})


class Detached(Exception):
    """The person does not want to wait any longer (Ctrl-C)."""


@dataclass
class Watch:
    """One deployment that is watched. ``since``: events before this moment (ISO) are not told again."""

    controller: Controller
    number: int
    goal: Goal
    say: Callable[[list[str]], None]
    note: Callable[[str], None]
    since: str = ""
    quiet_s: float = QUIET_S
    away_s: float = AWAY_S

    def run(self) -> dict[str, Any]:
        """The deployment's report once the goal is reached, or it ended, or halted. Raises ``Detached``."""
        try:
            return self._run()
        except KeyboardInterrupt:
            raise Detached from None

    def _run(self) -> dict[str, Any]:
        teller, complained = Teller(), False
        for event in self._events():
            if event is not None:
                lines = teller.tell(event)
                if str(event["at"]) >= self.since:
                    self.say(lines)
                if event["kind"] not in _TURNS:
                    continue
            try:
                if self._is_reached():
                    return self.controller.deployment(self.number)
                complained = False
            except NotRunning:
                continue
            except NoAnswer as error:
                if not complained:
                    self.note(f"warning: {error.what}; still waiting, Ctrl-C detaches")
                complained = True
        raise AssertionError("the stream of events has no end")

    def _is_reached(self) -> bool:
        found = self.controller.get("/v1/status", timeout_s=5.0)["deployment"]
        return found is None or found["deployment"] != self.number or is_reached(found, self.goal)

    def _events(self) -> Iterator[dict[str, Any] | None]:
        """Events as they come; None when it was quiet for a while. A controller that restarts is found again."""
        yield None
        after = 0
        while True:
            for event in _pumped(self.controller, self.number, after, self.quiet_s):
                if isinstance(event, LastgoodError):
                    break
                after = event["seq"] if event is not None else after
                yield event
            gone_s = time.monotonic()
            while not self._answers():
                if time.monotonic() - gone_s >= self.away_s:
                    raise Unavailable(
                        f"the controller went away while d{self.number} was under way",
                        where=str(self.controller.path),
                        next="lastgood status; lastgood up goes on with it, lastgood rollback works without it",
                    )
                time.sleep(0.1)
            yield None
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            self.controller.get("/v1/status", timeout_s=1.0)
        except (NoAnswer, NotRunning):
            return False
        return True


def _pumped(
    controller: Controller, number: int, after: int, quiet_s: float
) -> Iterator[dict[str, Any] | LastgoodError | None]:
    """The stream read on a thread, so that neither silence nor Ctrl-C has to wait for the next event."""
    inbox: queue.SimpleQueue[dict[str, Any] | LastgoodError] = queue.SimpleQueue()

    def pump() -> None:
        try:
            for event in controller.events(number, after):
                inbox.put(event)
            inbox.put(Unavailable("the stream has ended"))
        except LastgoodError as error:
            inbox.put(error)
        except Exception as error:
            inbox.put(Unavailable(f"the stream broke: {error}"))

    threading.Thread(target=pump, daemon=True).start()
    while True:
        try:
            got = inbox.get(timeout=quiet_s)
        except queue.Empty:
            yield None
            continue
        yield got
        if isinstance(got, LastgoodError):
            return


def is_reached(found: Mapping[str, Any], goal: Goal) -> bool:
    """Whether a deployment has come as far as asked, or will not come further by itself."""
    if found["ended"] is not None or found["halted"] is not None:
        return True
    if goal == "ended":
        return False
    if goal == "good":
        return bool(found["verdict"] in ("good", "undecided") and not _moves(found))
    waiting = any(step["verb"] in WAITS and step["phase"] == "started" for step in found["steps"])
    return waiting and not _moves(found)


def _moves(found: Mapping[str, Any]) -> bool:
    return any(step["verb"] not in _BESIDE and step["phase"] == "started" for step in found["steps"])


def missed(found: Mapping[str, Any], *, wanted: tuple[str, ...] = ("done",), goal: Goal = "converged") -> Missed | None:
    """The error of a deployment that halted, ended otherwise than wanted or did not become good; None: all is well."""
    who = f"d{found['deployment']}"
    if found["halted"] is not None:
        choices = "   or   ".join(found["halted"]["choices"])
        return Missed(f"{who} halted: {found['halted']['why']}; traffic stays where it is", next=choices, report=found)
    ended = found["ended"]
    if ended is None or ended["outcome"] in wanted:
        return _open(found) if goal == "good" and found["verdict"] != "good" else None
    why = f": {ended['why']}" if ended["why"] else ""
    where = f"{name(ended['live'])} is live" if ended["live"] is not None else "nothing is live"
    told = f"{who} {_OUTCOMES.get(ended['outcome'], ended['outcome'])}{why}; {where}"
    if ended["outcome"] == "went back":
        told += f" ({proof(found)})"
    return Missed(told, next=f"lastgood report {who}", report=found)


def _open(found: Mapping[str, Any]) -> Missed:
    release = name(found["asked"])
    what = f"{release} is {found['verdict']}: the evidence does not suffice to call it good"
    return Missed(what, next=f"lastgood verdict {release}, then lastgood mark {release} good", report=found)


_OUTCOMES = {"failed": "failed", "went back": "went back", "superseded": "was superseded", "done": "was carried out"}
