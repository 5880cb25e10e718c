"""A deployment's events as lines, while they happen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lastgood.interfaces.cli.render_deployment import WAITS, name
from lastgood.interfaces.cli.text import milliseconds


@dataclass
class Teller:
    """Knows the steps of the plan it was told of; :meth:`tell` says what one more event means."""

    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)
    doubt: str = ""

    def tell(self, event: Mapping[str, Any]) -> list[str]:
        """The lines for one event, often none."""
        match event["kind"]:
            case "Planned":
                return self._planned(event)
            case "StepStarted":
                return self._began(event)
            case "StepEnded":
                return self._over(event)
            case "Confirmed":
                return ["  confirmed" if event.get("extend_s") is None else "  the time to confirm was extended"]
            case "Promoted":
                return ["  promoted: " + ("all requests move" if event.get("step") is None else "more requests move")]
            case "Paused":
                return ["  resumed" if event["resumed"] else "  paused: nothing moves on until lastgood resume"]
            case "Doubted":
                return self._doubted(event)
            case "AbortAsked":
                return [f"  abort asked for by {event['by']}"]
            case "Halted":
                return [f"  HALTED: {event['why']}"]
            case "Noted":
                return [f"  note: {event['what']}"]
            case "Superseded":
                return [f"  superseded by d{event['by']}"]
        return []

    def waits(self, step: str) -> bool:
        """Whether it is a step that only waits."""
        return self.steps.get(step, {}).get("verb") in WAITS

    def _doubted(self, event: Mapping[str, Any]) -> list[str]:
        before, self.doubt = self.doubt, event["why"]
        if not any(step.get("verb") == "hold" for step in self.steps.values()) or before == self.doubt:
            return []
        return [f"  no more requests move while {self.doubt}" if self.doubt else f"  no longer so: {before}"]

    def _planned(self, event: Mapping[str, Any]) -> list[str]:
        first = not self.steps
        self.steps = {step["id"]: step for step in event["steps"]}
        self.started.clear()
        if first and not event["why"]:
            return []
        return [f"  going to {name(event['target'])} instead: {event['why']}"]

    def _shows(self, step: str) -> str:
        return str(self.steps.get(step, {}).get("shows") or step)

    def _began(self, event: Mapping[str, Any]) -> list[str]:
        step = event["step"]
        self.started[step] = event["at"]
        again = f" (attempt {event['attempt']})" if event["attempt"] > 1 else ""
        return [f"  ...   {self._shows(step)}{again}"]

    def _over(self, event: Mapping[str, Any]) -> list[str]:
        step, result = event["step"], event["result"]
        took_ms = result.get("took_ms")
        if took_ms is None and step in self.started and not self.waits(step):
            took_ms = _between_ms(self.started[step], event["at"])
        took = f" ({milliseconds(took_ms)})" if took_ms is not None else ""
        if event["error"]:
            return [f"  fail  {self._shows(step)}{took}: {event['error']}"]
        away = f"; away: {', '.join(result['away'])}" if result.get("away") else ""
        return [f"  ok    {self._shows(step)}{took}{away}"]


def _between_ms(start: str, end: str) -> float | None:
    """From the wall clock of the journal: None when it was set back meanwhile."""
    passed_ms = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000
    return passed_ms if passed_ms >= 0 else None
