"""Alerts of a monitoring system: one that names a release and asks for it takes that release back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lastgood.errors import LastgoodError, UsageError
from lastgood.operations.rollback import CommitOf, Loosens, RollbackAsk, rollback
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev
from lastgood.release.state import Deployment

MOST = 100
LONGEST = 200
ASKS = "rollback"
"""The value of the label ``lastgood`` that asks for a way back."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Alert:
    """A firing alert: its name, the release it names, whether it asks for a way back, and its summary."""

    name: str
    release: int | None
    asks: bool
    summary: str

    @property
    def told(self) -> str:
        """In one line."""
        return f"alert {self.name}" + (f": {self.summary}" if self.summary else "")


def read_alerts(raw: Any) -> tuple[Alert, ...]:
    """The firing alerts of an Alertmanager webhook (version 4); raises ``UsageError`` for anything else."""
    found = raw.get("alerts") if isinstance(raw, Mapping) else None
    if not isinstance(found, Sequence) or isinstance(found, str) or len(found) > MOST:
        raise UsageError("this is no webhook of Alertmanager", next="send its JSON: version 4, at most 100 alerts")
    return tuple(_alert(one) for one in found if isinstance(one, Mapping) and one.get("status") == "firing")


def _alert(one: Mapping[str, Any]) -> Alert:
    labels, notes = _texts(one.get("labels")), _texts(one.get("annotations"))
    named = re.fullmatch(r"r(\d{1,9})", labels.get("release", ""))
    return Alert(
        labels.get("alertname", "without a name"),
        int(named[1]) if named else None,
        labels.get("lastgood") == ASKS,
        notes.get("summary", ""),
    )


def _texts(raw: Any) -> dict[str, str]:
    """Labels as short lines: they come from elsewhere and go into the journal."""
    if not isinstance(raw, Mapping):
        return {}
    return {str(key): _UNFIT.sub(" ", value)[:LONGEST] for key, value in raw.items() if isinstance(value, str)}


def heed(alert: Alert, commit: CommitOf, loosens: Loosens, view: View) -> Outcome:
    """What an alert leads to: a verdict on what bakes, a way back from what is live, else a note.

    What is on its way back, or came there by itself, is left alone whatever the alert says.
    """
    release = alert.release
    if not alert.asks or release is None:
        return _noted(f"{alert.told} (it names no release, or does not ask for a rollback)")
    if release not in view.state.releases:
        return _noted(f"{alert.told}: there is no r{release}")
    active = view.state.deployment
    if active is not None:
        return _while_it_moves(alert, release, active, view)
    if view.state.live != release:
        return _noted(f"{alert.told}: r{release} is not live, nothing is done")
    newest = view.state.deployments[max(view.state.deployments)]
    if newest.plan is not None and newest.plan.goes_back:
        return _noted(f"{alert.told}: r{release} is what {newest.name} went back to; a person has to decide")
    try:
        ask = RollbackAsk(by="an alert", why=alert.told)
        return rollback(ask, commit, loosens, view)
    except LastgoodError as refusal:
        return _noted(f"{alert.told}: no rollback by itself: {refusal.what}")


def _while_it_moves(alert: Alert, release: int, active: Deployment, view: View) -> Outcome:
    plan = active.plan
    if plan is None or plan.intent != "deploy" or plan.target != release:
        return _noted(f"{alert.told}: {active.name} is under way and r{release} is not what it brings")
    if view.state.verdict(release).name == "bad":
        return Outcome((), {"did": "nothing: it is going back already"})
    judged = ev.Judged(release, "bad", "veto", alert.told, "an alert")
    return Outcome(((None, judged),), {"did": f"r{release} goes back"})


def _noted(what: str) -> Outcome:
    return Outcome(((None, ev.Noted(what, "warning")),), {"did": "noted", "why": what})
