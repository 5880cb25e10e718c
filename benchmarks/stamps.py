"""What the journal says of deployments: it keeps the boot-time clock, as everything here does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from lastgood import bootstrap
from lastgood.release import events as ev
from lastgood.settings import Places


@dataclass
class Stamps:
    """One deployment: when its steps began and ended, and how long each took from push to acknowledgement."""

    requested_ms: float = 0.0
    began_ms: dict[str, float] = field(default_factory=dict)
    ended_ms: dict[str, float] = field(default_factory=dict)
    push_ms: dict[str, float] = field(default_factory=dict)


def stamps(places: Places, deployments: Collection[int]) -> dict[int, Stamps]:
    """By deployment; moments in ms of the boot-time clock."""
    found = {number: Stamps() for number in deployments}
    journal = bootstrap.open_journal(places, read_only=True)
    try:
        for event in journal.read():
            if event.deployment not in found:
                continue
            one, at_ms = found[event.deployment], event.at.boot_s * 1e3
            if isinstance(event.body, ev.Requested):
                one.requested_ms = at_ms
            elif isinstance(event.body, ev.StepEnded):
                step, result = event.body.step, event.body.result
                one.ended_ms[step] = at_ms
                if "began_s" in result:
                    one.began_ms[step] = float(result["began_s"]) * 1e3
                if "took_ms" in result:
                    one.push_ms[step] = float(result["took_ms"])
    finally:
        journal.close()
    return found
