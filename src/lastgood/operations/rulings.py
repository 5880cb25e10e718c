"""What the judge asks of the loop: one function for each ruling. A ruling that came too late changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.health.judge import Assessment
from lastgood.health.record import Case, write_assessment
from lastgood.operations.world import Outcome, View
from lastgood.release import events as ev

JUDGE = "the judge"
NOTHING = Outcome(())


@dataclass(frozen=True)
class Finding:
    """An assessment, and the record that it was made of."""

    case: Case
    found: Assessment
    lines: int
    digest: str

    @property
    def measured(self) -> ev.Measured:
        """As the journal keeps it."""
        return ev.Measured(self.case.release, self.lines, self.digest, write_assessment(self.found))

    @property
    def told(self) -> str:
        """In one line."""
        found = self.found
        if found.veto:
            return found.why
        once_in = 1 / max(found.p, 1e-12) if found.outcome == "bad" else found.good
        wrong = "no worse" if found.outcome == "bad" else "harmful"
        return f"{found.why}; one that is {wrong} comes so far at most once in {_rounded(once_in)}"


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 else "a million and more"


def is_on_trial(case: Case, view: View) -> bool:
    """Whether the release is still what its deployment brings, and not on its way back already."""
    active = view.state.deployment
    return (
        active is not None
        and active.number == case.deployment
        and active.plan is not None
        and active.plan.intent == "deploy"
        and active.plan.target == case.release
        and view.state.verdict(case.release).name != "bad"
    )


def begin(case: Case, told: str, view: View) -> Outcome:
    """From now on only measured evidence makes it good."""
    verdict = view.state.verdict(case.release)
    if not is_on_trial(case, view) or verdict.name != "baking":
        return NOTHING
    return Outcome(((None, ev.Judged(case.release, "baking", "measured", told, JUDGE)),))


def doubt(case: Case, why: str, view: View) -> Outcome:
    """What speaks against more requests; a hold does not end by its time as long as anything does."""
    active = view.state.deployment
    if not is_on_trial(case, view) or active is None or active.doubt == why:
        return NOTHING
    return Outcome(((case.deployment, ev.Doubted(why)),))


def condemn(finding: Finding, view: View) -> Outcome:
    """It is bad: the engine takes its deployment back. The verdict is durable before anything moves."""
    case = finding.case
    if not is_on_trial(case, view):
        return NOTHING
    basis: ev.Basis = "veto" if finding.found.veto else "measured"
    judged = ev.Judged(case.release, "bad", basis, finding.told, JUDGE)
    return Outcome(((None, finding.measured), (None, judged)), {"release": case.release})


def acquit(finding: Finding, view: View) -> Outcome:
    """It is known good."""
    case = finding.case
    if not is_on_trial(case, view) or view.state.verdict(case.release).name == "good":
        return NOTHING
    judged = ev.Judged(case.release, "good", "measured", finding.told, JUDGE)
    return Outcome(((None, finding.measured), (None, judged)), {"release": case.release})


def take_down(finding: Finding, go_back: Callable[[str, View], Outcome], view: View) -> Outcome:
    """What is live, and was good, is bad: back to the last known good by the ordinary way.

    ``go_back`` raises what stands in the way, such as a loosening; then a person is told, and nothing moves.
    """
    case = finding.case
    if not is_watched(case, view):
        return NOTHING
    basis: ev.Basis = "veto" if finding.found.veto else "measured"
    judged = ev.Judged(case.release, "bad", basis, finding.told, JUDGE)
    try:
        outcome = go_back(finding.told, view)
    except LastgoodError as refusal:
        why = f"r{case.release} is bad: {finding.told}; no rollback by itself: {refusal.what}; lastgood rollback"
        return Outcome(((None, finding.measured), (None, judged), (None, ev.Noted(why, "warning"))))
    moved = [
        (owner, judged if isinstance(body, ev.Judged) and body.release == case.release else body)
        for owner, body in outcome.events
    ]
    return Outcome(((None, finding.measured), *moved), outcome.answer)


def is_watched(case: Case, view: View) -> bool:
    """Whether the release is live, nothing is under way, and it did not come by a way back."""
    state = view.state
    newest = state.deployments.get(max(state.deployments, default=0))
    return (
        state.deployment is None
        and state.live == case.release
        and newest is not None
        and newest.number == case.deployment
        and newest.plan is not None
        and newest.plan.intent == "deploy"
        and state.verdict(case.release).name != "bad"
    )


def nowhere(finding: Finding, view: View) -> Outcome:
    """It is bad, and nothing was live before: it is kept, never called good, and a person is told."""
    case = finding.case
    if not is_on_trial(case, view) or view.state.verdict(case.release).name not in ("baking", "unproven"):
        return NOTHING
    why = f"{finding.told}; there is nothing to go back to"
    judged = ev.Judged(case.release, "undecided", "measured", why, JUDGE)
    note = ev.Noted(f"r{case.release} looks bad: {why}; deploy a commit that works", "warning")
    return Outcome(((None, finding.measured), (None, judged), (case.deployment, note)))


def leave_open(finding: Finding, view: View) -> Outcome:
    """The time is over and the evidence does not suffice: a person is asked."""
    case = finding.case
    verdict = view.state.verdict(case.release)
    if not is_on_trial(case, view) or verdict.name != "baking":
        return NOTHING
    why = "the time is over and the evidence does not suffice: " + "; ".join(finding.found.lacks)
    judged = ev.Judged(case.release, "undecided", "measured", why, JUDGE)
    name = f"r{case.release}"
    active = view.state.deployment
    stays = active is None or active.plan is None or active.plan.retreat_to is None
    instead = "deploy a commit that works" if stays else "lastgood abort"
    note = ev.Noted(f"{name} is undecided: lastgood mark {name} good, or {instead} ({why})", "warning")
    return Outcome(((None, finding.measured), (None, judged), (case.deployment, note)))


def take_back(finding: Finding, view: View) -> Outcome:
    """The time is over, the evidence does not suffice, and the policy is to go back then."""
    case = finding.case
    if not is_on_trial(case, view) or view.state.verdict(case.release).name == "good":
        return NOTHING
    why = "undecided when its time was over: " + "; ".join(finding.found.lacks)
    return Outcome(((None, finding.measured), (case.deployment, ev.AbortAsked(JUDGE, why))))


def keep(finding: Finding, view: View) -> Outcome:
    """Chain the record so far into the journal."""
    return Outcome(((None, finding.measured),))


def note(what: str, view: View) -> Outcome:
    """Something a person should find in the history."""
    return Outcome(((None, ev.Noted(what, "warning")),))


def note_of(deployment: int, what: str, view: View) -> Outcome:
    """The same of a deployment: who waits for it, and who reads its report, is told as well."""
    return Outcome(((deployment if view.state.active == deployment else None, ev.Noted(what, "warning")),))


def replayed(kept: ev.Measured, found: Assessment) -> Mapping[str, Any]:
    """Where a replay differs from what was said then; empty when it is the same bit for bit."""
    again = write_assessment(found)
    return {name: [kept.finding.get(name), value] for name, value in again.items() if kept.finding.get(name) != value}
