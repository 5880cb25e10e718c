"""Releases that a real gateway measures: what they are, and when they were found out."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from lastgood.interfaces.demo.load import Answer, Load, Probe
from tests.support.moody import Moody
from tests.support.processes import eventually
from tests.support.shop import Shop

BAKE = "2m, clusters: 1, at_least: 5s, objectives: [{ errors: { not_worse_than: baseline } }]"
PROBES = tuple(Probe(f"user {n}", "/catalog/1") for n in range(8))
PER_PROBE = 25.0


def text(shop: Shop, side: Moody, bake: str = BAKE) -> str:
    upstreams = f'  side: {{ endpoints: ["127.0.0.1:{side.port}"] }}\n'
    routes = "    - { name: catalog, match: { host: shop.example, path: /catalog/* }, to: side, public: true }\n"
    routes += "    - { name: legacy, match: { host: shop.example, path: /legacy/* }, to: legacy, public: true }\n"
    return shop.text(routes, upstreams=upstreams, bake=bake)


def open_with(shop: Shop, side: Moody) -> None:
    """r1 is live and known good."""
    shop.begin()
    shop.commit(text(shop, side, "300ms"))
    shop.ok("up", "--detach")
    shop.ok("deploy", "--wait", "ended")


def release(shop: Shop, side: Moody, percent: str = "5%", bake: str = BAKE) -> None:
    shop.commit(text(shop, side, bake))
    shop.ok("deploy", "--percent", percent, "--no-wait")


def went_back(shop: Shop, within_s: float, number: int = 2) -> dict[str, object]:
    """Wait until r1 is all there is again; what the journal says of that release."""
    eventually(lambda: shop.status(), lambda found: found["deployment"] is None, within_s=within_s)
    assert shop.live == 1
    return shop.ask("verdict", f"r{number}")


def bad_answers(load: Load, is_bad: Callable[[Answer], bool]) -> tuple[float, float, int]:
    """When the first and the last were sent, and how many."""
    sent = [answer.sent_s for answer in load.answers if is_bad(answer)]
    return sent[0], sent[-1], len(sent)


def converged_s(shop: Shop, deployment: int = 2) -> float:
    """When it was seen that the release that was left gets nothing any more, by the clock of the answers."""
    ends = [event for event in shop.ask("report", f"d{deployment}")["timeline"] if event.get("step") == "converged"]
    at = datetime.fromisoformat([event for event in ends if event["kind"] == "StepEnded"][-1]["at"])
    return at.timestamp() - time.time() + time.monotonic()
