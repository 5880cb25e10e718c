"""How a release earns its verdict: how long it is watched, beside what, and what it must keep to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lastgood.config.policies import Section, one_of
from lastgood.config.values import URL_PATTERN, Duration, Flag, Name, Percent, Positive, Whole


class ErrorLimit(Section):
    """Failed requests: 5xx, resets, timeouts, also those that a retry hid; exactly one key."""

    not_worse_than: Literal["baseline"] | None = None
    below: Percent | None = Field(default=None, description="of all requests, whatever the baseline does")

    _one_way = one_of("not_worse_than", "below")


class LatencyLimit(Section):
    """How long answers take; either beside the baseline, or a quantile below a limit."""

    not_worse_than: Literal["baseline"] | None = None
    quantile: Literal["p50", "p75", "p90", "p95", "p99"] = "p99"
    below: Positive | None = Field(default=None, description="judged at the next bucket's bound: 300ms at 320ms")

    _one_way = one_of("not_worse_than", "below")


class Objective(Section):
    """What a release must keep to; exactly one metric."""

    errors: ErrorLimit | None = None
    latency: LatencyLimit | None = None
    report_only: Flag = Field(default=False, description="tell, but decide nothing by it")

    _one_metric = one_of("errors", "latency")


class PrometheusQuery(Section):
    """A query whose every sample must be inside; exactly one limit."""

    url: Annotated[str, Field(pattern=URL_PATTERN)] = Field(description="where Prometheus answers")
    query: str = Field(min_length=1, max_length=2000, description="`$release` stands for r12")
    below: float | None = None
    above: float | None = None

    _one_limit = one_of("below", "above")


class Check(Section):
    """Something outside that says whether all is well; exactly one of ``url``, ``prometheus`` and ``command``."""

    name: Name
    url: Annotated[str, Field(pattern=URL_PATTERN)] | None = Field(
        default=None, description="well: it answers with 2xx; `$release` stands for r12"
    )
    prometheus: PrometheusQuery | None = None
    command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="well: it ends with 0; runs at the repository's root as the controller's user, with no secret; "
        "`$release` and LASTGOOD_RELEASE stand for r12",
    )
    every_s: Positive = Field(default=10.0, alias="every")
    timeout_s: Positive = Field(default=5.0, alias="timeout")
    fails: Whole = Field(default=3, ge=1, le=100, description="bad answers in a row that take the release back")
    report_only: Flag = Field(default=False, description="tell, but decide nothing by it")

    _one_way = one_of("url", "prometheus", "command")


WARM_UP_S = 20.0
"""What new instances get where nothing else is said: caches are cold and code is compiled for the first requests."""


class Bake(Section):
    """How a release earns its verdict.

    With ``objectives`` only measured evidence makes it good; without, time without a veto does. A release that is
    measured to be worse than the one before goes back either way.
    """

    for_s: Positive = Field(default=600.0, alias="for", description="how long it is watched at all requests")
    hold_back: Percent = Field(default=0.0, description="share kept on the old release meanwhile, to compare with")
    objectives: tuple[Objective, ...] = ()
    checks: tuple[Check, ...] = Field(default=(), max_length=20)
    undecided: Literal["extend", "rollback", "ask"] = Field(
        default="ask", description="what to do when the time is over and the evidence does not suffice"
    )
    at_least_s: Positive = Field(default=60.0, alias="at_least", description="never good before so long")
    warm_up_s: Duration | None = Field(
        default=None,
        alias="warm_up",
        description="not judged for so long after each rise of the share, save by vetoes; default: 20s where a service "
        "changes, else 0s",
    )
    watch_s: Duration = Field(
        default=86_400.0, alias="watch", description="how long what it changed is measured after the bake; 0s: not"
    )
    regression: Literal["rollback", "tell"] = Field(
        default="rollback", description="what to do when it turns bad after the bake, and that is certain"
    )
    clusters: Whole | None = Field(
        default=None, ge=1, le=1000, description="how many failures usually come together; default: learnt"
    )
