"""The rehearsal of a way back, before a release takes requests: what it needs is looked for, and tried where asked.

The cheap part is part of every deployment: what serves now needs no proof, so that it only looks at what has to be
started, at references to secrets and at the proofs of schemas. The whole of it also shows the routes to a proxy without
traffic and starts every version that does not run, beside everything else and without a request.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lastgood.errors import LastgoodError, Refused, Unavailable
from lastgood.operations.configurations import Configurations
from lastgood.operations.database_maker import PROOF
from lastgood.operations.references import WhyUnusable, unusable_clients, without_value
from lastgood.operations.restarts import WhyNotStartable, kind_of
from lastgood.operations.world import View
from lastgood.ports import ProxyState
from lastgood.release.estimate import Estimate, time_back
from lastgood.release.ledger import Choice, equal_before, known_good, live_now
from lastgood.release.release import GATEWAY, Release, services_of

Standing = Literal["ready", "limited", "blocked"]
"""``limited``: it can be gone this way, and something should be known of it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the way back needs, and how that stands."""

    kind: Literal["release", "configuration", "service", "function", "secrets", "database"]
    name: str
    standing: Standing
    says: str
    next: str | None = None


@dataclass(frozen=True)
class WayBack:
    """A rehearsed way back to ``target``; ``tried`` is False where things were looked at and nothing was started."""

    target: int
    why: str
    checks: tuple[Check, ...]
    estimate: Estimate
    tried: bool
    took_ms: float

    @property
    def blocked(self) -> tuple[Check, ...]:
        """What stands in the way."""
        return tuple(check for check in self.checks if check.standing == "blocked")

    def told(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "to": self.target,
            "why": self.why,
            "ready": not self.blocked,
            "tried": self.tried,
            "checks": [asdict(check) for check in self.checks],
            "estimate": {**asdict(self.estimate), "unknown": list(self.estimate.unknown)},
            "took_ms": round(self.took_ms, 1),
        }


@dataclass(frozen=True)
class Trials:
    """What is tried for real: a release's routes on a proxy without traffic, and a start beside everything.

    ``start(service, digest, release)`` returns the seconds until it was healthy. Both raise ``LastgoodError``;
    ``sweep`` ends what a controller before this one left of its starts.
    """

    routes: Callable[[int], Awaitable[None]]
    start: Callable[[str, str, int], Awaitable[float]]
    sweep: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Coming:
    """What is about to be deployed: its parts, and what the rehearsals of its schemas came to."""

    parts: Mapping[str, str]
    proofs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rehearsing:
    """What a rehearsal asks."""

    configurations: Configurations
    why_unusable: WhyUnusable
    why_not_startable: WhyNotStartable
    proxies: Callable[[], Sequence[ProxyState]]

    def quick(self, coming: Coming, view: View) -> WayBack | None:
        """The cheap part; None where nothing is live, or where it is a way back itself. Blocks."""
        began_s = time.monotonic()
        live = live_now(view.state)
        if live is None or dict(view.release_of(live).parts) == dict(coming.parts):
            return None
        choice = _from_coming(view, live)
        target = view.release_of(choice.release)
        cold = cold_services(view, target)
        # What is about to be replaced ends some time after: then it has to be started again.
        leaves = {n for n, made in services_of(target).items() if coming.parts.get(_part(target, n)) != made}
        checks = [*_of_choice(choice, view), _served(target, view, self.proxies())]
        checks += [self._startable(name, target, view, cold) for name in sorted(cold | leaves)]
        checks += [*self._secrets(target), *schemas(coming.proofs)]
        estimate = time_back(view.state, target, cold, {})
        return WayBack(target.number, choice.why, tuple(checks), estimate, False, (time.monotonic() - began_s) * 1000)

    def glance(self, coming: Coming | None, view: View) -> WayBack | None:
        """The cheap part; without ``coming`` of what a rollback would need now. Raises ``Refused`` where none is."""
        if coming is not None:
            return self.quick(coming, view)
        began_s = time.monotonic()
        if (choice := back_from_live(view)) is None:
            return None
        target = view.release_of(choice.release)
        cold = cold_services(view, target)
        checks = [*_of_choice(choice, view), _served(target, view, self.proxies())]
        checks += [self._startable(name, target, view, cold) for name in sorted(cold)]
        checks += self._secrets(target)
        estimate = time_back(view.state, target, cold, {})
        return WayBack(target.number, choice.why, tuple(checks), estimate, False, (time.monotonic() - began_s) * 1000)

    def _startable(self, name: str, target: Release, view: View, cold: frozenset[str]) -> Check:
        reason, kind = self.why_not_startable(name, target.number), kind_of(target, name)
        if reason is not None:
            return Check(kind, name, "blocked", f"cannot be started: {reason}", _LOGS[kind].format(name))
        if name in cold:
            return Check(kind, name, "ready", "does not run; its bundle is whole, it is started first")
        return Check(kind, name, "ready", f"{_running(view, target, name)}; its bundle is whole")

    def _secrets(self, target: Release) -> Iterator[Check]:
        configuration = self.configurations.of(target.number)
        missing = without_value(configuration, self.why_unusable)
        for reference, reason in missing:
            kind, _, name = reference.partition(":")
            set_it = f"lastgood secret set {name}" if kind == "secret" else None
            yield Check("secrets", reference, "blocked", reason, set_it)
        for told in unusable_clients(configuration, self.why_unusable):
            yield Check("secrets", "clients", "limited", told)

    # --- the whole of it -----------------------------------------------------------------------------------------

    async def whole(self, coming: Coming | None, view: View, trials: Trials) -> WayBack | None:
        """Everything is tried; without ``coming`` the way back from what is live. Raises ``Refused`` where none is."""
        began_s = time.monotonic()
        choice = chosen(view, coming.parts) if coming is not None else back_from_live(view)
        if choice is None:
            return None
        target = view.release_of(choice.release)
        cold = cold_services(view, target)
        checks = [*_of_choice(choice, view), await _routes(target, trials)]
        tried_s: dict[str, float] = {}
        for name, digest in sorted(services_of(target).items()):
            check = self._startable(name, target, view, cold)
            if name in cold and check.standing != "blocked":
                check = await _started((name, digest), target, trials, tried_s)
            checks.append(check)
        proofs = coming.proofs if coming is not None else self._stored_proofs(view)
        checks += [*self._secrets(target), *schemas(proofs)]
        estimate = time_back(view.state, target, cold, tried_s)
        return WayBack(target.number, choice.why, tuple(checks), estimate, True, (time.monotonic() - began_s) * 1000)

    def _stored_proofs(self, view: View) -> dict[str, Mapping[str, Any]]:
        live = live_now(view.state)
        found = self.configurations.attached(live, PROOF) if live is not None else {}
        return {key.partition(":")[2]: json.loads(content) for key, content in found.items()}


# --- where to ----------------------------------------------------------------------------------------------------


def chosen(view: View, parts: Mapping[str, str]) -> Choice | None:
    """Where a rollback of these parts would lead: to what is live if that is good, else to what is known good.

    None where nothing is live yet. Raises ``Refused`` for parts that are live and have nothing to go back to.
    """
    live = live_now(view.state)
    if live is None:
        return None
    if dict(view.release_of(live).parts) == dict(parts):
        return back_from_live(view)
    return _from_coming(view, live)


def _from_coming(view: View, live: int) -> Choice:
    verdict = view.state.verdict(live)
    if verdict.name == "good":
        return Choice(live, f"live, known good ({verdict.basis}: {verdict.evidence})")
    try:
        return known_good(view.state, view.release_of, leaving=None)
    except Refused:
        return Choice(live, "live")


def back_from_live(view: View) -> Choice | None:
    """Where ``lastgood rollback`` would lead now. Raises ``Refused`` where nothing else is known good."""
    live = live_now(view.state)
    return None if live is None else known_good(view.state, view.release_of, leaving=live)


def needs_rehearsal(view: View, parts: Mapping[str, str]) -> bool:
    """Whether these parts go forward: content that is live, or was good before, is a way back itself."""
    live = live_now(view.state)
    if live is None:
        return False
    earlier = equal_before(view.state, parts, view.release_of)
    return earlier != live and (earlier is None or view.state.verdict(earlier).name != "good")


def cold_services(view: View, target: Release) -> frozenset[str]:
    """Services of a release that do not run in its version, or too few of them."""
    return frozenset(
        name
        for name, digest in services_of(target).items()
        if view.observed.value(f"service:{name}", f"healthy:{digest}", 0) < target.instances.get(name, 1)
    )


def refuse_blocked(found: WayBack | None, view: View, parts: Mapping[str, str], *, accept_blocked: bool) -> None:
    """Raise ``Refused`` for a release whose way back is blocked. Schemas have a refusal and an option of their own."""
    blocked = [check for check in found.blocked if check.kind != "database"] if found is not None else []
    if found is None or not blocked or accept_blocked or not needs_rehearsal(view, parts):
        return
    reasons = "; ".join(f"{check.kind} {check.name}: {check.says}" for check in blocked[:4])
    raise Refused(
        f"the way back to r{found.target} is blocked: {reasons}",
        next=f"{blocked[0].next or 'lastgood rehearse'}; or deploy all the same: --accept-blocked",
    )


def refuse_blocked_drill(found: WayBack | None) -> None:
    """Raise ``Refused`` where a drill would get stuck half way."""
    if found is None or not found.blocked:
        return
    reasons = "; ".join(f"{check.kind} {check.name}: {check.says}" for check in found.blocked[:4])
    raise Refused(f"the way back to r{found.target} is blocked: {reasons}", next=found.blocked[0].next)


# --- the checks --------------------------------------------------------------------------------------------------


def _of_choice(choice: Choice, view: View) -> Iterator[Check]:
    verdict = view.state.verdict(choice.release).name
    if verdict != "good":
        says = f"it is {verdict}, and no release is known good"
        yield Check("release", f"r{choice.release}", "limited", says, f"lastgood mark r{choice.release} good")


def _served(target: Release, view: View, proxies: Sequence[ProxyState]) -> Check:
    """What the proxies acknowledged and still have needs no trial."""
    loaded = {view.observed.value(GATEWAY, "base"), view.observed.value(GATEWAY, "candidate")}
    if target.number not in loaded:
        return Check("configuration", target.name, "ready", "the proxies accepted it when it served")
    connected = sum(proxy.connected for proxy in proxies)
    return Check("configuration", target.name, "ready", f"served now by {connected} of {len(proxies)} proxies")


async def _routes(target: Release, trials: Trials) -> Check:
    try:
        await trials.routes(target.number)
    except Unavailable as error:
        return Check("configuration", target.name, "limited", f"could not be tried: {error.what}", error.next)
    except LastgoodError as error:
        return Check("configuration", target.name, "blocked", error.what, error.next)
    return Check("configuration", target.name, "ready", "a proxy without traffic accepts it")


async def _started(version: tuple[str, str], target: Release, trials: Trials, tried_s: dict[str, float]) -> Check:
    name, digest = version
    kind = kind_of(target, name)
    try:
        tried_s[name] = await trials.start(name, digest, target.number)
    except LastgoodError as error:
        return Check(kind, name, "blocked", f"does not start: {error.what}", error.next)
    says = f"does not run; started aside, it was healthy after {tried_s[name]:.1f} s"
    return Check(kind, name, "ready", says)


_LOGS = {"service": "lastgood logs {}", "function": "lastgood function logs {}"}

_SCHEMAS: Mapping[str, tuple[Standing, str]] = {
    "exact": ("ready", "the way down is proven: exactly what was there before"),
    "cosmetic": ("ready", "the way down is proven, but for looks"),
    "applied": ("ready", "nothing is pending"),
    "irreversible": ("limited", "there is no way down, as it says: the schema stays"),
    "lossy": ("limited", "the way down loses rows: the schema stays, unless that is accepted"),
    "unproven": ("limited", "the way down could not be proven: the schema stays"),
    "broken": ("blocked", "the way down is broken"),
}


def schemas(proofs: Mapping[str, Mapping[str, Any]]) -> Iterable[Check]:
    """What the proofs of a release mean for leaving it."""
    for name, proof in sorted(proofs.items()):
        standing, says = _SCHEMAS[str(proof["verdict"])]
        reasons = "; ".join(proof["reasons"][:4]) if standing != "ready" else ""
        next_step = f"lastgood db prove {name}" if standing == "blocked" else None
        yield Check("database", name, standing, f"{says} ({reasons})" if reasons else says, next_step)


def _running(view: View, target: Release, name: str) -> str:
    digest = services_of(target)[name]
    healthy = view.observed.value(f"service:{name}", f"healthy:{digest}", 0)
    return f"{healthy} of {target.instances.get(name, 1)} healthy"


def _part(target: Release, name: str) -> str:
    return next(part for part in target.parts if part in (f"service:{name}", f"function:{name}"))
