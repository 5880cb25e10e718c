"""What can be asked of a running controller, one method a verb: the HTTP API and the command line both call these."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lastgood.config.change import Change
from lastgood.config.configuration import Configuration
from lastgood.errors import LastgoodError, Unavailable, UsageError
from lastgood.operations import reporting, steer
from lastgood.operations.alerting import heed, read_alerts
from lastgood.operations.back import WayBackAsked
from lastgood.operations.comparisons import Comparisons, Side, differences, side_of
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import Schemas
from lastgood.operations.deploy import DeployAsk, Draft, deploy, ended_by, is_at_ease
from lastgood.operations.drafting import Drafted, Drafting
from lastgood.operations.drilling import DrillAsk, last_drill, where_to
from lastgood.operations.drilling import begin as begin_drill
from lastgood.operations.loop import Loop
from lastgood.operations.only import Shelf, plan_only
from lastgood.operations.proofs import proofs_of, refuse_unproven, with_proofs
from lastgood.operations.references import WhyUnusable, unusable, unusable_clients
from lastgood.operations.rehearsing import Coming, Rehearsing, Trials, WayBack, refuse_blocked, refuse_blocked_drill
from lastgood.operations.restarts import WhyNotStartable, late_listeners, not_startable, restarts
from lastgood.operations.rollback import RollbackAsk, plan_rollback, rollback_by_itself
from lastgood.operations.rulings import JUDGE
from lastgood.operations.schema_losses import losses_or_why_not, reverted, stays_ahead
from lastgood.operations.terms import first_share, past_of, promised, terms_for
from lastgood.operations.verdicts import explain
from lastgood.operations.world import Outcome, View
from lastgood.ports import Evidence, Journal, Measurements, ProxyState
from lastgood.release.events import VerdictName
from lastgood.release.ledger import held_by, live_now, resolve_target
from lastgood.release.release import Release

GIVE_WAY_S = 0.25
GIVE_WAY_LOOKS = 25


@dataclass
class Verbs:
    """``drafting`` is None where the repository cannot be opened: everything but deploying works without it."""

    loop: Loop
    journal: Journal
    configurations: Configurations
    drafting: Drafting | None
    proxies: Callable[[], tuple[ProxyState, ...]]
    why_no_repository: str = ""
    why_unusable: WhyUnusable = lambda reference: None
    schemas: Schemas | None = None
    evidence: Evidence | None = None
    why_not_startable: WhyNotStartable = lambda name, release: None
    measurements: Measurements | None = None

    trials: Trials | None = None
    """What a rehearsal may try; None for those who only look."""

    look_again: Callable[[], tuple[Drafting | None, str]] | None = None
    """Opens a repository that was away at the start."""

    def __post_init__(self) -> None:
        self.comparisons = Comparisons(self.configurations)

    @property
    def rehearsing(self) -> Rehearsing:
        """What proves a way back."""
        return Rehearsing(self.configurations, self.why_unusable, self.why_not_startable, self.proxies)

    # --- forward -----------------------------------------------------------------------------------------------

    async def deploy(self, revision: str, ask: DeployAsk, *, branch: str | None = None) -> dict[str, Any]:
        """Begin to deploy a revision; returns the release and deployment numbers and what a person should see."""
        drafting = self._drafting()
        drafted = await asyncio.to_thread(drafting.draft, revision, branch)
        if drafted.preparations:
            drafted = with_proofs(await asyncio.to_thread(drafted.prepared))
        coming = Coming(drafted.draft.parts, proofs_of(drafted))
        back, _ = await asyncio.gather(
            asyncio.to_thread(self.rehearsing.quick, coming, self.loop.view()),
            asyncio.to_thread(self.journal.put_contents, drafted.contents),
        )
        restarting, live = self._restarts(drafted), live_now(self.loop.state)
        answer = await self.loop.ask(partial(self._deploy, drafted, ask, back))
        await self._give_way(answer)
        uncommitted, changes, forecast, late = await asyncio.gather(
            asyncio.to_thread(drafting.uncommitted, drafted),
            asyncio.to_thread(self._changes_to_live, answer),
            asyncio.to_thread(self._forecast, drafted.configuration, ask.percent),
            asyncio.to_thread(self._late, live, drafted),
        )
        told = reporting.drafted(replace(drafted, uncommitted=uncommitted))
        begun = answer["deployment"] is not None
        told |= {"forecast": forecast, "way_back": back.told() if back is not None and begun else None}
        return {**answer, **told, "changes": changes, "restarts": [*restarting, *late] if begun else []}

    def _restarts(self, drafted: Drafted) -> list[str]:
        live, draft = live_now(self.loop.state), drafted.draft
        kinds = {name: str(move["kind"]) for name, move in draft.moves.items()}
        return restarts(self.loop.release_of(live) if live else None, draft.parts, draft.instances, kinds)

    def _late(self, live: int | None, drafted: Drafted) -> list[str]:
        before = self.configurations.of(live).listeners if live is not None else {}
        return late_listeners(before, drafted.configuration.listeners)

    async def _give_way(self, answer: Mapping[str, Any]) -> None:
        """What is only told waits until requests have moved, but not for what takes long: it would slow the move."""
        for _ in range(GIVE_WAY_LOOKS):
            deployment = self.loop.state.deployment
            if deployment is None or deployment.number != answer.get("deployment") or is_at_ease(deployment):
                return
            await asyncio.sleep(GIVE_WAY_S / GIVE_WAY_LOOKS)

    def _deploy(self, drafted: Drafted, ask: DeployAsk, back: WayBack | None, view: View) -> Outcome:
        def store(release: Release, entries: Mapping[str, str]) -> str:
            digest = self.journal.put_release(release, entries)
            if entries == drafted.draft.entries:  # else a part of it is held, and is another one's
                self.configurations.remember(release.number, drafted.configuration)
            return digest

        refuse_unproven(drafted, view, accept_loss=ask.accept_loss)
        refuse_blocked(back, view, drafted.draft.parts, accept_blocked=ask.accept_blocked)
        return deploy(drafted.draft, ask, store, view, self.journal.entries)

    def _shelf(self) -> Shelf:
        def store(release: Release, entries: Mapping[str, str], configuration: Configuration) -> str:
            digest = self.journal.put_release(release, entries)
            self.configurations.remember(release.number, configuration)
            return digest

        return Shelf(self.journal.entries, self.configurations.of, store)

    def _changes_to_live(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        deployment = answer.get("deployment")
        if deployment is None:
            return []
        source = self.loop.state.deployments[deployment].asked.source
        return [reporting.change(one) for one in self.comparisons.prepare(source, answer["release"])]

    async def plan_deploy(self, revision: str) -> dict[str, Any]:
        """What deploying a revision would do."""
        drafted = await asyncio.to_thread(self._drafting().draft_and_look, revision)
        view = self.loop.view()
        live = live_now(view.state)
        changes = [reporting.change(one) for one in self.comparisons.with_draft(live, drafted)]
        held = held_by(view.state, _as_release(drafted.draft))
        basis = view.observed.basis()
        told: dict[str, Any] = {"held_by": held, "live": live, "basis": basis, "restarts": self._restarts(drafted)}
        told["restarts"] += await asyncio.to_thread(self._late, live, drafted)
        told["ends"] = ended_by(view.state)
        told["forecast"] = await asyncio.to_thread(self._forecast, drafted.configuration)
        return {"changes": changes, **told, **reporting.drafted(drafted)}

    def _forecast(self, configuration: Configuration, percent: float = 100.0) -> str:
        """How long a regression takes to find at this traffic; empty where nothing is known of it."""
        if self.evidence is None:
            return ""
        past = past_of(self.loop.state, self.evidence)
        terms, share = terms_for(configuration, past, new_code=False), first_share(configuration, percent)
        return promised(terms, past, share) if past.per_second else ""

    async def check(self, revision: str) -> dict[str, Any]:
        """Read and check a revision; raises ``ConfigError`` with every problem."""
        return reporting.drafted(await asyncio.to_thread(self._drafting().draft_and_look, revision))

    def _drafting(self) -> Drafting:
        if self.drafting is None and self.look_again is not None:
            self.drafting, self.why_no_repository = self.look_again()
        if self.drafting is None:
            raise Unavailable(
                f"the repository cannot be opened: {self.why_no_repository}",
                next="mend it; lastgood rollback works without it",
            )
        return self.drafting

    async def rehearse(self, revision: str, *, quick: bool = False) -> dict[str, Any]:
        """Prove the way back from a revision, or from what is ``live``; ``quick``: only as far as a deployment does."""
        coming: Coming | None = None
        if revision != "live":
            drafted = await asyncio.to_thread(self._drafting().draft, revision)
            drafted = await asyncio.to_thread(drafted.prepared)
            coming = Coming(drafted.draft.parts, proofs_of(drafted))
        await self.loop.freshen()
        view = self.loop.view()
        if quick:
            found = await asyncio.to_thread(self.rehearsing.glance, coming, view)
        elif self.trials is None:
            raise Unavailable("nothing can be tried without a controller", next="lastgood up --detach, then again")
        else:
            found = await self.rehearsing.whole(coming, view, self.trials)
        way_back = found.told() if found is not None else None
        return {"revision": revision, "live": live_now(self.loop.state), "way_back": way_back}

    # --- back --------------------------------------------------------------------------------------------------

    async def rollback(self, ask: RollbackAsk) -> dict[str, Any]:
        """Begin the way back; what it would lose or could not start is found out first."""
        sources = (self.configurations, self.schemas, self._commit, self._loosens, self._shelf)
        return await WayBackAsked(self.loop, *sources, self.why_not_startable).begin(ask)

    async def plan_rollback(self, ask: RollbackAsk) -> dict[str, Any]:
        """REVERTS, KEEPS, LOOSENS and BLOCKED, before anything moves."""
        view = self.loop.view()
        mixed = plan_only(ask, view, self._commit, self._shelf()) if ask.only is not None else None
        if mixed is not None:
            planned, changes, target = mixed.planned, mixed.changes, mixed.configuration
        else:
            planned = plan_rollback(ask, view, self._commit)
            changes = reverted(self._between(planned.source.number, planned.target.number), planned.plan)
            target = self.configurations.of(planned.target.number)
        losses, stuck = await asyncio.to_thread(losses_or_why_not, planned, self.configurations, self.schemas)
        unstartable = await asyncio.to_thread(not_startable, planned.plan, planned.target, self.why_not_startable)
        return reporting.way_back(
            planned,
            changes,
            view,
            stays_revoked=unusable_clients(target, self.why_unusable),
            blocked=(*self._damaged(), *stuck, *unusable(target, self.why_unusable), *unstartable),
            loses=losses,
            stays_ahead=stays_ahead(planned, view.observed),
            only=(mixed.part, mixed.other.number) if mixed is not None else None,
        )

    def _damaged(self) -> tuple[str, ...]:
        return () if self.loop.damage is None else (f"{self.loop.damage.what}: lastgood doctor --salvage",)

    def _commit(self, text: str) -> str | None:
        if self.drafting is None:
            return None
        try:
            return self.drafting.repository.resolve(text).oid
        except LastgoodError:
            return None

    def _between(self, old: int, new: int) -> tuple[Change, ...]:
        return self.comparisons.between(old, new)

    def _loosens(self, source: Release, target: Release) -> tuple[str, ...]:
        return tuple(one.text for one in self._between(source.number, target.number) if one.effect == "loosens")

    async def heed(self, raw: Any) -> list[dict[str, Any]]:
        """Do what the alerts of a webhook ask for, one after the other."""
        alerts = read_alerts(raw)
        return [dict(await self.loop.ask(partial(heed, alert, self._commit, self._loosens))) for alert in alerts]

    async def drill(self, ask: DrillAsk) -> dict[str, Any]:
        """Begin a drill: back to what is known good, and forward again by itself. Raises where that is blocked."""
        where_to(self.loop.view())
        found = await asyncio.to_thread(self.rehearsing.glance, None, self.loop.view())
        refuse_blocked_drill(found)
        return dict(await self.loop.ask(partial(begin_drill, ask, self._loosens)))

    def back_by_itself(self, why: str, view: View) -> Outcome:
        """Begin the way back from what turned bad after its bake; raises what stands in the way."""
        return rollback_by_itself(RollbackAsk(by=JUDGE, why=why), self._commit, self._loosens, view)

    # --- the small verbs ---------------------------------------------------------------------------------------

    async def confirm(self, by: str, extend_s: float | None = None) -> dict[str, Any]:
        """Turn the dead-man switch off, or set it anew."""
        return dict(await self.loop.ask(partial(steer.confirm, by, extend_s)))

    async def promote(self, by: str, *, full: bool = False) -> dict[str, Any]:
        """End a hold, or all that are still to come."""
        return dict(await self.loop.ask(partial(steer.promote, by, full=full)))

    async def pause(self, by: str) -> dict[str, Any]:
        """Begin no further step forward."""
        return dict(await self.loop.ask(partial(steer.pause, by)))

    async def resume(self, by: str) -> dict[str, Any]:
        """Go on after a pause."""
        return dict(await self.loop.ask(partial(steer.resume, by)))

    async def abort(self, by: str, why: str = "") -> dict[str, Any]:
        """Take the active deployment back."""
        return dict(await self.loop.ask(partial(steer.abort, by, why)))

    async def retry(self, by: str) -> dict[str, Any]:
        """Go on after a halt, or deploy again what went back."""
        return dict(await self.loop.ask(partial(steer.retry, by)))

    async def mark(self, text: str, verdict: VerdictName, by: str, why: str = "") -> dict[str, Any]:
        """A person's verdict on a release."""
        return dict(await self.loop.ask(partial(steer.mark, self.release_named(text), verdict, by, why)))

    async def tag(self, name: str, text: str | None) -> dict[str, Any]:
        """Name a release, or take the name away."""
        if text and name not in self.loop.state.tags and self._commit(name) is not None:
            raise UsageError(f"{name!r} is what Git calls a commit", next="another name: it would stand for two things")
        return dict(await self.loop.ask(partial(steer.tag, name, self.release_named(text) if text else None)))

    # --- looking -----------------------------------------------------------------------------------------------

    def release_named(self, text: str) -> int:
        """The number of the release a person means; ``live`` is the one that serves."""
        if text == "live":
            live = live_now(self.loop.state)
            if live is None:
                raise UsageError("nothing is live yet", next="lastgood deploy")
            return live
        return resolve_target(text, self.loop.state, self.loop.release_of, commit=self._commit).release

    def status(self) -> dict[str, Any]:
        """What is live, what is under way, and what every proxy has."""
        damage = self.loop.damage
        damaged = {"what": damage.what, "where": damage.where, "next": damage.next} if damage else None
        told = reporting.status(self.loop.view(), self.proxies(), self.loop.unjournaled)
        return {**told, "drill": last_drill(self.loop.state), "damaged": damaged}

    def history(self, limit: int = 20) -> dict[str, Any]:
        """Releases and deployments, the newest first."""
        return reporting.history(self.loop.view(), limit)

    def diff(self, old: str, new: str) -> dict[str, Any]:
        """What changes between two releases or revisions, in the user's words."""
        one, other = (self._side(text) for text in (old, new))
        return {"changes": [reporting.change(each) for each in differences(one, other)]}

    def _side(self, text: str) -> Side:
        try:
            return self.comparisons.side(self.release_named(text))
        except UsageError:
            return side_of(self._drafting().draft(text))

    def verdict(self, text: str) -> dict[str, Any]:
        """What is known of a release, judged again from what was measured of it."""
        return explain(self.release_named(text), self.loop.state, self.evidence)

    def report(self, text: str) -> dict[str, Any]:
        """Everything that is known of one deployment (``d31``)."""
        number = int(text.removeprefix("d")) if text.removeprefix("d").isdigit() else 0
        if number not in self.loop.state.deployments:
            raise UsageError(f"there is no deployment {text}", next="lastgood history")
        events = self.journal.of_deployment(number)
        deployment = self.loop.state.deployments[number]
        source = deployment.asked.source
        changes = self._between(source, deployment.asked.target) if source is not None else ()
        return reporting.report(deployment, events, changes, self.loop.view())


def _as_release(draft: Draft) -> Release:
    return Release(0, draft.project, draft.revision, draft.parts)
