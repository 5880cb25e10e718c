"""Which rate limit has which of the filters that stand ready in every listener.

A filter that is added changes the listener, which resets every counter and leaves open connections without the limit.
So filters stand ready, empty, and a policy is given one for as long as possible: it keeps it, counters included, when
it goes out of use, until another policy needs the place. A rollback then finds the counters where they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lastgood.config.model import RateLimit

STEP = 16
"""Slots are made by so many; each costs a request a little under a microsecond."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that is taken. ``turn`` is the last change of assignments in which the policy was wanted."""

    digest: str
    limit: RateLimit
    turn: int


@dataclass(frozen=True)
class SlotTable:
    """Slot number -> what is in it. ``size`` filters stand ready; it never shrinks."""

    slots: Mapping[int, Slot] = field(default_factory=dict)
    size: int = STEP
    turn: int = 0

    def to_json(self) -> str:
        """The inverse of :meth:`from_json`."""
        slots = {
            str(number): {
                "digest": slot.digest,
                "limit": slot.limit.model_dump(mode="json", by_alias=True, exclude_defaults=True),
                "turn": slot.turn,
            }
            for number, slot in sorted(self.slots.items())
        }
        return json.dumps({"slots": slots, "size": self.size, "turn": self.turn}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SlotTable:
        """A table that :meth:`to_json` wrote. Raises ``ValueError`` if it is not one."""
        raw: dict[str, Any] = json.loads(text)
        slots = {
            int(number): Slot(item["digest"], RateLimit.model_validate(item["limit"]), item["turn"])
            for number, item in raw["slots"].items()
        }
        return cls(slots, raw["size"], raw["turn"])


def assign(table: SlotTable, wanted: Mapping[str, RateLimit]) -> SlotTable:
    """The table with a slot for each wanted policy (digest -> limit).

    Policies keep their slots; new ones take an empty slot, else that of the policy longest out of use; only when all
    are wanted the table grows. What is wanted already changes nothing: the same table comes back.
    """
    in_use = {slot.digest for slot in table.slots.values() if slot.turn == table.turn}
    if in_use == set(wanted):
        return table
    turn = table.turn + 1
    slots = {
        number: replace(slot, turn=turn) if slot.digest in wanted else slot for number, slot in table.slots.items()
    }
    missing = sorted(set(wanted) - {slot.digest for slot in slots.values()})
    size = table.size
    while size < len(wanted):
        size += STEP
    empty = [number for number in range(size) if number not in slots]
    idle = sorted((slot.turn, number) for number, slot in slots.items() if slot.turn != turn)
    free = [*empty, *(number for _, number in idle)]
    for number, digest in zip(free, missing, strict=False):
        slots[number] = Slot(digest, wanted[digest], turn)
    return SlotTable(slots, size, turn)
