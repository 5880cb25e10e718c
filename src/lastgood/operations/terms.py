"""What a configuration's bake means for the judge."""

from __future__ import annotations

from dataclasses import replace

from lastgood.config.bake import WARM_UP_S, Bake, Objective
from lastgood.config.configuration import Configuration
from lastgood.health import forecast
from lastgood.health.history import Past, learn
from lastgood.health.limits import FAILURES, Learnt, learn_whole
from lastgood.health.objectives import edge_for
from lastgood.health.terms import STAKES, Terms
from lastgood.health.terms import Objective as Limit
from lastgood.ports import Evidence
from lastgood.release.state import State

LEARN_FROM = 3
"""Known good releases that are learnt from."""


def past_of(state: State, evidence: Evidence, *, beside: int | None = None) -> Past:
    """What the newest known good releases teach; ``beside`` is left out: it is what is to be judged."""
    good = [number for number in evidence.releases() if number != beside and state.verdict(number).name == "good"]
    return learn(evidence.lines(number) for number in good[:LEARN_FROM])


def whole_of(state: State, evidence: Evidence, *, beside: int) -> Learnt | None:
    """How the whole gateway behaved after the bakes of the newest known good releases."""
    good = [number for number in evidence.releases() if number != beside and state.verdict(number).name == "good"]
    return learn_whole(evidence.lines(number) for number in good[:LEARN_FROM])


def terms_for(configuration: Configuration, past: Past, *, new_code: bool) -> Terms:
    """The terms of a release; ``new_code`` is whether instances were started for it."""
    bake = configuration.bake
    spread = past.dispersion
    if bake.clusters is not None:
        spread = dict.fromkeys(spread, float(bake.clusters))
    routes = tuple(sorted(name for name, route in configuration.routes.items() if route.guarded))
    return Terms(
        stakes=_stakes(bake),
        dispersion=spread,
        warm_up_s=bake.warm_up_s if bake.warm_up_s is not None else WARM_UP_S if new_code else 0.0,
        at_least_s=min(bake.at_least_s, bake.for_s),
        references=past.references,
        objectives=limits_of(bake),
        routes=routes,
        shielded=any(made.strategy.canary and made.strategy.canary.shield for made in configuration.services.values()),
    )


def terms_alone(configuration: Configuration, past: Past, learnt: Learnt | None, *, new_code: bool) -> Terms:
    """The terms where nothing stands beside it: limits that were set, and those that the whole gateway always kept."""
    terms = terms_for(configuration, past, new_code=new_code)
    known = learnt.limits if learnt is not None else ()
    limits = (*known, *terms.objectives)
    tolerated = max([terms.tolerated, *(one.share for one in known if one.name == FAILURES)])
    stakes = {} if any(not one.reports for one in limits) else terms.stakes
    return replace(
        terms, stakes=stakes, references={}, routes=(), shielded=False, objectives=limits, tolerated=tolerated
    )


def limits_of(bake: Bake) -> tuple[Limit, ...]:
    """The limits that hold whatever the baseline does."""
    return tuple(filter(None, map(_limit, bake.objectives)))


def _stakes(bake: Bake) -> dict[str, float]:
    """Every metric is judged; one whose comparison only reports stakes nothing."""
    silent = {
        metric
        for one in bake.objectives
        for metric in ("errors", "latency")
        if one.report_only and (said := getattr(one, metric)) is not None and said.not_worse_than
    }
    return {metric: 0.0 if metric in silent else stake for metric, stake in STAKES.items()}


def _limit(one: Objective) -> Limit | None:
    if one.errors is not None and one.errors.below is not None:
        share = one.errors.below / 100
        return Limit(f"errors below {one.errors.below:g}%", _inside(share), reports=one.report_only)
    if one.latency is not None and one.latency.below is not None:
        edge = edge_for(one.latency.below * 1000)
        share = 1 - int(one.latency.quantile[1:]) / 100
        name = f"{one.latency.quantile} below {one.latency.below * 1000:g}ms"
        return Limit(name, _inside(share), edge, one.report_only)
    return None


def _inside(share: float) -> float:
    """A limit of nothing at all, or of everything, cannot be bet against."""
    return min(max(share, 1e-6), 0.9)


ALONE = "nothing stands beside it: judged by its limits, by its checks, and by failures in a row"
FIRST = 5.0
"""The share (percent) that is spoken of where all requests move at once: then nothing stays to compare it with."""


def promised(terms: Terms, past: Past, percent: float) -> str:
    """What can be found at this traffic and share; a sentence that says so where nothing is known of it."""
    if past.per_second <= 0:
        return "nothing is known of the traffic yet"
    at_once = percent >= 100
    found = forecast.forecast((FIRST if at_once else percent) / 100, past.per_second, past.base, terms)
    beside = f"with {percent:g}% of it on the new release"
    if at_once:
        beside = f"if {FIRST:g}% of it went to the new release first (--percent {FIRST:g})"
    return f"{forecast.told(found, past.per_second)}, {beside}"


def first_share(configuration: Configuration, percent: float) -> float:
    """The percentage that a release begins with: as asked for, by its canaries, or all but what is held back."""
    if percent < 100:
        return percent
    canaries = [made.strategy.canary for made in configuration.services.values() if made.strategy.canary is not None]
    if any(canary.steps for canary in canaries):
        return min(step for canary in canaries for step in canary.steps)
    return 100.0 - configuration.bake.hold_back
