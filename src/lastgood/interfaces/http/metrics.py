"""What Prometheus reads. Names end in their unit, as its guide asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lastgood.health.reading import ProxyReading
from lastgood.interfaces.http.judgement_metrics import judgements
from lastgood.interfaces.http.traffic_metrics import requests
from lastgood.operations.drilling import last_drill
from lastgood.operations.reporting import convergence
from lastgood.operations.world import View
from lastgood.ports import ProxyState
from lastgood.release.ledger import live_now


def render_metrics(
    view: View, proxies: Sequence[ProxyState], unjournaled: int, readings: Mapping[str, ProxyReading] | None = None
) -> str:
    """The text format, version 0.0.4; ``readings`` are the proxies' counters of now."""
    return "\n".join([*_lines(view, proxies, unjournaled), *requests(readings or {})]) + "\n"


def _lines(view: View, proxies: Sequence[ProxyState], unjournaled: int) -> Iterator[str]:
    state = view.state
    yield from _gauge("lastgood_live_release", "Number of the release that is live", live_now(state) or 0)
    yield from _gauge("lastgood_releases_total", "Releases made", len(state.releases))
    yield from _gauge("lastgood_unjournaled_events", "Events that wait for room on the disk", unjournaled)
    yield from _gauge("lastgood_deployment_active", "Whether a deployment is under way", int(state.active is not None))
    halted = state.deployment is not None and state.deployment.halted is not None
    yield from _gauge("lastgood_deployment_halted", "Whether a person must choose", int(halted))
    yield "# HELP lastgood_proxy_connected Whether a proxy is connected"
    yield "# TYPE lastgood_proxy_connected gauge"
    for proxy in proxies:
        yield f'lastgood_proxy_connected{{proxy="{_label(proxy.name)}"}} {int(proxy.connected)}'
    counts: dict[tuple[str, str], int] = {}
    for found in state.deployments.values():
        outcome: str = found.ended.outcome if found.ended else "under way"
        counts[found.intent, outcome] = counts.get((found.intent, outcome), 0) + 1
    yield "# HELP lastgood_deployments Deployments by what they did and how they ended"
    yield "# TYPE lastgood_deployments gauge"
    for (intent, outcome), count in sorted(counts.items()):
        yield f'lastgood_deployments{{intent="{intent}",outcome="{outcome}"}} {count}'
    yield "# HELP lastgood_convergence_seconds Push to last acknowledgement, of the newest deployment of each kind"
    yield "# TYPE lastgood_convergence_seconds gauge"
    newest: dict[str, float] = {}
    for number in sorted(state.deployments):
        proof = convergence(state.deployments[number])
        if proof and proof["push_ms"] is not None:
            newest[state.deployments[number].intent] = proof["push_ms"] / 1000
    for intent, seconds in sorted(newest.items()):
        yield f'lastgood_convergence_seconds{{intent="{intent}"}} {seconds:.6f}'
    yield from judgements(state)
    yield from _drill(last_drill(state))


def _drill(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None or found["standing"] != "done":
        return
    yield "# HELP lastgood_drill_seconds Each way of the newest drill that came back, from its request to its end"
    yield "# TYPE lastgood_drill_seconds gauge"
    for way in ("back", "forth"):
        yield f'lastgood_drill_seconds{{way="{way}"}} {found[way]["took_s"]:.6f}'


def _gauge(name: str, told: str, value: float) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value:g}"


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
