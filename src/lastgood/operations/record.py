"""Writing to the journal, and what to do when there is no room: kept, in order, until there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any

from lastgood.ports import Journal, JournalFull, Stamp
from lastgood.release.events import AbortAsked, Body, Event, Judged, Planned, StepEnded

Owned = tuple[int | None, Body]
"""A body and the deployment it belongs to."""


class Record:
    """One controller's writing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.waiting: list[tuple[Stamp, int | None, Body]] = []
        """What could not be written yet."""

    def write(self, bodies: list[Owned], at: Stamp, seq: int, *, refuse_without_room: bool, back: bool) -> list[Event]:
        """Write these together, after whatever waits; ``seq`` is the number of the event before.

        Without room they wait too, unless ``refuse_without_room``: then ``JournalFull`` is raised and nothing changed.
        """
        self.catch_up()
        try:
            if self.waiting:
                raise JournalFull("the disk is full", next="make room; what was not written follows")
            return self._journal.append(at, bodies, back=back)
        except JournalFull:
            if refuse_without_room:
                raise
            self.waiting += [(at, owner, body) for owner, body in bodies]
            epoch = self._journal.epoch
            return [Event(seq + i, epoch, owner, at, body) for i, (owner, body) in enumerate(bodies, 1)]

    def catch_up(self) -> None:
        """Write what could not be written when it happened, each with its own time."""
        try:
            while self.waiting:
                at = self.waiting[0][0]
                together = list(takewhile(lambda waiting, at=at: waiting[0] == at, self.waiting))  # type: ignore[misc]
                self._journal.append(at, [(owner, body) for _, owner, body in together])
                del self.waiting[: len(together)]
        except JournalFull:
            return


def goes_back(events: list[Owned]) -> bool:
    """Whether it leads back: that is done even where there is no room to write it down."""
    plans = [body.plan.goes_back for _, body in events if isinstance(body, Planned)]
    gives_up = any(isinstance(b, AbortAsked) or (isinstance(b, Judged) and b.verdict == "bad") for _, b in events)
    return all(plans) if plans else gives_up


def with_result(body: Body, performed: Mapping[str, Mapping[str, Any]]) -> Body:
    """The engine ends a step whose ``until`` holds; what its effect came to was kept until then, by step."""
    if isinstance(body, StepEnded) and body.step in performed:
        return replace(body, result=performed[body.step])
    return body
