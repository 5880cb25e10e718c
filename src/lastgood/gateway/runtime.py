"""The share of requests on the candidate's routes: one tiny resource, the only one a shift of traffic touches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envoy.service.runtime.v3 import rtds_pb2

from lastgood.gateway.names import open_key, runtime_key, stay_key
from lastgood.gateway.packing import resource
from lastgood.gateway.snapshot import RUNTIME_LAYER, Resource

MILLION = 1_000_000
STATS_PATTERN = r"^vhost\..*\.route\.r(?P<release>\d+)([.-][^.]+)?\.upstream_rq_total$"
"""Counters of requests by release (for ``/stats?filter=``); only hosts with two generations have them."""
_STATS = re.compile(STATS_PATTERN)


def runtime_resource(release: int | None, percent: float = 0.0) -> Resource:
    """The runtime layer with ``percent`` (0 to 100) of the requests on the release's routes; empty without one."""
    runtime = rtds_pb2.Runtime(name=RUNTIME_LAYER)
    if release is None:
        runtime.layer.SetInParent()
    else:
        _set(runtime, runtime_key(release), round(percent * MILLION / 100))
        _set(runtime, open_key(release), MILLION if percent > 0 else 0)
        _set(runtime, stay_key(release), MILLION if 0 < percent < 100 else 0)
    return resource(RUNTIME_LAYER, runtime)


def _set(runtime: Any, key: str, numerator: int) -> None:
    share = runtime.layer.fields[key].struct_value
    share.fields["numerator"].number_value = numerator
    share.fields["denominator"].string_value = "MILLION"


EMPTY = runtime_resource(None)
"""The runtime without a candidate: keys that are added to it are asked for by no route yet."""


def requests_by_release(counters: Mapping[str, int]) -> dict[int, int]:
    """Requests sent upstream by each release's routes, of a proxy's counters by name (``vhost.web.route.r12....``)."""
    sums: dict[int, int] = {}
    for name, value in counters.items():
        found = _STATS.match(name)
        if found:
            release = int(found["release"])
            sums[release] = sums.get(release, 0) + value
    return sums
